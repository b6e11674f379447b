// SPDX-License-Identifier: GPL-2.0
/* The options of a device: setting them by the table, and what must fit together. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/loop.h"
#include "block/driver.h"
#include "block/zero_run.h"
#include "device/options.h"
#include "ublk/name.h"
#include "ublk/uapi.h"
#include "util/units.h"

/* Some of a process's loops are needed for other threads than queues. */
#define DEVICE_MAX_QUEUES (AIO_MAX_LOOPS - 16)
#define DEFAULT_QUEUES	  4

#define DEVICE_NAME_TEXT                                                                \
	"1 to 124 of the characters ``A-Z a-z 0-9 # + . : = @ _ -`` and is not ``.``, " \
	"``..`` or ``control``"

const struct device_option device_option_table[] = {
#define DEVICE_OPTION(type, field, name, ...) \
	{ name, type, offsetof(struct device_options, field), __VA_ARGS__ },
#include "device/option_table.h"
};

/* ---- Values: each function returns the error message that follows "'TEXT' ", or NULL ---- */

static const char *parse_count(const char *text, uint64_t min, uint64_t *count)
{
	char *end;

	/* strtoul() takes signs and blanks, which a count does not have. */
	if (text[0] < '0' || text[0] > '9' || strlen(text) > 10)
		return "is not a count";
	*count = strtoull(text, &end, 10);
	return *end || *count < min ? "is not a count" : NULL;
}

static const char *parse_bytes(const char *text, bool allow_0, uint64_t *bytes)
{
	if (allow_0 && !strcmp(text, "0")) {
		*bytes = 0;
		return NULL;
	}
	if (parse_printed_size(text, bytes))
		return "is not a size";
	return *bytes ? NULL : "is not a size: it must be above 0";
}

/* The time that "wait" alone means: dm-thin's. */
#define DEFAULT_WAIT_S 60

static const char *parse_wait(const char *text, uint64_t max, unsigned int *seconds)
{
	uint64_t count = DEFAULT_WAIT_S;

	if (!strcmp(text, "error"))
		count = 0;
	else if (strncmp(text, "wait", 4) || (text[4] && text[4] != '='))
		return "is neither error nor wait[=SECONDS]";
	else if (text[4] && (parse_count(text + 5, 1, &count) || count > max))
		return "does not wait for 1 second to a day";
	*seconds = (unsigned int)count;
	return NULL;
}

/* Return the index of @text among @words, separated by "|", or -1. */
static int find_choice(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0;; i++) {
		size_t n = strcspn(words, "|");

		if (n == len && !strncmp(words, text, n))
			return i;
		if (!words[n])
			return -1;
		words += n + 1;
	}
}

/* ---- Setting ---- */

const struct device_option *device_option_find(const char *name, size_t len,
					       enum device_program program)
{
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++) {
		const struct device_option *option = &device_option_table[i];

		if ((option->programs & program) && strlen(option->name) == len &&
		    !strncmp(option->name, name, len))
			return option;
	}
	return NULL;
}

const struct device_option *device_option_opposite(const struct device_option *option)
{
	bool negative = !strncmp(option->name, "no-", 3);

	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++) {
		const struct device_option *other = &device_option_table[i];

		if (negative ? !strcmp(other->name, option->name + 3) :
			       !strncmp(other->name, "no-", 3) &&
				       !strcmp(other->name + 3, option->name))
			return other;
	}
	return NULL;
}

void device_options_for_getopt(struct option names[DEVICE_NR_OPTIONS + 1],
			       enum device_program program)
{
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		if (device_option_table[i].programs & program)
			*names++ = (struct option){ device_option_table[i].name,
						    device_option_table[i].value ?
							    required_argument :
							    no_argument,
						    NULL, DEVICE_OPTION_GETOPT + (int)i };
	*names = (struct option){ 0 };
}

static void *field_of(struct device_options *options, const struct device_option *option)
{
	return (char *)options + option->offset;
}

