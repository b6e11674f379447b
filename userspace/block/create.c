// SPDX-License-Identifier: GPL-2.0
/*
 * New images: their options, from the rows of the format and of its file, and creating them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/image_name.h"
#include "block/node_internal.h"
#include "file/name.h"
#include "util/units.h"

/* Of every format; the last two where there are backing files. */
static const struct blk_option_row common_rows[] = {
	{ .name = "size", .help = "Virtual disk size", .type = BLK_OPTION_SIZE },
	{ .name = "backing_file", .help = "File name of a base image" },
	{ .name = "backing_fmt", .help = "Image format of the base image" },
};

/* Return row *@index of @rows (NULL: none), or NULL with their number taken off *@index. */
static const struct blk_option_row *row_of(const struct blk_option_row *rows, size_t *index)
{
	for (; rows && rows->name; rows++, --*index)
		if (!*index)
			return rows;
	return NULL;
}

const struct blk_option_row *blk_create_option(const struct blk_driver *driver, bool of_file,
					       size_t index)
{
	size_t common = driver->has_backing ? ARRAY_SIZE(common_rows) : 1;
	const struct blk_option_row *row;

	if (index < common)
		return &common_rows[index];
	index -= common;
	row = row_of(driver->create_options, &index);
	return row || !of_file ? row : row_of(blk_file_create_options, &index);
}

/* Options that a caller can give as a field of struct blk_create_opts, too; 0 is not given. */
static const struct {
	const char *name;
	size_t field; /* a uint32_t */
} fields[] = {
	{ "cluster_size", offsetof(struct blk_create_opts, cluster_size) },
	{ "table_size", offsetof(struct blk_create_opts, table_size) },
};

static uint32_t field_of(const struct blk_create_opts *opts, size_t i)
{
	return *(const uint32_t *)((const char *)opts + fields[i].field);
}

static const struct blk_option_row *find_row(const struct blk_driver *driver, const char *name)
{
	const struct blk_option_row *row = driver->create_options;

	while (row && row->name && strcmp(row->name, name))
		row++;
	return row && row->name ? row : NULL;
}

uint64_t blk_create_number(const struct blk_create_opts *opts, const char *name)
{
	const struct blk_option_row *row = find_row(blk_driver_find(opts->format), name);
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].name, name) && field_of(opts, i))
			return field_of(opts, i);
	(void)blk_options_take_row(opts->options, row, &number, NULL);
	return number;
}

/* Find the driver of @opts, check all options, and complete @opts. */
static int prepare(struct blk_create_opts *opts, const struct blk_driver **driver,
		   struct blk_file_create *file, struct error *err)
{
	const struct blk_option_row *row;
	uint64_t number;
	int ret = blk_driver_get(opts->format, driver, err);

	if (!ret)
		ret = blk_file_create_take(file, opts->options, err);
	if (ret)
		return ret;
	if (file->prealloc == BLK_PREALLOC_METADATA && !find_row(*driver, "preallocation"))
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode: %s",
				 blk_prealloc_names[file->prealloc]);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (field_of(opts, i) && !find_row(*driver, fields[i].name))
			return error_set(err, -EINVAL, "format %s has no option %s",
					 (*driver)->name, fields[i].name);
	for (row = (*driver)->create_options; row && row->name; row++)
		if (row->type == BLK_OPTION_SIZE &&
		    blk_options_take_row(opts->options, row, &number, err))
			return -EINVAL;
	if (opts->backing_format && !blk_format_is_known(opts->backing_format))
		return error_set(err, -EINVAL, "Parameter 'backing-fmt' does not accept value '%s'",
				 opts->backing_format);
	opts->backing_format = blk_stored_format(opts->backing_format);
	opts->prealloc = file->prealloc;
	return 0;
}

static int check(const struct blk_driver *driver, const struct blk_create_opts *opts,
		 struct error *err)
{
	if (!driver->co_create)
		return error_set(err, -ENOTSUP, "format %s cannot be created", driver->name);
	if (opts->size > INT64_MAX)
		return error_set(err, -EFBIG, "Image size must be less than 8 EiB");
	if (opts->backing_file && !driver->has_backing)
		return error_set(err, -ENOTSUP, "Backing file not supported for file format '%s'",
				 driver->name);
	return driver->check_create ? driver->check_create(opts, err) : 0;
}

static int create_file(const struct blk_driver *driver, const struct blk_create_opts *opts,
		       const struct blk_file_create *create, struct error *err)
{
	struct blk_file *file;
	int ret = blk_file_co_create(&file, opts->filename, create, err);

	if (ret)
		return ret;
	ret = driver->co_create(file, opts, err);
	if (ret && opts->exclusive)
		(void)unlink(opts->filename);
	blk_file_co_close(file);
	return ret;
}

/* Set *@source (heap) to the place of the backing file. */
static int source_of(const struct blk_create_opts *opts, char **source, struct error *err)
{
	struct blk_image_name image;
	char *name;
	int ret = blk_name_beside(opts->filename, opts->backing_file, &name, err);

	if (ret)
		return ret;
	/* The caller may not care whether it can be opened. */
	if (!blk_image_name_parse(&image, name, opts->backing_format, NULL, NULL)) {
		*source = image.filename;
		image.filename = NULL;
		blk_image_name_free(&image);
	}
	free(name);
	return 0;
}

int blk_co_create(const struct blk_create_opts *opts, struct error *err)
{
	struct blk_file_create create = { .exclusive = opts->exclusive };
	struct blk_create_opts full = *opts;
	const struct blk_driver *driver;
	char *source = NULL;
	int ret = prepare(&full, &driver, &create, err);

	if (!ret)
		ret = check(driver, &full, err);
	if (!ret && opts->backing_file)
		ret = source_of(opts, &source, err);
	create.source = source;
	if (!ret)
		ret = create_file(driver, &full, &create, err);
	free(source);
	if (ret) {
		error_set_errno(err, ret, "%s", opts->filename);
		blk_error_name_file(err, opts->filename);
	}
	return ret;
}

int blk_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err)
{
	struct blk_create_opts full = *opts;
	struct blk_file_create create = { 0 };
	const struct blk_driver *driver;
	int ret = prepare(&full, &driver, &create, err);

	if (ret)
		return ret;
	if (!driver->co_measure)
		return error_set(err, -ENOTSUP,
				 "Block driver '%s' does not support size measurement",
				 driver->name);
	if (driver->check_create)
		ret = driver->check_create(&full, err);
	if (!ret)
		ret = driver->co_measure(&full, source, result, err);
	return ret ? error_set_errno(err, ret, "size measurement") : 0;
}
