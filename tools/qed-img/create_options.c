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

const struct blk_driver *img_new_driver(const char *format, struct error *err)
{
	const struct blk_driver *driver = blk_driver_find(format);

	if (!driver)
		error_set(err, -EINVAL, "Unknown file format '%s'", format);
	else if (!driver->co_create)
		error_set(err, -ENOTSUP, "Format driver '%s' does not support image creation",
			  format);
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

/* Check the value of @row and store it, sizes as a number of bytes. */
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
		value = digits;
	}
	if (!strcmp(row->name, "size")) {
		opts->size = number;
		opts->has_size = true;
		return 0;
	}
	if (!strcmp(row->name, "backing_file"))
		return set(&opts->backing_file, value, err);
	if (!strcmp(row->name, "backing_fmt"))
		return set(&opts->backing_fmt, value, err);
	return blk_options_set(opts->others, row->name, value) ? no_memory(err) : 0;
}

/* Make every ",," a ",". */
static void single_commas(char *text)
{
	char *to = text;

	for (; *text; text++) {
		*to++ = *text;
		if (text[0] == ',' && text[1] == ',')
			text++;
	}
	*to = '\0';
}

/* Parse @item, NAME=VALUE or NAME alone; modifies it. */
static int parse_item(struct img_create_options *opts, char *item, const struct blk_driver *driver,
		      struct error *err)
{
	const struct blk_option_row *row;
	char *value = strchr(item, '=');

	if (value) {
		*value++ = '\0';
		single_commas(value);
	} else if (!strncmp(item, "no", 2)) {
		/* The old form of switches. */
		item += 2;
		value = "off";
	} else {
		value = "on";
	}
	for (size_t i = 0; (row = blk_create_option(driver, true, i)); i++)
		if (!strcmp(row->name, item))
			return store(opts, row, value, err);
	return error_set(err, -EINVAL, "Invalid parameter '%s'", item);
}

int img_options_parse(struct img_create_options *opts, const char *all, const char *format,
		      struct error *err)
{
	char *item;
	size_t len;
	int ret;

	if (all && blk_options_new(&opts->others, err))
		return -ENOMEM;
	for (; all && *all; all += len + (all[len] == ',')) {
		len = image_opts_item_len(all);
		item = strndup(all, len);
		if (!item)
			return no_memory(err);
		ret = parse_item(opts, item, blk_driver_find(format), err);
		free(item);
		if (ret < 0)
			return ret;
	}
	return 0;
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
	blk_options_free(opts->others);
}

/* ---- Printing and making ---- */

static void print_string(const char *name, const char *value)
{
	if (!value)
		return;
	printf(" %s=", name);
	for (; *value; value++)
		printf(*value == ',' ? ",," : "%c", *value);
}

void img_options_print(const struct img_create_options *opts, const char *filename,
		       const char *format)
{
	const struct blk_driver *driver = blk_driver_find(format);
	const struct blk_option_row *row;

	printf("Formatting '%s', fmt=%s size=%" PRIu64, filename, format, opts->size);
	print_string("backing_file", opts->backing_file);
	print_string("backing_fmt", opts->backing_fmt);
	for (size_t i = 0; (row = blk_create_option(driver, true, i)); i++) {
		if (opts->others && blk_options_has(opts->others, row->name))
			print_string(row->name, blk_options_take(opts->others, row->name));
		else if (row->preset_is_shown)
			printf(" %s=%" PRIu64, row->name, row->preset);
	}
	printf("\n");
	fflush(stdout);
}

static struct blk_create_opts to_create_opts(const struct img_create_options *opts,
					     const char *path, const char *format)
{
	return (struct blk_create_opts){
		.filename = path,
		.format = format,
		.size = round_up(opts->size, SECTOR_SIZE),
		.backing_file = opts->backing_file,
		.backing_format = opts->backing_fmt,
		.incomplete = opts->incomplete,
		.options = opts->others,
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
	const char *path = image_path(filename, err);
	struct blk_create_opts create = to_create_opts(opts, path, format);

	return path ? image_co_create(&create, err) : err->code;
}