/* Set a flag and clear its opposite: the last one given counts. */
static void set_flag(struct device_options *options, const struct device_option *option)
{
	const struct device_option *opposite = device_option_opposite(option);

	*(bool *)field_of(options, option) = true;
	if (opposite) {
		*(bool *)field_of(options, opposite) = false;
		options->given[opposite - device_option_table] = NULL;
	}
}

static int set_number(struct device_options *options, const struct device_option *option,
		      const char *value, struct error *err)
{
	uint64_t *number = field_of(options, option);
	const char *wrong;

	if (option->type == DEVICE_COUNT || option->type == DEVICE_COUNT_FROM_0)
		wrong = parse_count(value, option->type == DEVICE_COUNT, number);
	else
		wrong = parse_bytes(value, option->type == DEVICE_RATE, number);
	if (wrong)
		return error_set(err, -EINVAL, "--%s: '%s' %s", option->name, value, wrong);
	if (option->max && *number > option->max)
		return error_set(err, -EINVAL, "--%s: '%s' is more than %" PRIu64, option->name,
				 value, option->max);
	return 0;
}

static int set_choice(struct device_options *options, const struct device_option *option,
		      const char *value, struct error *err)
{
	int index = find_choice(option->value, value);

	if (index < 0)
		return error_set(err, -EINVAL, "--%s: '%s' is not one of %s", option->name, value,
				 option->value);
	*(unsigned int *)field_of(options, option) = index;
	return 0;
}

static int set_wait(struct device_options *options, const struct device_option *option,
		    const char *value, struct error *err)
{
	const char *wrong = parse_wait(value, option->max, field_of(options, option));

	return wrong ? error_set(err, -EINVAL, "--%s: '%s' %s", option->name, value, wrong) : 0;
}

static int check_format(const struct device_option *option, const char *value, struct error *err)
{
	char known[256] = "";

	if (blk_driver_find(value))
		return 0;
	for (const struct blk_driver *const *driver = blk_drivers; *driver; driver++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 *known ? "|" : "", (*driver)->name);
	return error_set(err, -EINVAL, "--%s: '%s' is not one of %s", option->name, value, known);
}

static int set_text(struct device_options *options, const struct device_option *option,
		    const char *value, struct error *err)
{
	if (option->type == DEVICE_NAME && !device_name_is_valid(value))
		return error_set(err, -EINVAL, "--%s: '%s' is not a device's name: %s",
				 option->name, value, DEVICE_NAME_RULE);
	if (option->type == DEVICE_FORMAT && check_format(option, value, err))
		return -EINVAL;
	if (!*value)
		return error_set(err, -EINVAL, "--%s: an empty file name", option->name);
	*(const char **)field_of(options, option) = value;
	return 0;
}

int device_option_set(struct device_options *options, const struct device_option *option,
		      const char *value, struct error *err)
{
	int ret = 0;

	switch (option->type) {
	case DEVICE_FLAG:
		set_flag(options, option);
		break;
	case DEVICE_NAME:
	case DEVICE_FILE:
	case DEVICE_DIRECTORY:
	case DEVICE_FORMAT:
		ret = set_text(options, option, value, err);
		break;
	case DEVICE_SIZE:
	case DEVICE_RATE:
	case DEVICE_COUNT:
	case DEVICE_COUNT_FROM_0:
		ret = set_number(options, option, value, err);
		break;
	case DEVICE_CHOICE:
		ret = set_choice(options, option, value, err);
		break;
	case DEVICE_WAIT:
		ret = set_wait(options, option, value, err);
		break;
	}
	if (ret)
		return ret;
	options->given[option - device_option_table] = value ? value : "";
	/* A block device has whole sectors. */
	options->size = round_up(options->size, SECTOR_SIZE);
	if (option == &device_option_table[DEVICE_OPTION_backing]) {
		options->no_backing = !strcmp(value, "none");
		if (options->no_backing)
			options->backing = NULL;
	}
	return 0;
}

