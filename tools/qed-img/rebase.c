// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img rebase: give an image another backing file, or none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "file/name.h"
#include "image/image.h"
#include "job/rebase.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "qed-img/progress.h"

struct rebase {
	const char *filename, *format, *cache, *source_cache;
	const char *base, *base_format; /* NULL: not given; an empty @base means no backing file */
	bool unsafe, force_share, progress, quiet, image_opts;
	struct image_cache mode, source_mode;
	struct blk_node *top, *new;
};

static bool has_base(const struct rebase *r)
{
	return r->base && *r->base;
}

static int change_error(const struct rebase *r, const char *why)
{
	return report_error("Could not change the backing file to '%s': %s",
			    r->base ? r->base : "(null)", why);
}

static int co_open_top(struct rebase *r)
{
	r->top = img_co_open(r->filename, r->format,
			     BLK_O_RDWR | (r->mode.direct ? BLK_O_DIRECT : 0) |
				     (r->unsafe ? BLK_O_NO_BACKING : 0) |
				     (r->image_opts ? IMG_O_IMAGE_OPTS : 0));
	return !r->top;
}

static bool is_in_chain(const struct blk_node *node, const struct blk_node *chain)
{
	for (; chain; chain = chain->backing)
		if (blk_file_is_same(chain->file, node->file))
			return true;
	return false;
}

static int co_open_base(struct rebase *r, struct error *err)
{
	struct blk_open_opts opts = { .format = r->base_format, .flags = BLK_O_SHARE };
	char *name;

	/* Relative to the image, as a reader of its header will resolve it. */
	if (blk_name_beside(r->top->filename, r->base, &name, err))
		return err->code;
	if (r->source_mode.direct)
		opts.flags |= BLK_O_DIRECT;
	if (r->force_share)
		opts.flags |= BLK_O_NO_LOCK;
	image_co_open(&r->new, name, &opts, err);
	free(name);
	/* Without locks no other check finds the loop. */
	if (!err->code && is_in_chain(r->top, r->new))
		error_set(err, -ELOOP, "the backing chain loops back to the image itself");
	return err->code;
}

/* Reject a change that the image's format cannot record. */
static int check_change(const struct rebase *r)
{
	if (has_base(r) && !r->base_format)
		return change_error(r, "backing format must be specified");
	if (!r->top->driver->co_change_backing)
		return change_error(r, strerror(ENOTSUP));
	return 0;
}

static int co_rebase(struct rebase *r)
{
	struct error err = ERROR_INIT;
	int ret;

	if (r->base_format && !blk_format_is_known(r->base_format))
		return report_error("Invalid format name: '%s'", r->base_format);
	if (!r->unsafe && has_base(r) && co_open_base(r, &err)) {
		error_prefix(&err, "Could not open new backing file '%s'", r->base);
		return report_fail(&err);
	}
	if (check_change(r))
		return 1;
	if (!r->unsafe && rebase_co_copy(r->top, r->new, true, progress_update, &err))
		return report_fail(&err);
	ret = blk_co_change_backing(r->top, has_base(r) ? r->base : NULL, r->base_format, &err);
	if (ret == -ENOSPC) {
		error_free(&err);
		return change_error(r, "No space left in the file header");
	}
	if (ret) {
		change_error(r, error_text(&err));
		error_free(&err);
		return 1;
	}
	progress_update(1, 1);
	return 0;
}

static int co_close_all(struct rebase *r, int status)
{
	int ret = r->top ? blk_co_close(r->top) : 0;

	if (ret < 0 && !status)
		status = report_error("%s: %s", r->filename, strerror(-ret));
	if (r->new)
		blk_co_close(r->new);
	return status;
}

static int co_run_rebase(struct rebase *r)
{
	int status;

	progress_start(r->progress && !r->quiet);
	if (image_cache_parse(r->cache, &r->mode) < 0)
		status = report_error("Invalid cache option: %s", r->cache);
	else if (image_cache_parse(r->source_cache, &r->source_mode) < 0)
		status = report_error("Invalid source cache option: %s", r->source_cache);
	else
		status = co_open_top(r) || co_rebase(r);
	progress_end();
	return co_close_all(r, status);
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	OPT_SWITCH(0, "image-opts", struct rebase, image_opts),
	OPT_SWITCH('U', "force-share", struct rebase, force_share),
	OPT_TEXT('F', NULL, struct rebase, base_format),
	OPT_TEXT('T', NULL, struct rebase, source_cache),
	OPT_TEXT('b', NULL, struct rebase, base),
	OPT_TEXT('f', NULL, struct rebase, format),
	OPT_SWITCH('p', NULL, struct rebase, progress),
	OPT_SWITCH('q', NULL, struct rebase, quiet),
	OPT_TEXT('t', NULL, struct rebase, cache),
	OPT_SWITCH('u', NULL, struct rebase, unsafe),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct rebase r = { .cache = "writeback", .source_cache = "writeback" };

	if (img_parse_options(argc, argv, options, &r))
		return 1;
	r.filename = img_one_filename(argc, argv);
	if (!r.filename)
		return 1;
	if (!r.unsafe && !r.base)
		return img_usage("Must specify backing file (-b) or use unsafe mode (-u)");
	return co_run_rebase(&r);
}

const struct verb img_rebase_verb = {
	.name = "rebase",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [-t CACHE] [-T CACHE] [-p] [-q] [-u] [-U] -b BACKING [-F FMT] FILE",
	.summary = "give an image another backing file",
	.options =
		"  --object OBJECT, --image-opts\n"
		"                     as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -b BACKING         the new backing file; \"\" for none. A relative name counts\n"
		"                     from the image's directory\n"
		"  -F FMT             format of the new backing file; needed where there is one\n"
		"  -u                 change the name only, without a look at what is in the\n"
		"                     files; without -b the image has no backing file any more\n"
		"  -f FMT             format of the image; probed otherwise\n"
		"  -t CACHE           cache mode of the image (writeback)\n"
		"  -T CACHE           cache mode of the new backing file (writeback)\n"
		"  -U, --force-share  also when another process writes to the new backing file\n"
		"  -p                 show progress; SIGUSR1 shows it without\n"
		"  -q                 print nothing but errors\n",
	.example = "qed-img rebase -b golden-2.img -F raw vm1.qed",
	.run = run,
};
