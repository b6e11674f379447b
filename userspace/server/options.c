// SPDX-License-Identifier: GPL-2.0
/* The command line: one table of options, from which parsing and help come. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/loop.h"
#include "server/options.h"
#include "ublk/name.h"
#include "ublk/uapi.h"
#include "util/units.h"

/* Of the loops that a process may have, some are not for queues. */
#define MAX_QUEUES     (AIO_MAX_LOOPS - 16)
#define DEFAULT_QUEUES 4
#define DEFAULT_DEPTH  128

struct option {
	const char *name;
	const char *value; /* what the help calls it, NULL: takes none */
	int (*set)(struct options *options, const char *value);
	const char *help;
};

/* ---- Values ---- */

/* A decimal number from @min to @max. */
static int parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *n)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*n = strtoul(text, &end, 10);
	if (errno || *end || *n < min || *n > max)
		return -EINVAL;
	return 0;
}

static int parse_choice(const char *text, const char *no, const char *yes, bool *result)
{
	if (strcmp(text, no) && strcmp(text, yes))
		return -EINVAL;
	*result = !strcmp(text, yes);
	return 0;
}

static int parse_size32(const char *text, uint32_t *bytes)
{
	uint64_t size;

	if (parse_size(text, &size) || !size || size > UINT32_MAX)
		return -EINVAL;
	*bytes = size;
	return 0;
}

/* ---- Setters, in the order of the table ---- */

static int set_name(struct options *options, const char *value)
{
	options->name = value;
	return device_name_is_valid(value) ? 0 : -EINVAL;
}

static int set_image(struct options *options, const char *value)
{
	options->image = value;
	return *value ? 0 : -EINVAL;
}

static int set_format(struct options *options, const char *value)
{
	options->format = value;
	return *value ? 0 : -EINVAL;
}

static int set_read_only(struct options *options, const char *value)
{
	(void)value;
	options->read_only = true;
	return 0;
}

static int set_size(struct options *options, const char *value)
{
	uint64_t size;

	if (parse_size(value, &size) || !size || size > INT64_MAX - SECTOR_SIZE)
		return -EINVAL;
	options->size = round_up(size, SECTOR_SIZE);
	return 0;
}

static int set_backing(struct options *options, const char *value)
{
	options->no_backing = !strcmp(value, "none");
	options->backing = options->no_backing ? NULL : value;
	return *value ? 0 : -EINVAL;
}

static int set_backing_dir(struct options *options, const char *value)
{
	options->backing_dir = value;
	return *value ? 0 : -EINVAL;
}

static int set_backing_format(struct options *options, const char *value)
{
	options->backing_format = value;
	return *value ? 0 : -EINVAL;
}

static int set_cluster_size(struct options *options, const char *value)
{
	return parse_size32(value, &options->cluster_size);
}

static int set_table_size(struct options *options, const char *value)
{
	unsigned long n;

	if (parse_number(value, 1, UINT32_MAX, &n))
		return -EINVAL;
	options->table_size = n;
	return 0;
}

static int set_copy_on_read(struct options *options, const char *value)
{
	(void)value;
	options->copy_on_read = COPY_ON_READ_ON;
	return 0;
}

static int set_no_copy_on_read(struct options *options, const char *value)
{
	(void)value;
	options->copy_on_read = COPY_ON_READ_OFF;
	return 0;
}

static int set_stream(struct options *options, const char *value)
{
	(void)value;
	options->stream = true;
	return 0;
}

static int set_stream_base(struct options *options, const char *value)
{
	options->stream_base = value;
	return *value ? 0 : -EINVAL;
}

static int set_stream_paused(struct options *options, const char *value)
{
	(void)value;
	options->stream_paused = true;
	return 0;
}

static int set_speed(struct options *options, const char *value)
{
	options->speed = 0;
	if (!strcmp(value, "0"))
		return 0;
	return parse_size(value, &options->speed) || !options->speed ? -EINVAL : 0;
}

static int set_prefetch(struct options *options, const char *value)
{
	options->prefetch = value;
	return *value ? 0 : -EINVAL;
}

static int set_pending(struct options *options, const char *value)
{
	return parse_choice(value, "drop", "finish", &options->finish_pending);
}

static int set_detect_zeroes(struct options *options, const char *value)
{
	options->detect_zeroes = detect_zeroes_mode(value);
	return options->detect_zeroes < DETECT_ZEROES_MODES ? 0 : -EINVAL;
}