/* Clear a flag, by its opposite if there is one. */
static void clear_flag(struct device_options *options, const struct device_option *option)
{
	const struct device_option *opposite = device_option_opposite(option);

	*(bool *)field_of(options, option) = false;
	options->given[option - device_option_table] = NULL;
	if (opposite) {
		set_flag(options, opposite);
		options->given[opposite - device_option_table] = "";
	}
}

int device_option_change(struct device_options *options, const struct device_option *option,
			 const char *value, struct error *err)
{
	bool off = option->type == DEVICE_FLAG && !strcmp(value, "off");

	if (option->type != DEVICE_FLAG)
		return device_option_set(options, option, value, err);
	if (!off && strcmp(value, "on"))
		return error_set(err, -EINVAL, "--%s: '%s' is not one of on|off", option->name,
				 value);
	if (off)
		clear_flag(options, option);
	else
		device_option_set(options, option, NULL, NULL);
	return 0;
}

void device_options_init(struct device_options *options)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++) {
		const struct device_option *option = &device_option_table[i];
		struct error err = ERROR_INIT;

		if (option->preset && device_option_set(options, option, option->preset, &err))
			abort(); /* The table is wrong; no test passes. */
	}
	memset(options->given, 0, sizeof(options->given));
	options->queues = cpus > 0 ? min_u64(cpus, DEFAULT_QUEUES) : 1;
}

const char *device_option_text(const struct device_options *options, enum device_option_id id)
{
	return options->given[id] ? options->given[id] : device_option_table[id].preset;
}

/* ---- Consistency ---- */

static int forbidden_for_reading(const char *name, struct error *err)
{
	return error_set(err, -EINVAL, "--%s: writes the image, and --read-only forbids that",
			 name);
}

int device_options_check(const struct device_options *options, struct error *err)
{
	bool populates = options->stream || options->prefetch;

	if (options->read_only && options->copy_on_read)
		return forbidden_for_reading("copy-on-read", err);
	if (options->read_only && options->accept_backing)
		return forbidden_for_reading("accept-backing", err);
	if (options->read_only && populates)
		return forbidden_for_reading(options->stream ? "stream" : "prefetch", err);
	if ((options->speed || options->stream_paused) && !populates)
		return error_set(err, -EINVAL, "--%s: needs --stream or --prefetch",
				 options->speed ? "speed" : "stream-paused");
	if (options->stream_base && !options->stream)
		return error_set(err, -EINVAL, "--stream-base: needs --stream");
	if (options->backing_format && !options->backing)
		return error_set(err, -EINVAL, "--backing-format: needs the option backing");
	return 0;
}

/* ---- Help ---- */

#define HELP_COLUMN 26
#define HELP_WIDTH  80

/* Print words, from @column on, in lines that begin at HELP_COLUMN. */
static int print_words(FILE *to, const char *words, int column)
{
	while (*words) {
		int len = (int)strcspn(words, " ");

		if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
			fputc('\n', to);
			column = 0;
		}
		if (column < HELP_COLUMN)
			column += fprintf(to, "%*s", HELP_COLUMN - column, "");
		else
			column += fprintf(to, " ");
		column += fprintf(to, "%.*s", len, words);
		words += len + (words[len] == ' ');
	}
	return column;
}

static void print_option(FILE *to, const struct device_option *option, enum device_program program)
{
	const char *value = option->value ? option->value : "";
	char preset[64];
	int column;

	if (program == DEVICE_PLUGIN)
		column = fprintf(to, "%s=%s", option->name, *value ? value : "BOOL");
	else
		column = fprintf(to, "  --%s%s%s", option->name, *value ? " " : "", value);
	if (column >= HELP_COLUMN) {
		fputc('\n', to);
		column = 0;
	}
	column = print_words(to, option->help, column);
	if (option->preset) {
		snprintf(preset, sizeof(preset), "(%s)", option->preset);
		print_words(to, preset, column);
	}
	fputc('\n', to);
}

void device_options_print_help(FILE *to, enum device_program program)
{
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		if (device_option_table[i].programs & program)
			print_option(to, &device_option_table[i], program);
	fprintf(to, "\nSupported formats:");
	blk_print_formats(to);
	fputc('\n', to);
}
