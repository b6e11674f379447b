// SPDX-License-Identifier: GPL-2.0
/* Creation options of an image: one table for parsing, help and the "Formatting" line. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "image/image_opts.h"
#include "image/size.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "util/units.h"

#define QED_DEFAULT_CLUSTER_SIZE UINT64_C(65536)
#define QED_MIN_CLUSTER_SIZE	 4096u
#define QED_MAX_CLUSTER_SIZE	 67108864u
#define QED_MAX_TABLE_SIZE	 16u

enum option_kind { OPTION_STRING, OPTION_SIZE, OPTION_BOOL };

/* In place of a format: options of files, independent of their format. */
#define OF_FILES "file"

struct option_row {
	const char *name, *help;
	enum option_kind kind;
	const char *format; /* NULL: every format */
	size_t value, given; /* offsets in struct img_create_options; @given except for strings */
};

#define FIELD(f) offsetof(struct img_create_options, f)

static const struct option_row rows[] = {
	{ "backing_file", "File name of a base image", OPTION_STRING, "qed", FIELD(backing_file),
	  0 },
	{ "backing_fmt", "Image format of the base image", OPTION_STRING, "qed", FIELD(backing_fmt),
	  0 },
	{ "cluster_size", "Cluster size (in bytes)", OPTION_SIZE, "qed", FIELD(cluster_size),
	  FIELD(has_cluster_size) },
	{ "extent_size_hint", "Extent size hint for the image file, 0 to disable", OPTION_SIZE,
	  OF_FILES, FIELD(extent_size_hint), FIELD(has_extent_size_hint) },
	{ "nocow", "Turn off copy-on-write (valid only on btrfs)", OPTION_BOOL, OF_FILES,
	  FIELD(nocow), FIELD(has_nocow) },
	{ "preallocation", "Preallocation mode (allowed values: off, falloc, full)", OPTION_STRING,
	  OF_FILES, FIELD(preallocation), 0 },
	{ "size", "Virtual disk size", OPTION_SIZE, NULL, FIELD(size), FIELD(has_size) },
	{ "table_size", "L1/L2 table size (in clusters)", OPTION_SIZE, "qed", FIELD(table_size),
	  FIELD(has_table_size) },
};

static bool is_of_files(const struct option_row *row)
{
	return row->format && !strcmp(row->format, OF_FILES);
}

static bool row_is_for(const struct option_row *row, const char *format)
{
	return !row->format || is_of_files(row) || !strcmp(row->format, format);
}

bool img_format_has_backing(const char *format)
{
	return !strcmp(format, "qed");
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

int img_options_help(const char *format, bool have_filename)
{
	static const char *const kinds[] = { "str", "size", "bool (on/off)" };
	char spec[64];
	size_t i;

	if (!blk_driver_find(format))
		return report_error("Unknown file format '%s'", format);
	printf(have_filename ? "Supported options:\n" : "Supported %s options:\n", format);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		/* Without a file name its file system, and so its options, are unknown. */
		if (!row_is_for(&rows[i], format) || (!have_filename && is_of_files(&rows[i])))
			continue;
		snprintf(spec, sizeof(spec), "%s=<%s>", rows[i].name, kinds[rows[i].kind]);
		printf("  %-22s - %s\n", spec, rows[i].help);
	}
	if (!have_filename)
		printf("\nThe protocol level may support further options.\n"
		       "Specify the target filename to include those options.\n");
	return 0;
}

static int store(struct img_create_options *opts, const struct option_row *row, const char *value,
		 struct error *err)
{
	uint64_t *number = (uint64_t *)((char *)opts + row->value);
	char **string = (char **)((char *)opts + row->value);

	if (row->kind == OPTION_STRING) {
		free(*string);
		*string = strdup(value);
		return *string ? 0 : error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	if (row->kind == OPTION_BOOL) {
		bool *on = (bool *)((char *)opts + row->value);

		*on = !strcmp(value, "on");
		if (!*on && strcmp(value, "off"))
			return error_set(err, -EINVAL, "Parameter '%s' expects 'on' or 'off'",
					 row->name);
	} else if (img_parse_size_option(row->name, value, number, err) < 0) {
		return err->code;
	}
	*(bool *)((char *)opts + row->given) = true;
	return 0;
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
static int parse_item(struct img_create_options *opts, char *item, const char *format,
		      struct error *err)
{
	char *value = strchr(item, '=');
	size_t i;

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
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, item) && row_is_for(&rows[i], format))
			break;
	if (i == ARRAY_SIZE(rows))
		return error_set(err, -EINVAL, "Invalid parameter '%s'", item);
	return store(opts, &rows[i], value, err);
}

int img_options_parse(struct img_create_options *opts, const char *all, const char *format,
		      struct error *err)
{
	char *item;
	size_t len;
	int ret;

	for (; all && *all; all += len + (all[len] == ',')) {
		len = image_opts_item_len(all);
		item = strndup(all, len);
		if (!item)
			return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
		ret = parse_item(opts, item, format, err);
		free(item);
		if (ret < 0)
			return ret;
	}
	return 0;
}