static int set_discard(struct options *options, const char *value)
{
	return parse_choice(value, "ignore", "unmap", &options->discard);
}

static int set_cache(struct options *options, const char *value)
{
	return parse_choice(value, "writeback", "none", &options->direct);
}

static int set_queues(struct options *options, const char *value)
{
	unsigned long n;

	if (parse_number(value, 1, MAX_QUEUES, &n))
		return -EINVAL;
	options->queues = n;
	return 0;
}

static int set_depth(struct options *options, const char *value)
{
	unsigned long n;

	if (parse_number(value, 1, UBLK_MAX_QUEUE_DEPTH, &n))
		return -EINVAL;
	options->depth = n;
	return 0;
}

static int set_l2_cache(struct options *options, const char *value)
{
	if (parse_size(value, &options->l2_cache) || !options->l2_cache)
		return -EINVAL;
	return 0;
}

static int set_recover(struct options *options, const char *value)
{
	(void)value;
	options->recover = true;
	return 0;
}

static int set_foreground(struct options *options, const char *value)
{
	(void)value;
	options->foreground = true;
	return 0;
}

static int set_ready_fd(struct options *options, const char *value)
{
	unsigned long n;

	if (parse_number(value, 0, INT32_MAX, &n))
		return -EINVAL;
	options->ready_fd = n;
	return 0;
}

static int set_help(struct options *options, const char *value)
{
	(void)value;
	options->help = true;
	return 0;
}

static int set_version(struct options *options, const char *value)
{
	(void)value;
	options->version = true;
	return 0;
}

static const struct option table[] = {
	{ "name", "NAME", set_name, "name of the device (required)" },
	{ "image", "FILE", set_image,
	  "the image (required); created if it does not exist and\n"
	  "--size or --backing is given" },
	{ "format", "FORMAT", set_format,
	  "format of the image; by default it is probed, and a\n"
	  "new image is qed" },
	{ "read-only", NULL, set_read_only, "open the image for reading only" },
	{ "size", "SIZE", set_size, "size of a new image (that of its backing file)" },
	{ "backing", "FILE|none", set_backing,
	  "backing file of a new image; none: refuse an image\n"
	  "that has one" },
	{ "backing-dir", "DIR", set_backing_dir,
	  "refuse backing files that do not lie below DIR,\n"
	  "symbolic links followed" },
	{ "backing-format", "FORMAT", set_backing_format, "format of the backing file" },
	{ "cluster-size", "SIZE", set_cluster_size, "cluster size of a new image" },
	{ "table-size", "N", set_table_size, "clusters in a table of a new image" },
	{ "copy-on-read", NULL, set_copy_on_read,
	  "keep what is read from the backing file (the\n"
	  "default where there is one)" },
	{ "no-copy-on-read", NULL, set_no_copy_on_read, "do not" },
	{ "stream", NULL, set_stream,
	  "fill the image from its backing file in the\n"
	  "background, then do without it" },
	{ "stream-base", "FILE", set_stream_base,
	  "of the backing chain: it stays, what lies above it\n"
	  "goes into the image" },
	{ "stream-paused", NULL, set_stream_paused, "the stream, or the prefetch, begins paused" },
	{ "speed", "RATE", set_speed, "of the stream, in bytes a second (0: no limit)" },
	{ "prefetch", "TRACE", set_prefetch, "fetch first what the trace lists, in its order" },
	{ "pending", "drop|finish", set_pending,
	  "at the end, what becomes of clusters that were read\n"
	  "and are not kept yet (drop)" },
	{ "detect-zeroes", "off|on|unmap", set_detect_zeroes,
	  "what becomes of guests' writes of zeroes (off)" },
	{ "discard", "ignore|unmap", set_discard, "what discards do (unmap)" },
	{ "cache", "none|writeback", set_cache, "the host's cache for image files (none)" },
	{ "queues", "N", set_queues, "queues, a thread each (one a CPU, at most 4)" },
	{ "depth", "N", set_depth, "requests in flight, a queue (128)" },
	{ "l2-cache", "SIZE", set_l2_cache, "memory for the image's tables (16M)" },
	{ "recover", NULL, set_recover,
	  "go on with the device of a server of this name that\n"
	  "died, whose options are given again" },
	{ "foreground", NULL, set_foreground, "stay attached, log to standard error" },
	{ "ready-fd", "N", set_ready_fd,
	  "write `ready DEVICE [created]' or `error TEXT'\n"
	  "there" },
	{ "help", NULL, set_help, "print this" },
	{ "version", NULL, set_version, "print the version" },
};

