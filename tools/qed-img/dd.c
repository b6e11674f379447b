// SPDX-License-Identifier: GPL-2.0
/* qed-img dd: copy a part of an image into a new one, with dd's operands. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "file/image_lock.h"
#include "image/image.h"
#include "image/size.h"
#include "job/convert.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "util/units.h"

struct dd {
	const char *format, *target_format;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	const char *input, *output;
	uint64_t block; /* bytes */
	uint64_t count, skip; /* blocks */
	bool has_count;
};

static int parse_block(struct dd *dd, const char *text)
{
	int ret = image_parse_size(text, &dd->block);

	if (ret == 0 && dd->block && dd->block <= INT_MAX)
		return 0;
	if (ret == 0 || ret == -ERANGE)
		return report_error("Invalid bs specified. Must be between 1 and %d.", INT_MAX);
	return img_parse_size("bs", text, &dd->block);
}

/* Parse @operand, NAME=VALUE; modifies it. */
static int parse_operand(struct dd *dd, char *operand)
{
	char *value = strchr(operand, '=');

	if (value) {
		*value++ = '\0';
		if (!strcmp(operand, "bs"))
			return parse_block(dd, value);
		if (!strcmp(operand, "count")) {
			dd->has_count = true;
			return img_parse_size("count", value, &dd->count);
		}
		if (!strcmp(operand, "skip"))
			return img_parse_size("skip", value, &dd->skip);
		if (!strcmp(operand, "if") || !strcmp(operand, "of")) {
			*(*operand == 'i' ? &dd->input : &dd->output) = value;
			return 0;
		}
	}
	return report_error("unrecognized operand %s", operand);
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct dd, source_flags),
	IMG_FORCE_SHARE(struct dd, source_flags),
	OPT_TEXT('f', NULL, struct dd, format),
	OPT_TEXT('O', NULL, struct dd, target_format),
	IMG_OPTIONS_END,
};

/* Compute the range of the source to copy. As in dd(1), skipping beyond its end is no error. */
static void choose_range(const struct dd *dd, struct convert_source *src)
{
	uint64_t size = src->node->size;

	if (dd->skip > size / dd->block) {
		report_error("%s: cannot skip to specified offset", dd->input);
		return;
	}
	src->offset = dd->skip * dd->block;
	src->size = size - src->offset;
	if (dd->has_count && dd->count <= src->size / dd->block)
		src->size = dd->count * dd->block;
}

/* Keep the images that are read from being emptied, by this program or by another one. */
static int co_keep(struct blk_node *chain)
{
	struct error err = ERROR_INIT;

	for (struct blk_node *node = chain; node; node = node->backing)
		if (blk_co_permit(node, 0, IMAGE_PERM_ALL & ~IMAGE_PERM_RESIZE, &err))
			return report_fail(&err);
	return 0;
}

static int co_copy(const struct dd *dd, struct convert_source *src)
{
	struct img_create_options create = { .size = src->size,
					     .has_size = true,
					     .incomplete = true };
	struct convert_opts copy = {
		.sources = src,
		.source_count = 1,
		.total = src->size,
		.target_is_new = true,
		.min_sparse = CONVERT_DEFAULT_SPARSE,
		.flush = true,
	};
	struct error err = ERROR_INIT;
	int status, ret;

	if (!blk_driver_find(dd->target_format))
		return report_error("Unknown file format");
	if (!img_new_driver(dd->target_format, &err) || image_check_new(dd->output, &err))
		return report_fail(&err);
	if (img_co_make(&create, dd->output, dd->target_format, &err) < 0) {
		error_prefix(&err, "%s: error while creating output image", dd->output);
		return report_fail(&err);
	}
	copy.target = img_co_open(dd->output, dd->target_format, BLK_O_RDWR | BLK_O_INCOMPLETE);
	if (!copy.target)
		return 1;
	status = convert_co_copy(&copy, &err) < 0 ? report_fail(&err) : 0;
	ret = blk_co_close(copy.target);
	if (ret == 0 && !status)
		ret = image_co_sync_name(dd->output);
	if (ret < 0 && !status)
		status = report_error("error while writing to output image file: %s",
				      strerror(-ret));
	return status;
}

static int run(int argc, char **argv)
{
	struct dd dd = { .target_format = "raw", .block = SECTOR_SIZE };
	struct convert_source src = { 0 };
	int status;

	if (img_parse_options(argc, argv, options, &dd))
		return 1;
	for (int i = optind; i < argc; i++)
		if (parse_operand(&dd, argv[i]))
			return 1;
	if (!dd.input || !dd.output)
		return report_error("Must specify both input and output files");
	src.node = img_co_open(dd.input, dd.format, dd.source_flags);
	if (!src.node)
		return 1;
	choose_range(&dd, &src);
	status = co_keep(src.node) || co_copy(&dd, &src);
	blk_co_close(src.node);
	return status;
}

const struct verb img_dd_verb = {
	.name = "dd",
	.synopsis = "[--object OBJECT] [--image-opts] [-U] [-f FMT] [-O FMT] [bs=BYTES] "
		    "[count=BLOCKS] [skip=BLOCKS] if=FILE of=FILE",
	.summary = "copy a part of an image into a new one",
	.options = "  --object OBJECT, --image-opts\n"
		   "                     as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -f FMT             format of if; probed otherwise\n"
		   "  -O FMT             format of of (raw)\n"
		   "  -U, --force-share  also when another process writes to if\n"
		   "  bs=BYTES           size of a block (512)\n"
		   "  count=BLOCKS       how many are copied; all by default\n"
		   "  skip=BLOCKS        how many at the beginning of if are left out\n",
	.example = "qed-img dd -f raw -O qed bs=1M skip=1 count=8 if=disk.img of=part.qed",
	.run = run,
};