void img_options_free(struct img_create_options *opts)
{
	free(opts->backing_file);
	free(opts->backing_fmt);
	free(opts->preallocation);
}

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
	printf("Formatting '%s', fmt=%s size=%" PRIu64, filename, format, opts->size);
	print_string("backing_file", opts->backing_file);
	print_string("backing_fmt", opts->backing_fmt);
	if (!strcmp(format, "qed"))
		printf(" cluster_size=%" PRIu64,
		       opts->has_cluster_size ? opts->cluster_size : QED_DEFAULT_CLUSTER_SIZE);
	if (opts->has_table_size)
		printf(" table_size=%" PRIu64, opts->table_size);
	if (opts->has_nocow)
		printf(" nocow=%s", opts->nocow ? "on" : "off");
	print_string("preallocation", opts->preallocation);
	if (opts->has_extent_size_hint)
		printf(" extent_size_hint=%" PRIu64, opts->extent_size_hint);
	printf("\n");
	fflush(stdout);
}

/* Preallocate @bytes for the new raw image @path: falloc, or full, which writes zeroes. */
static int preallocate(const char *path, const char *mode, uint64_t bytes, struct error *err)
{
	static const char zeroes[64 * KiB];
	uint64_t done = 0;
	ssize_t n;
	int fd, ret;

	if (!bytes || !mode || !strcmp(mode, "off"))
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, -errno, "Could not open '%s'", path);
	ret = -posix_fallocate(fd, 0, (off_t)bytes);
	while (!ret && !strcmp(mode, "full") && done < bytes) {
		n = pwrite(fd, zeroes, min_u64(bytes - done, sizeof(zeroes)), (off_t)done);
		if (n < 0)
			ret = -errno;
		else
			done += (uint64_t)n;
	}
	if (!ret && fdatasync(fd) < 0)
		ret = -errno;
	if (ret < 0)
		error_set_errno(err, ret, "Could not preallocate '%s'", path);
	close(fd);
	return ret;
}

/*
 * Create an empty file and set its allocation hints, which must be set while it is
 * empty. A file system without them, or an existing file, is left without hints.
 */
static void prepare_file(const struct img_create_options *opts, const char *path)
{
	struct fsxattr attr;
	int flags, fd;

	if (!opts->nocow && !opts->has_extent_size_hint)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (opts->nocow && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	if (opts->extent_size_hint && ioctl(fd, FS_IOC_FSGETXATTR, &attr) == 0) {
		attr.fsx_xflags |= FS_XFLAG_EXTSIZE;
		attr.fsx_extsize = (uint32_t)opts->extent_size_hint;
		(void)ioctl(fd, FS_IOC_FSSETXATTR, &attr);
	}
	close(fd);
}

/* Reject preallocation of a device, before anything is written to it. */
static int check_preallocation(const char *path, const char *mode, struct error *err)
{
	struct stat st;

	if (!mode || !strcmp(mode, "off") || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	return error_set(err, -ENOTSUP, "Unsupported preallocation mode '%s'", mode);
}

static bool in_range(uint64_t n, uint64_t min, uint64_t max)
{
	return n >= min && n <= max && is_power_of_2(n);
}

static int check_options(const struct img_create_options *opts, struct error *err)
{
	const char *mode = opts->preallocation;

	if (mode && !strcmp(mode, "metadata"))
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode: %s", mode);
	if (mode && strcmp(mode, "off") && strcmp(mode, "falloc") && strcmp(mode, "full"))
		return error_set(err, -EINVAL, "invalid parameter value: %s", mode);
	if (opts->extent_size_hint > UINT32_MAX)
		return error_set(err, -EINVAL, "Extent size hint is too large");
	/* Check it here, since lower layers take zero as the default. */
	if (opts->has_cluster_size &&
	    !in_range(opts->cluster_size, QED_MIN_CLUSTER_SIZE, QED_MAX_CLUSTER_SIZE))
		return error_set(err, -EINVAL,
				 "QED cluster size must be within range [%u, %u] and power of 2",
				 QED_MIN_CLUSTER_SIZE, QED_MAX_CLUSTER_SIZE);
	if (opts->has_table_size && !in_range(opts->table_size, 1, QED_MAX_TABLE_SIZE))
		return error_set(err, -EINVAL,
				 "QED table size must be within range [1, %u] and power of 2",
				 QED_MAX_TABLE_SIZE);
	return 0;
}

static struct blk_create_opts to_create_opts(const struct img_create_options *opts,
					     const char *path, const char *format)
{
	return (struct blk_create_opts){
		.filename = path,
		.format = format,
		.size = round_up(opts->size, SECTOR_SIZE),
		.cluster_size = (uint32_t)opts->cluster_size,
		.table_size = (uint32_t)opts->table_size,
		.backing_file = opts->backing_file,
		.backing_format = opts->backing_fmt,
		.incomplete = opts->incomplete,
	};
}

int img_co_measure(const struct img_create_options *opts, const char *format,
		   struct blk_node *source, struct blk_measure *result, struct error *err)
{
	struct blk_create_opts create = to_create_opts(opts, NULL, format);
	int ret = check_options(opts, err);

	return ret ? ret : blk_co_measure(&create, source, result, err);
}

int img_co_make(const struct img_create_options *opts, const char *filename, const char *format,
		struct error *err)
{
	const char *path = image_path(filename, err);
	struct blk_create_opts create = to_create_opts(opts, path, format);
	int ret;

	if (!path)
		return err->code;
	ret = check_options(opts, err);
	if (!ret)
		ret = check_preallocation(path, opts->preallocation, err);
	if (ret < 0)
		return ret;
	prepare_file(opts, path);
	ret = image_co_create(&create, err);
	/* Other formats set the length of their file themselves. */
	if (ret == 0 && !strcmp(format, "raw"))
		ret = preallocate(path, opts->preallocation, create.size, err);
	return ret;
}