/* ---- Parsing ---- */

/* The option that "--NAME" or "--NAME=VALUE" names; *@value is set for the latter. */
static const struct option *find_option(const char *arg, const char **value)
{
	size_t len = strcspn(arg, "=");

	*value = arg[len] ? arg + len + 1 : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strlen(table[i].name) == len && !strncmp(table[i].name, arg, len))
			return &table[i];
	return NULL;
}

/* Says, too, what the option takes. */
static int bad_value(const struct option *option, const char *value, struct error *err)
{
	unsigned int max = option->set == set_queues ? MAX_QUEUES :
			   option->set == set_depth  ? UBLK_MAX_QUEUE_DEPTH :
						       0;

	if (max)
		return error_set(err, -EINVAL, "--%s: not a number from 1 to %u: %s", option->name,
				 max, value);
	if (islower((unsigned char)option->value[0]))
		return error_set(err, -EINVAL, "--%s: not one of %s: %s", option->name,
				 option->value, value);
	return error_set(err, -EINVAL, "--%s: not a valid value: %s", option->name, value);
}

static int parse_one(struct options *options, char **argv, int *index, struct error *err)
{
	const char *arg = argv[*index], *value;
	const struct option *option;

	if (strncmp(arg, "--", 2))
		return error_set(err, -EINVAL, "%s: unexpected argument", arg);
	option = find_option(arg + 2, &value);
	if (!option)
		return error_set(err, -EINVAL, "%s: unknown option", arg);
	if (!option->value && value)
		return error_set(err, -EINVAL, "--%s: takes no value", option->name);
	if (option->value && !value) {
		value = argv[++*index];
		if (!value)
			return error_set(err, -EINVAL, "--%s: needs a value", option->name);
	}
	return option->set(options, value) ? bad_value(option, value, err) : 0;
}

static int check_whole(const struct options *options, struct error *err)
{
	if (options->help || options->version)
		return 0;
	if (!options->name)
		return error_set(err, -EINVAL, "--name is needed");
	if (!options->image)
		return error_set(err, -EINVAL, "--image is needed");
	if (options->read_only && options->copy_on_read == COPY_ON_READ_ON)
		return error_set(err, -EINVAL,
				 "--copy-on-read: writes the image, and --read-only "
				 "forbids that");
	if (options->read_only && (options->stream || options->prefetch))
		return error_set(err, -EINVAL,
				 "--%s: writes the image, and --read-only forbids that",
				 options->stream ? "stream" : "prefetch");
	if ((options->speed || options->stream_paused) && !options->stream && !options->prefetch)
		return error_set(err, -EINVAL, "--%s: needs --stream or --prefetch",
				 options->speed ? "speed" : "stream-paused");
	if (options->stream_base && !options->stream)
		return error_set(err, -EINVAL, "--stream-base: needs --stream");
	if (options->backing_format && !options->backing)
		return error_set(err, -EINVAL, "--backing-format: needs --backing");
	return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct error *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*options = (struct options){
		.discard = true,
		.direct = true,
		.queues = cpus > 0 ? min_u64(cpus, DEFAULT_QUEUES) : 1,
		.depth = DEFAULT_DEPTH,
		.ready_fd = -1,
	};
	for (int i = 1; i < argc; i++) {
		int ret = parse_one(options, argv, &i, err);

		if (ret < 0)
			return ret;
	}
	return check_whole(options, err);
}

/* ---- Help ---- */

#define HELP_COLUMN 26

static void print_option(FILE *to, const struct option *option)
{
	const char *line = option->help;
	int column = fprintf(to, "  --%s%s%s", option->name, option->value ? " " : "",
			     option->value ? option->value : "");

	if (column >= HELP_COLUMN) {
		fputc('\n', to);
		column = 0;
	}
	while (*line) {
		size_t len = strcspn(line, "\n");

		fprintf(to, "%*s%.*s\n", HELP_COLUMN - column, "", (int)len, line);
		line += len + (line[len] == '\n');
		column = 0;
	}
}

void options_print_help(FILE *to)
{
	fprintf(to, "Usage: qedd --name NAME --image FILE [OPTIONS]\n"
		    "Serve a disk image as a block device.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		print_option(to, &table[i]);
	fprintf(to, "\nSizes take K, M, G, T (base 1024).\n");
}
