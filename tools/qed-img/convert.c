// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img convert: copy images into a new one, or over an existing one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "job/convert.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "qed-img/progress.h"
#include "util/units.h"

/* The largest -S, in bytes. */
#define MAX_SPARSE (16u << 20)

struct convert {
	/* As given on the command line. */
	const char *source_format, *target_format;
	const char *backing_file, *backing_fmt; /* of -B and -F */
	const char *source_cache, *target_cache;
	char *options; /* heap, all of -o */
	bool no_create, target_is_zero, progress, quiet, compress, has_sparse;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	bool target_image_opts, bitmaps, skip_broken_bitmaps;
	const char *snapshot; /* of -l, or NULL */
	bool copy_range; /* accepted; copy_file_range() is not used */
	char **source_names;
	const char *target_name;

	struct img_create_options create;
	struct image_cache source_mode, target_mode;
	struct convert_opts copy;
};

static int parse_count(const char *text, unsigned int *count)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 0);
	if (errno || end == text || *end || n < 1 || n > PIECES_MAX_WORKERS)
		return report_error("Invalid number of coroutines. Allowed number of coroutines is "
				    "between 1 and %d",
				    PIECES_MAX_WORKERS);
	*count = (unsigned int)n;
	return 0;
}

static int parse_sparse(const char *text, uint64_t *sparse)
{
	if (img_parse_size("buffer size for sparse output", text, sparse))
		return 1;
	if (*sparse % SECTOR_SIZE || *sparse > MAX_SPARSE)
		return report_error("Invalid buffer size for sparse output specified. Valid sizes "
				    "are multiples of %u up to %u. Select 0 to disable sparse "
				    "detection (fully allocates output).",
				    SECTOR_SIZE, MAX_SPARSE);
	return 0;
}

static int parse_value(void *verb, const struct verb_option *option, const char *value)
{
	struct convert *c = verb;

	switch (option->letter) {
	case 'S':
		c->has_sparse = true;
		return parse_sparse(value, &c->copy.min_sparse);
	case 'm':
		return parse_count(value, &c->copy.workers);
	default:
		c->snapshot = value;
		return img_check_snapshot_param(value);
	}
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct convert, source_flags),
	IMG_FORCE_SHARE(struct convert, source_flags),
	OPT_SWITCH(0, "target-image-opts", struct convert, target_image_opts),
	OPT_SWITCH(0, "target-is-zero", struct convert, target_is_zero),
	OPT_SWITCH(0, "salvage", struct convert, copy.salvage),
	OPT_SWITCH(0, "bitmaps", struct convert, bitmaps),
	OPT_SWITCH(0, "skip-broken-bitmaps", struct convert, skip_broken_bitmaps),
	OPT_TEXT('B', NULL, struct convert, backing_file),
	OPT_TEXT('F', NULL, struct convert, backing_fmt),
	OPT_TEXT('O', NULL, struct convert, target_format),
	OPT_TEXT('T', NULL, struct convert, source_cache),
	OPT_TEXT('f', NULL, struct convert, source_format),
	OPT_TEXT('t', NULL, struct convert, target_cache),
	IMG_SIZE('r', NULL, struct convert, copy.speed, "rate limit"),
	OPT_CALL_VALUE('S', NULL, parse_value),
	OPT_CALL_VALUE('l', NULL, parse_value),
	OPT_CALL_VALUE('m', NULL, parse_value),
	IMG_LIST('o', NULL, struct convert, options),
	OPT_SWITCH('C', NULL, struct convert, copy_range),
	OPT_SWITCH('W', NULL, struct convert, copy.any_order),
	OPT_SWITCH('c', NULL, struct convert, compress),
	OPT_SWITCH('n', NULL, struct convert, no_create),
	OPT_SWITCH('p', NULL, struct convert, progress),
	OPT_SWITCH('q', NULL, struct convert, quiet),
	IMG_OPTIONS_END,
};

/* Reject options that exclude each other. */
static int check_letters(struct convert *c)
{
	if (c->skip_broken_bitmaps && !c->bitmaps)
		return report_error("Use of --skip-broken-bitmaps requires --bitmaps");
	if (c->copy_range && c->compress)
		return report_error("Cannot enable copy offloading when -c is used");
	if (c->copy_range && c->has_sparse)
		return report_error("Cannot enable copy offloading when -S is used");
	if (c->copy_range && c->copy.salvage)
		return report_error("Cannot use copy offloading in salvaging mode");
	if (c->target_image_opts && !c->no_create)
		return report_error("--target-image-opts requires use of -n flag");
	if (c->no_create && c->options)
		return report_error("-o has no effect when skipping image creation");
	if (c->target_is_zero && !c->no_create)
		return report_error("--target-is-zero requires use of -n flag");
	if (!c->copy.source_count)
		return report_error("Must specify image file name");
	if (image_cache_parse(c->source_cache, &c->source_mode) < 0)
		return report_error("Invalid source cache option: %s", c->source_cache);
	return 0;
}

