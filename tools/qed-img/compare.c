// SPDX-License-Identifier: GPL-2.0
/* qed-img compare: compare the content of two images. */
#include <stdio.h>

#include "image/image.h"
#include "qed-img/compare.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "qed-img/progress.h"

struct compare {
	struct compare_side sides[2];
	const char *formats[2];
	bool strict, quiet, progress;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	const char *cache;
};

static int co_run_compare(struct compare *c)
{
	unsigned int flags = c->source_flags;
	struct image_cache mode;
	int status = 0;

	if (image_cache_parse(c->cache, &mode) < 0) {
		report_error("Invalid source cache option: %s", c->cache);
		status = COMPARE_NO_OPEN;
	} else if (mode.direct) {
		flags |= BLK_O_DIRECT;
	}
	for (size_t i = 0; i < 2 && !status; i++) {
		c->sides[i].node = img_co_open(c->sides[i].name, c->formats[i], flags);
		if (!c->sides[i].node)
			status = COMPARE_NO_OPEN;
	}
	if (!status) {
		progress_start(c->progress && !c->quiet);
		status = compare_co_run(c->sides, c->strict, c->quiet);
		progress_end();
	} else if (c->progress && !c->quiet) {
		printf("\n"); /* end the progress line, which is incomplete */
	}
	for (size_t i = 0; i < 2; i++)
		if (c->sides[i].node)
			blk_co_close(c->sides[i].node);
	return status;
}

static const struct img_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct compare, source_flags),
	IMG_FORCE_SHARE(struct compare, source_flags),
	IMG_TEXT('f', NULL, struct compare, formats[0]),
	IMG_TEXT('F', NULL, struct compare, formats[1]),
	IMG_TEXT('T', NULL, struct compare, cache),
	IMG_SWITCH('p', NULL, struct compare, progress),
	IMG_SWITCH('q', NULL, struct compare, quiet),
	IMG_SWITCH('s', NULL, struct compare, strict),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct compare c = { .cache = "writeback" };
	int status;

	status = img_parse_options(argc, argv, options, &c);
	if (status)
		return status == 1 ? COMPARE_FAILED : COMPARE_NO_OPEN;
	if (optind != argc - 2)
		return img_usage("Expecting two image file names");
	c.sides[0].name = argv[optind];
	c.sides[1].name = argv[optind + 1];
	return co_run_compare(&c);
}

const struct verb img_compare_verb = {
	.name = "compare",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [-F FMT] [-T CACHE] [-p] [-q] [-s] [-U] FILE FILE",
	.summary = "tell whether two images hold the same",
	.options =
		"  --object OBJECT, --image-opts\n"
		"                     as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -f FMT             format of the first image; probed otherwise\n"
		"  -F FMT             format of the second\n"
		"  -T CACHE           cache mode (writeback)\n"
		"  -p                 show progress\n"
		"  -q                 print nothing but errors\n"
		"  -s                 strict: equal sizes, and the same parts allocated and zero\n"
		"  -U, --force-share  also when another process writes to an image\n",
	.example = "qed-img compare disk.img vm1.qed",
	.run = run,
};
