// SPDX-License-Identifier: GPL-2.0
/* qed-img compare: compare the content of two images. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image.h"
#include "job/compare.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "qed-img/progress.h"
#include "util/units.h"

/* Exit statuses, as in qemu-img. */
enum {
	STATUS_SAME = 0,
	STATUS_DIFFERENT = 1,
	STATUS_FAILED = 1, /* also for errors in the command line */
	STATUS_NO_OPEN = 2,
	STATUS_NO_MAP = 3,
	STATUS_NO_READ = 4,
};

struct compare {
	const char *names[2], *formats[2];
	struct blk_node *nodes[2];
	bool strict, quiet, progress;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	const char *cache;
};

__attribute__((format(printf, 2, 3))) static void say(const struct compare *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

/* Print a difference on standard output, an error on standard error. */
static int tell(const struct compare *c, const struct compare_finding *f)
{
	switch (f->what) {
	case COMPARE_CONTENT:
		say(c, "Content mismatch at offset %" PRIu64 "!\n", f->offset);
		return STATUS_DIFFERENT;
	case COMPARE_STATUS:
		say(c, "Strict mode: Offset %" PRIu64 " block status mismatch!\n", f->offset);
		return STATUS_DIFFERENT;
	case COMPARE_NO_STATUS:
		report_error("Sector allocation test failed for %s", c->names[f->side]);
		return STATUS_NO_MAP;
	case COMPARE_NO_READ:
		report_error("Error while reading offset %" PRIu64 " of %s: %s", f->offset,
			     c->names[f->side], strerror(-f->error));
		return STATUS_NO_READ;
	default:
		return STATUS_SAME;
	}
}

static int co_compare_range(const struct compare *c, struct compare_opts *opts, uint64_t start,
			    uint64_t end)
{
	struct error err = ERROR_INIT;
	struct compare_finding finding;

	opts->start = start;
	opts->end = end;
	if (compare_co_run(opts, &finding, &err))
		return report_fail(&err);
	return tell(c, &finding);
}

static int co_compare(const struct compare *c)
{
	uint64_t size[2] = { c->nodes[0]->size, c->nodes[1]->size };
	uint64_t common = min_u64(size[0], size[1]);
	struct compare_opts opts = {
		.sides = { c->nodes[0], c->nodes[1] },
		.strict = c->strict,
		.total = max_u64(size[0], size[1]),
		.progress = progress_update,
	};
	int status;

	if (c->strict && size[0] != size[1]) {
		say(c, "Strict mode: Image size mismatch!\n");
		return STATUS_DIFFERENT;
	}
	status = co_compare_range(c, &opts, 0, common);
	/* The part that only the larger image has must be zero. */
	if (!status && common < opts.total) {
		say(c, "Warning: Image size mismatch!\n");
		status = co_compare_range(c, &opts, common, opts.total);
	}
	if (!status)
		say(c, "Images are identical.\n");
	return status;
}

static int co_run_compare(struct compare *c)
{
	unsigned int flags = c->source_flags;
	struct image_cache mode;
	int status = 0;

	if (image_cache_parse(c->cache, &mode) < 0) {
		report_error("Invalid source cache option: %s", c->cache);
		status = STATUS_NO_OPEN;
	} else if (mode.direct) {
		flags |= BLK_O_DIRECT;
	}
	for (size_t i = 0; i < 2 && !status; i++) {
		c->nodes[i] = img_co_open(c->names[i], c->formats[i], flags);
		if (!c->nodes[i])
			status = STATUS_NO_OPEN;
	}
	if (!status) {
		progress_start(c->progress && !c->quiet);
		status = co_compare(c);
		progress_end();
	} else if (c->progress && !c->quiet) {
		printf("\n"); /* end the progress line, which is incomplete */
	}
	for (size_t i = 0; i < 2; i++)
		if (c->nodes[i])
			blk_co_close(c->nodes[i]);
	return status;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct compare, source_flags),
	IMG_FORCE_SHARE(struct compare, source_flags),
	OPT_TEXT('f', NULL, struct compare, formats[0]),
	OPT_TEXT('F', NULL, struct compare, formats[1]),
	OPT_TEXT('T', NULL, struct compare, cache),
	OPT_SWITCH('p', NULL, struct compare, progress),
	OPT_SWITCH('q', NULL, struct compare, quiet),
	OPT_SWITCH('s', NULL, struct compare, strict),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct compare c = { .cache = "writeback" };
	int status;

	status = img_parse_options(argc, argv, options, &c);
	if (status)
		return status == 1 ? STATUS_FAILED : STATUS_NO_OPEN;
	if (optind != argc - 2)
		return img_usage("Expecting two image file names");
	c.names[0] = argv[optind];
	c.names[1] = argv[optind + 1];
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