static unsigned int open_flags(const struct image_cache *mode)
{
	return (mode->direct ? BLK_O_DIRECT : 0) | (mode->no_flush ? BLK_O_NO_FLUSH : 0);
}

static int co_open_sources(struct convert *c)
{
	unsigned int flags = IMG_O_ALONE | open_flags(&c->source_mode) | c->source_flags;
	struct convert_source *src;
	size_t i;

	c->copy.sources = calloc(c->copy.source_count, sizeof(*c->copy.sources));
	if (!c->copy.sources)
		return report_error("%s", strerror(ENOMEM));
	for (i = 0; i < c->copy.source_count; i++) {
		src = &c->copy.sources[i];
		src->node = img_co_open(c->source_names[i], c->source_format, flags);
		if (!src->node)
			return 1;
		src->start = c->copy.total;
		src->size = src->node->size;
		c->copy.total += src->size;
	}
	return 0;
}

/* -l: no readable image has a readable snapshot. */
static int co_check_snapshot(const struct convert *c)
{
	if (!c->snapshot)
		return 0;
	if (c->copy.source_count > 1 && strncmp(c->snapshot, "snapshot.", 9))
		return report_error("No support for concatenating multiple snapshot");
	return img_co_load_snapshot(c->copy.sources[0].node);
}

static int no_bitmaps(const char *format)
{
	return report_error("Format driver '%s' does not support bitmaps", format);
}

/* Merge options: -B FILE means -o backing_file=FILE, and so on. */
static int merge_options(struct convert *c, struct error *err)
{
	if (img_options_parse(&c->create, c->options, c->target_format, err) < 0)
		return err->code;
	/* Without a new image, the backing file of -B is compared with the one it has. */
	if (c->no_create) {
		c->create.backing_file = c->backing_file ? strdup(c->backing_file) : NULL;
	} else if (img_options_set_backing(&c->create, c->target_format, c->backing_file,
					   c->backing_fmt, err)) {
		return err->code;
	}
	c->create.size = c->copy.total;
	if (c->create.backing_file && c->copy.source_count > 1)
		return error_set(err, -EINVAL,
				 "Having a backing file for the target makes no sense "
				 "when concatenating multiple input images");
	if (!c->no_create && c->create.backing_file && !c->create.backing_fmt)
		return error_set(err, -EINVAL,
				 "Use of backing file requires explicit backing format");
	return 0;
}

static int check_target(struct convert *c)
{
	struct error err = ERROR_INIT;

	if (c->target_is_zero && c->backing_file)
		return report_error("Cannot use --target-is-zero when the destination image has a "
				    "backing file");
	if (!c->no_create &&
	    (!img_new_driver(c->target_format, &err) || image_check_new(c->target_name, &err)))
		return report_fail(&err);
	if (merge_options(c, &err) < 0)
		return report_fail(&err);
	if (c->compress)
		return report_error("Compression not supported for this file format");
	if (c->bitmaps && c->copy.source_count > 1)
		return report_error("Copying bitmaps only possible with single source");
	if (c->bitmaps && !c->copy.sources[0].node->driver->has_bitmaps)
		return report_error("Source lacks bitmap support");
	if (image_cache_parse(c->target_cache, &c->target_mode) < 0)
		return report_error("Invalid cache option: %s", c->target_cache);
	return c->bitmaps && !c->no_create ? no_bitmaps(c->target_format) : 0;
}

static int co_open_target(struct convert *c)
{
	unsigned int flags = BLK_O_RDWR;
	struct error err = ERROR_INIT;

	c->create.incomplete = true;
	if (!c->no_create && img_co_make(&c->create, c->target_name, c->target_format, &err) < 0) {
		error_prefix(&err, "%s: error while converting %s", c->target_name,
			     c->target_format);
		return report_fail(&err);
	}
	flags |= open_flags(&c->target_mode) | (c->target_image_opts ? IMG_O_IMAGE_OPTS : 0) |
		 (c->no_create ? 0 : BLK_O_INCOMPLETE);
	c->copy.target = img_co_open(c->target_name, c->target_format, flags);
	if (!c->copy.target)
		return 1;
	if (c->bitmaps)
		return no_bitmaps(c->copy.target->driver->name);
	if (c->copy.target->size < c->copy.total)
		return report_error("output file is smaller than input file");
	return 0;
}

static void warn_unreadable(uint64_t offset)
{
	report_error("warning: error while reading offset %" PRIu64, offset);
}

