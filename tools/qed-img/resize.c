// SPDX-License-Identifier: GPL-2.0
/* qed-img resize: change the size of an image. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image.h"
#include "block/io.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

struct resize {
	const char *filename, *format;
	enum blk_prealloc preallocation;
	bool quiet, shrink;
	unsigned int source_flags; /* IMG_O_IMAGE_OPTS, or 0 */
	char sign; /* '+' or '-': the size is relative; 0: absolute */
	uint64_t size; /* bytes */
};

/* Compute the new size. Returns 0, or 1 after an error message. */
static int new_size(const struct resize *r, uint64_t old, uint64_t *size)
{
	uint64_t limit = INT64_MAX;

	*size = r->size;
	if (r->sign == '-')
		*size = r->size < old ? old - r->size : 0;
	else if (r->sign == '+')
		*size = r->size > limit - old ? limit : old + r->size;
	if (!*size)
		return report_error("New image size must be positive");
	if (*size <= old && r->preallocation != BLK_PREALLOC_OFF)
		return report_error("Preallocation can only be used for growing images");
	if (*size >= old || r->shrink)
		return 0;
	report_error("Use the --shrink option to perform a shrink operation.");
	return report_error("warning: Shrinking an image will delete all data beyond the shrunken "
			    "image's end. Before performing such an operation, make sure there is "
			    "no important data there.");
}

static int parse_preallocation(void *verb, const struct verb_option *option, const char *mode)
{
	struct resize *r = verb;

	(void)option;
	r->preallocation = blk_prealloc_named(mode);
	if (r->preallocation != BLK_PREALLOC_COUNT)
		return 0;
	return report_error("Invalid preallocation mode '%s'", mode);
}

static int co_resize(const struct resize *r, struct blk_node *node)
{
	struct error err = ERROR_INIT;
	uint64_t size;
	int ret;

	if (new_size(r, node->size, &size))
		return 1;
	ret = image_check_size(node, size, &err);
	if (!ret)
		ret = blk_co_resize(node, size, r->preallocation, &err);
	if (ret < 0) {
		image_unname(node->filename, &err);
		return report_fail(&err);
	}
	if (!r->quiet)
		printf("Image resized.\n");
	return 0;
}

static int co_run_resize(const struct resize *r)
{
	struct blk_node *node =
		img_co_open(r->filename, r->format, BLK_O_RDWR | BLK_O_RESIZE | r->source_flags);
	int status, ret;

	if (!node)
		return 1;
	status = co_resize(r, node);
	ret = blk_co_close(node);
	if (ret < 0 && !status)
		status = report_error("%s: %s", r->filename, strerror(-ret));
	return status;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct resize, source_flags),
	OPT_TEXT('f', NULL, struct resize, format),
	OPT_SWITCH('q', NULL, struct resize, quiet),
	OPT_SWITCH(0, "shrink", struct resize, shrink),
	OPT_CALL_VALUE(0, "preallocation", parse_preallocation),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct resize r = { 0 };
	struct error err = ERROR_INIT;
	const char *text;

	/* The size is last and may begin with a dash, so hide it from getopt. */
	if (argc < 3)
		return img_usage("Not enough arguments");
	text = argv[--argc];
	if (img_parse_options(argc, argv, options, &r))
		return 1;
	if (optind != argc - 1)
		return img_usage("Expecting image file name and size");
	r.filename = argv[optind];
	if (*text == '+' || *text == '-')
		r.sign = *text++;
	if (img_parse_size_option("size", text, &r.size, &err) < 0)
		return report_fail(&err);
	return co_run_resize(&r);
}

const struct verb img_resize_verb = {
	.name = "resize",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [--preallocation=off|falloc|full] [-q] [--shrink] FILE [+|-]SIZE",
	.summary = "give an image another size",
	.options =
		"  --object OBJECT, --image-opts\n"
		"            as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -f FMT    format of the image; probed otherwise\n"
		"  --preallocation=off|falloc|full\n"
		"            space for what a raw image gains (off)\n"
		"  -q        print nothing but errors\n"
		"  --shrink  let the image become smaller: what lies behind its new end is lost\n",
	.example = "qed-img resize vm1.qed +1G",
	.run = run,
};
