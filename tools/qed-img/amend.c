// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img amend: change creation options of an image, which no writable format
 * supports.
 */
#include <stdio.h>
#include <stdlib.h>

#include "block/driver.h"
#include "cmdline/report.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

struct amend {
	const char *filename, *format, *cache;
	char *options; /* heap */
	bool progress, quiet;
	unsigned int flags;
};

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct amend, flags),
	IMG_LIST('o', NULL, struct amend, options),
	OPT_TEXT('f', NULL, struct amend, format),
	OPT_TEXT('t', NULL, struct amend, cache),
	OPT_SWITCH('p', NULL, struct amend, progress),
	OPT_SWITCH('q', NULL, struct amend, quiet),
	OPT_IGNORED(0, "force"),
	IMG_OPTIONS_END,
};

static int refuse(const char *format)
{
	return report_error("Format driver '%s' does not support option amendment", format);
}

/* Report errors of the command line or of the image first. */
static int co_amend(const struct amend *a)
{
	struct image_cache cache;
	struct blk_node *node;

	if (a->format && image_opts_want_help(a->options)) {
		if (!blk_driver_find(a->format))
			return report_error("Unknown file format '%s'", a->format);
		return refuse(a->format);
	}
	if (!a->filename)
		return report_error("Expecting one image file name");
	if (image_cache_parse(a->cache, &cache) < 0)
		return report_error("Invalid cache option: %s", a->cache);
	node = img_co_open(a->filename, a->format,
			   a->flags | BLK_O_RDWR | (cache.direct ? BLK_O_DIRECT : 0));
	if (!node)
		return 1;
	refuse(node->driver->name);
	blk_co_close(node);
	return 1;
}

static int run(int argc, char **argv)
{
	struct amend a = { .cache = "writeback" };
	int status = img_parse_options(argc, argv, options, &a) ? 1 : 0;

	if (!status && !a.options)
		status = img_usage("Must specify options (-o)");
	if (!status) {
		if (optind == argc - 1)
			a.filename = argv[optind];
		status = co_amend(&a);
		/* End the progress line, which is incomplete. */
		if (a.progress && !a.quiet)
			printf("\n");
	}
	free(a.options);
	return status;
}

const struct verb img_amend_verb = {
	.name = "amend",
	.synopsis = "[--object OBJECT] [--image-opts] [-p] [-q] [-f FMT] [-t CACHE] [--force] "
		    "-o OPTIONS FILE",
	.summary = "change options of an image, which no format here can",
	.options = "  --object OBJECT, --image-opts\n"
		   "              as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -o OPTIONS  NAME=VALUE,...; an error, as with qemu-img and these formats\n"
		   "  -f FMT      format of the image; probed otherwise\n"
		   "  -t CACHE    cache mode (writeback)\n"
		   "  -p          show progress\n"
		   "  -q          print nothing but errors\n"
		   "  --force     taken, without effect\n",
	.example = "qed-img amend -f qed -o size=2G vm1.qed",
	.run = run,
};