static int co_convert(struct convert *c)
{
	struct convert_opts *copy = &c->copy;
	struct error err = ERROR_INIT;

	if (co_open_sources(c) || co_check_snapshot(c) || check_target(c) || co_open_target(c))
		return 1;
	/* An existing target may have another backing file than -B says: then copy everything. */
	copy->target_has_backing =
		c->create.backing_file && copy->target->backing &&
		(!c->no_create || image_has_backing(copy->target, c->create.backing_file));
	/* With a backing file the target need not read as zeroes. */
	copy->target_is_zero = c->target_is_zero && !copy->target->backing;
	copy->write_flags = c->target_mode.writethrough ? BLK_REQ_FUA : 0;
	copy->flush = !c->target_mode.no_flush;
	copy->target_is_new = !c->no_create;
	copy->progress = progress_update;
	copy->unreadable = warn_unreadable;
	if (convert_co_copy(copy, &err) < 0)
		return report_fail(&err);
	progress_update(1, 1);
	return 0;
}

/* Make the directory entry of a new file durable. */
static int co_sync_name(struct convert *c)
{
	int ret = image_co_sync_name(c->target_name);

	if (ret < 0)
		return report_error("%s: error while making its name durable: %s", c->target_name,
				    strerror(-ret));
	return 0;
}

static int co_close_all(struct convert *c, int status)
{
	size_t i;
	int ret;

	if (c->copy.target) {
		ret = blk_co_close(c->copy.target);
		if (ret < 0 && !status)
			status = report_error("error while closing %s: %s", c->target_name,
					      strerror(-ret));
		if (!status && !c->no_create && c->copy.flush)
			status = co_sync_name(c);
	}
	for (i = 0; c->copy.sources && i < c->copy.source_count; i++)
		if (c->copy.sources[i].node)
			blk_co_close(c->copy.sources[i].node);
	free(c->copy.sources);
	return status;
}

static int co_run_convert(struct convert *c, int argc, char **argv)
{
	int status;

	if (image_opts_want_help(c->options))
		return img_options_help(c->target_format, optind + 1 < argc);
	c->copy.source_count = optind < argc ? (size_t)(argc - optind - 1) : 0;
	c->source_names = argv + optind;
	c->target_name = argv[argc - 1];
	if (check_letters(c))
		return 1;
	progress_start(c->progress && !c->quiet);
	status = co_close_all(c, co_convert(c));
	progress_end();
	return status;
}

static int run(int argc, char **argv)
{
	struct convert c = {
		.source_cache = "writeback",
		.target_cache = "writeback",
		.copy = { .min_sparse = CONVERT_DEFAULT_SPARSE, .workers = PIECES_WORKERS },
	};
	int status = 1;

	if (img_parse_options(argc, argv, options, &c))
		goto out;
	if (!c.target_format && !c.target_image_opts)
		c.target_format = "raw";
	status = co_run_convert(&c, argc, argv);
out:
	img_options_free(&c.create);
	free(c.options);
	return status;
}

const struct verb img_convert_verb = {
	.name = "convert",
	.synopsis = "[--object OBJECT] [--image-opts] [--target-image-opts] "
		    "[-f FMT] [-O FMT] [-B BACKING -F FMT] [-o OPTIONS] [-S SIZE] [-n] [-C] [-c] "
		    "[-p] [-q] "
		    "[-m COUNT] [-W] [-r RATE] [-t CACHE] [-T CACHE] [-U] [-l SNAPSHOT] "
		    "[--bitmaps [--skip-broken-bitmaps]] [--salvage] [--target-is-zero] "
		    "FILE... TARGET",
	.summary = "copy images into a new one, or with -n over an existing one",
	.options = "  --object OBJECT, --image-opts, --target-image-opts\n"
		   "                     as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -f FMT             format of the sources; probed otherwise\n"
		   "  -O FMT             format of the target (raw)\n"
		   "  -B BACKING         backing file of the target; has what the source has not\n"
		   "  -F FMT             format of the backing file; needed with -B\n"
		   "  -o OPTIONS         of the target, NAME=VALUE,...; help lists them\n"
		   "  -S SIZE            zero bytes in a row that are left out (4k); 0: none\n"
		   "  -n                 do not make the target: it exists\n"
		   "  --target-is-zero   with -n: the target reads as zeroes\n"
		   "  -C                 taken, of no effect; not with -S\n"
		   "  -l SNAPSHOT        of the source: an error, as where there is none\n"
		   "  --bitmaps, --skip-broken-bitmaps\n"
		   "                     an error, as where there are none\n"
		   "  -c                 compress, which no format here can: refused\n"
		   "  -m COUNT           pieces copied at once, 1 to 16 (8)\n"
		   "  -W                 in any order\n"
		   "  -r RATE            at most so many bytes a second\n"
		   "  -t CACHE           cache mode of the target (writeback)\n"
		   "  -T CACHE           cache mode of the sources (writeback)\n"
		   "  --salvage          what cannot be read becomes zeroes, with a line about it\n"
		   "  -p                 show progress; SIGUSR1 shows it without\n"
		   "  -q                 print nothing but errors\n"
		   "  -U, --force-share  also when another process writes to the sources\n",
	.example = "qed-img convert -p -f raw -O qed disk.img vm2.qed",
	.run = run,
};
