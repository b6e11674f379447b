// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img compare: do two images hold the same?
 */
#include <stdio.h>

#include "common/image.h"
#include "qed-img/compare.h"
#include "qed-img/img.h"
#include "qed-img/progress.h"

struct compare {
	struct compare_side sides[2];
	const char *formats[2];
	bool strict, quiet, progress;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	const char *cache;
};

static int co_run_compare(struct compare *c, unsigned int flags)
{
	int status = 0;

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
		printf("\n"); /* the end of the line of progress, which it did not come to */
	}
	for (size_t i = 0; i < 2; i++)
		if (c->sides[i].node)
			blk_co_close(c->sides[i].node);
	return status;
}

static int parse_letters(struct compare *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "force-share", no_argument, NULL, 'U' },
		IMG_SOURCE_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = img_getopt(argc, argv, "f:F:T:pqsU", options)) != -1) {
		switch (opt) {
		case 'f':
			c->formats[0] = optarg;
			break;
		case 'F':
			c->formats[1] = optarg;
			break;
		case 'T':
			c->cache = optarg;
			break;
		case 'p':
			c->progress = true;
			break;
		case 'q':
			c->quiet = true;
			break;
		case 's':
			c->strict = true;
			break;
		case 'U':
			c->source_flags |= BLK_O_NO_LOCK;
			break;
		case IMG_OPT_IMAGE_OPTS:
			c->source_flags |= IMG_O_IMAGE_OPTS;
			break;
		case IMG_OPT_BAD_OBJECT:
			return COMPARE_NO_OPEN;
		default:
			return COMPARE_FAILED;
		}
	}
	return 0;
}

static int run(int argc, char **argv)
{
	struct compare c = { .cache = "writeback" };
	struct image_cache mode;
	unsigned int flags;
	int status;

	status = parse_letters(&c, argc, argv);
	if (status)
		return status;
	if (optind != argc - 2)
		return img_usage("Expecting two image file names");
	c.sides[0].name = argv[optind];
	c.sides[1].name = argv[optind + 1];
	if (image_cache_parse(c.cache, &mode) < 0) {
		report_error("Invalid source cache option: %s", c.cache);
		return COMPARE_NO_OPEN;
	}
	flags = (mode.direct ? BLK_O_DIRECT : 0) | c.source_flags;
	return co_run_compare(&c, flags);
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
