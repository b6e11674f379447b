// SPDX-License-Identifier: GPL-2.0
/* qed-img commit: commit an image into a file of its backing chain. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "file/image_lock.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "job/commit.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "qed-img/progress.h"

struct commit {
	const char *filename, *format, *base, *cache;
	bool drop; /* -d: do not empty the image */
	bool progress, quiet;
	uint64_t rate; /* bytes a second */
	struct image_cache mode;
	bool image_opts; /* @filename is a list of options */
	struct blk_options *options; /* of that list, or NULL */
};

/*
 * Return the depth of @name in the chain (NULL: the direct backing file), or 0 if it
 * is not there.
 */
static unsigned int find_base(const struct blk_node *top, const char *name, struct blk_node **base)
{
	unsigned int depth = 1;

	for (const struct blk_node *node = top; node->backing; node = node->backing, depth++)
		if (!name || image_has_backing(node, name)) {
			*base = node->backing;
			return depth;
		}
	*base = NULL;
	return 0;
}

/*
 * Find the depth of the base, which is to be opened for writing. Locks do not matter
 * yet, and errors recur when the image is opened.
 */
static void co_look_ahead(const struct commit *c, struct blk_open_opts *opts)
{
	struct blk_open_opts look = { .format = c->format,
				      .flags = BLK_O_NO_LOCK,
				      .backing_dir = image_backing_dir,
				      .options = c->options };
	struct error err = ERROR_INIT;
	struct blk_node *top, *base;

	opts->writable_depth = 1;
	if (blk_co_open(&top, c->options ? NULL : c->filename, &look, &err)) {
		error_free(&err);
		return;
	}
	opts->writable_depth = find_base(top, c->base, &base);
	/* An image that is only read may have a read-only format. */
	if (c->drop && opts->writable_depth && !top->driver->co_pwrite)
		opts->flags &= ~BLK_O_RDWR;
	blk_co_close(top);
}

static int co_open(const struct commit *c, struct blk_node **top)
{
	struct blk_open_opts opts = { .format = c->format,
				      .flags = BLK_O_RDWR | BLK_O_SHARE,
				      .options = c->options };
	struct error err = ERROR_INIT;

	if (c->mode.direct)
		opts.flags |= BLK_O_DIRECT;
	co_look_ahead(c, &opts);
	if (image_co_open(top, c->options ? NULL : c->filename, &opts, &err) == 0)
		return 0;
	error_prefix(&err, "Could not open '%s'", c->filename);
	return report_fail(&err);
}

/*
 * The images between @top and @base show the base, which is about to change: no other process may
 * rely on their contents.
 */
static int co_deny_readers(const struct blk_node *top, const struct blk_node *base,
			   struct error *err)
{
	for (struct blk_node *node = top->backing; node != base; node = node->backing)
		if (blk_co_permit(node, 0, IMAGE_PERM_ALL & ~IMAGE_PERM_CONSISTENT_READ, err)) {
			image_reword_lock(err);
			return err->code;
		}
	return 0;
}

static int co_commit(const struct commit *c, struct blk_node *top, struct error *err)
{
	struct commit_opts opts = {
		.top = top,
		.empty = !c->drop,
		.fua = c->mode.writethrough,
		.speed = c->rate,
		.progress = progress_update,
	};
	int ret;

	if (!find_base(top, c->base, &opts.base)) {
		if (!c->base)
			return error_set(err, -EINVAL, "Image does not have a backing file");
		return error_set(err, -EINVAL, "Did not find '%s' in the backing chain of '%s'",
				 c->base, c->filename);
	}
	if (!(opts.base->flags & BLK_O_RDWR))
		return error_set(err, -EAGAIN, "the backing chain of '%s' has changed",
				 c->filename);
	if (co_deny_readers(top, opts.base, err))
		return err->code;
	ret = commit_co_run(&opts, err);
	if (ret && report_as_qemu()) {
		error_free(err);
		error_set_errno(err, ret, "Block job failed");
	} else if (ret) {
		error_prefix(err, "Block job failed");
	}
	return err->code;
}

static int co_run_commit(struct commit *c)
{
	struct error err = ERROR_INIT;
	struct blk_node *top;
	int ret;

	if (image_cache_parse(c->cache, &c->mode) < 0)
		return report_error("Invalid cache option: %s", c->cache);
	if (co_open(c, &top))
		return 1;
	progress_start(c->progress && !c->quiet);
	if (!co_commit(c, top, &err))
		progress_update(1, 1);
	progress_end();
	ret = blk_co_close(top);
	if (ret < 0)
		error_set_errno(&err, ret, "Error while closing the image");
	if (err.code)
		return report_fail(&err);
	if (!c->quiet)
		printf("Image committed.\n");
	return 0;
}

static int parse_base(void *verb, const struct verb_option *option, const char *value)
{
	struct commit *c = verb;

	(void)option;
	c->base = value;
	/* The images between would read differently if the top one were emptied. */
	c->drop = true;
	return 0;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	OPT_SWITCH(0, "image-opts", struct commit, image_opts),
	OPT_CALL_VALUE('b', NULL, parse_base),
	OPT_SWITCH('d', NULL, struct commit, drop),
	OPT_TEXT('f', NULL, struct commit, format),
	OPT_SWITCH('p', NULL, struct commit, progress),
	OPT_SWITCH('q', NULL, struct commit, quiet),
	IMG_SIZE('r', NULL, struct commit, rate, "rate limit"),
	OPT_TEXT('t', NULL, struct commit, cache),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct commit c = { .cache = "writeback" };
	struct error err = ERROR_INIT;
	int status;

	if (img_parse_options(argc, argv, options, &c))
		return 1;
	c.filename = img_one_filename(argc, argv);
	if (!c.filename)
		return 1;
	if (c.image_opts && c.format)
		return report_error("--image-opts and --format are mutually exclusive");
	if (c.image_opts &&
	    image_opts_parse(&c.options, c.filename, "file", IMAGE_OPTS_WARN, &err) < 0)
		return report_fail(&err);
	status = co_run_commit(&c);
	blk_options_free(c.options);
	return status;
}

const struct verb img_commit_verb = {
	.name = "commit",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [-t CACHE] [-b BASE] [-d] [-p] [-q] [-r RATE] FILE",
	.summary = "bring what an image holds down into its backing file",
	.options =
		"  --object OBJECT, --image-opts\n"
		"            as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -f FMT    format of the image; probed otherwise\n"
		"  -t CACHE  cache mode (writeback)\n"
		"  -b BASE   into this file of the backing chain, through those between, which do\n"
		"            not keep what they hold; the image is left as it is\n"
		"  -d        leave the image as it is; otherwise it is emptied\n"
		"  -p        show progress; SIGUSR1 shows it without\n"
		"  -q        print nothing but errors\n"
		"  -r RATE   at most so many bytes a second\n",
	.example = "qed-img commit -p vm1.qed",
	.run = run,
};
