// SPDX-License-Identifier: GPL-2.0
/* Creation options of an image, by the rows of its format: parsing, help, the "Formatting" line. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "util/units.h"

#define MAX_ROWS 64

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
}

static void no_creation(const char *format, struct error *err)
{
	char line[128];

	snprintf(line, sizeof(line), "Format driver '%s' does not support image creation", format);
	error_set_detail(err, -ENOTSUP, line, "%s is read-only here", format);
}

const struct blk_driver *img_new_driver(const char *format, struct error *err)
{
	const struct blk_driver *driver = blk_driver_find(format);

	if (!driver)
		error_set(err, -EINVAL, "Unknown file format '%s'", format);
	else if (!driver->co_create)
		no_creation(driver->name, err);
	return driver && driver->co_create ? driver : NULL;
}

int img_options_add(char **all, const char *list)
{
	size_t len = strlen(list);
	char *joined;

	/* Joining two lists must not create a ",,". */
	if (!len || list[0] == ',' || list[len - 1] == ',')
		return report_error("Invalid option list: %s", list);
	if (asprintf(&joined, "%s%s%s", *all ? *all : "", *all ? "," : "", list) < 0)
		return report_error("%s", strerror(ENOMEM));
	free(*all);
	*all = joined;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct blk_option_row *const *)a)->name,
		      (*(const struct blk_option_row *const *)b)->name);
}

int img_options_help(const char *format, bool have_filename)
{
	static const char *const types[] = { "str", "size", "bool (on/off)" };
	const struct blk_option_row *rows[MAX_ROWS];
	struct error err = ERROR_INIT;
	const struct blk_driver *driver = img_new_driver(format, &err);
	char spec[64];
	size_t n = 0;

	if (!driver)
		return report_fail(&err);
	/* Without a file name its file system, and so its options, are unknown. */
	while (n < MAX_ROWS && (rows[n] = blk_create_option(driver, have_filename, n)))
		n++;
	qsort(rows, n, sizeof(rows[0]), by_name);
	printf(have_filename ? "Supported options:\n" : "Supported %s options:\n", format);
	for (size_t i = 0; i < n; i++) {
		snprintf(spec, sizeof(spec), "%s=<%s>", rows[i]->name, types[rows[i]->type]);
		printf("  %-22s - %s\n", spec, rows[i]->help);
	}
	if (!have_filename)
		printf("\nThe protocol level may support further options.\n"
		       "Specify the target filename to include those options.\n");
	return 0;
}

/* ---- Parsing ---- */

static int set(char **text, const char *value, struct error *err)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : no_memory(err);
}

/* Check the value of @row, and store sizes as a number of bytes. */
static int store(struct img_create_options *opts, const struct blk_option_row *row,
		 const char *value, struct error *err)
{
	char digits[32];
	uint64_t number;

	if (row->type == BLK_OPTION_SWITCH && strcmp(value, "on") && strcmp(value, "off"))
		return error_set(err, -EINVAL, "Parameter '%s' expects 'on' or 'off'", row->name);
	if (row->type == BLK_OPTION_SIZE) {
		if (img_parse_size_option(row->name, value, &number, err) < 0)
			return err->code;
		snprintf(digits, sizeof(digits), "%" PRIu64, number);
		if (blk_options_set(opts->given, row->name, digits))
			return no_memory(err);
	}
	if (!strcmp(row->name, "size")) {
		opts->size = number;
		opts->has_size = true;
	} else if (!strcmp(row->name, "backing_file")) {
		return set(&opts->backing_file, value, err);
	} else if (!strcmp(row->name, "backing_fmt")) {
		return set(&opts->backing_fmt, value, err);
	}
	return 0;
}

static int parse_item(struct img_create_options *opts, const struct blk_driver *driver,
		      const char *name, struct error *err)
{
	const struct blk_option_row *row;

	for (size_t i = 0; (row = blk_create_option(driver, true, i)); i++)
		if (!strcmp(row->name, name))
			return store(opts, row, blk_options_take(opts->given, name), err);
	return error_set(err, -EINVAL, "Invalid parameter '%s'", name);
}

int img_options_parse(struct img_create_options *opts, const char *all, const char *format,
		      struct error *err)
{
	const char *name;
	int ret;

	if (!all)
		return 0;
	ret = image_opts_parse(&opts->given, all, NULL, IMAGE_OPTS_SILENT, err);
	while (!ret && (name = blk_options_left(opts->given)))
		ret = parse_item(opts, blk_driver_find(format), name, err);
	return ret;
}

int img_options_set_backing(struct img_create_options *opts, const char *format, const char *file,
			    const char *file_format, struct error *err)
{
	if ((file || file_format) && !blk_driver_find(format)->has_backing)
		return error_set(err, -ENOTSUP, "Backing %s not supported for file format '%s'",
				 file ? "file" : "file format", format);
	if (file && set(&opts->backing_file, file, err))
		return -ENOMEM;
	return file_format ? set(&opts->backing_fmt, file_format, err) : 0;
}

void img_options_free(struct img_create_options *opts)
{
	free(opts->backing_file);
	free(opts->backing_fmt);
	blk_options_free(opts->given);
}

/* ---- Printing and making ---- */

/* Return the value of @row as it is printed, or NULL if it was not given. */
static const char *given(const struct img_create_options *opts, const struct blk_option_row *row)
{
	if (!strcmp(row->name, "backing_file"))
		return opts->backing_file;
	if (!strcmp(row->name, "backing_fmt"))
		return opts->backing_fmt;
	return opts->given ? blk_options_take(opts->given, row->name) : NULL;
}

void img_options_print(const struct img_create_options *opts, const char *filename,
		       const char *format)
{
	const struct blk_driver *driver = blk_driver_find(format);
	const struct blk_option_row *row;
	const char *value;

	printf("Formatting '%s', fmt=%s size=%" PRIu64, filename, format, opts->size);
	/* The first row is the size. */
	for (size_t i = 1; (row = blk_create_option(driver, true, i)); i++) {
		value = given(opts, row);
		if (!value && row->preset_is_shown)
			printf(" %s=%" PRIu64, row->name, row->preset);
		if (value)
			printf(" %s=", row->name);
		for (; value && *value; value++)
			printf(*value == ',' ? ",," : "%c", *value);
	}
	printf("\n");
	fflush(stdout);
}

static struct blk_create_opts to_create_opts(const struct img_create_options *opts,
					     const char *filename, const char *format)
{
	return (struct blk_create_opts){
		.filename = filename,
		.format = format,
		.size = round_up(opts->size, SECTOR_SIZE),
		.backing_file = opts->backing_file,
		.backing_format = opts->backing_fmt,
		.incomplete = opts->incomplete,
		.options = opts->given,
	};
}

int img_co_measure(const struct img_create_options *opts, const char *format,
		   struct blk_node *source, struct blk_measure *result, struct error *err)
{
	struct blk_create_opts create = to_create_opts(opts, NULL, format);

	return blk_co_measure(&create, source, result, err);
}

int img_co_make(const struct img_create_options *opts, const char *filename, const char *format,
		struct error *err)
{
	struct blk_create_opts create = to_create_opts(opts, filename, format);

	return image_co_create(&create, err);
}
