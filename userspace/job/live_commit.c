// SPDX-License-Identifier: GPL-2.0
/*
 * The live commit job.
 *
 *	1. The base, and the image above the top where that is not the node itself, are opened
 *	   again for writing.
 *	2. The content of the images above the base is copied to it (commit.c). These images hide
 *	   what is written, and do not change: no request of the node writes to them.
 *	3. The base is flushed.
 *	4. Only then the image above the top records the base as its backing file, durably.
 *	5. The images in between are closed, and those of 1 are opened for reading only again.
 *
 * 2 to 4 run on the background thread, 1 and 5 on the loop that opened the chain.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "aio/timer.h"
#include "block/io.h"
#include "file/file_note.h"
#include "job/live_commit.h"
#include "populate/populate.h"
#include "util/log.h"
#include "util/units.h"

#define WORKERS 4

/* ---- The chain ---- */

/* Return the image above @node in the chain of @top, or NULL. */
static struct blk_node *find_above(struct blk_node *top, const struct blk_node *node)
{
	while (top && top->backing != node)
		top = top->backing;
	return top;
}

/* Open @node of the chain again, for reading only. */
static void co_protect(struct live_commit *l, struct blk_node *node)
{
	struct blk_node *above = find_above(l->job.node, node);
	struct error err = ERROR_INIT;

	if (blk_co_reopen_backing(l->job.node, above, false, &l->opts.open, &err))
		log_warning("%s: it stays open for writing", error_text(&err));
	error_free(&err);
}

/* Step 1. */
static int co_open(struct live_commit *l, struct error *err)
{
	struct blk_node *node = l->job.node, *above = find_above(node, l->opts.base);
	int ret = 0;

	if (l->over_overlay) {
		ret = blk_co_reopen_backing(node, l->over_overlay, true, &l->opts.open, err);
		l->overlay = l->over_overlay->backing;
	}
	if (ret)
		return ret;
	/* The image above the base may be the overlay only after the commit. */
	ret = blk_co_reopen_backing(node, above, true, &l->opts.open, err);
	if (ret && l->over_overlay)
		co_protect(l, l->overlay);
	if (ret)
		return ret;
	l->opts.base = above->backing;
	/* The backing files change on purpose: the next server records them anew. */
	(void)blk_file_co_set_note(node->file, NULL);
	return 0;
}

/* Step 5. */
static void co_close(struct live_commit *l)
{
	co_protect(l, l->opts.base);
	if (l->over_overlay)
		co_protect(l, l->overlay);
	if (l->removed && blk_co_close(l->removed))
		log_warning("%s: a backing file was not closed in order", l->job.node->filename);
}

/* ---- The work ---- */

/* Step 4. */
static int co_finish(struct live_commit *l, struct error *err)
{
	struct job *job = &l->job;
	int ret;

	do {
		error_free(err);
		ret = blk_co_rebase_below(job->node, l->overlay, l->opts.base, &l->removed, err);
	} while (ret && job_co_back_off(job, ret, "changing the backing file"));
	if (!ret)
		job_went_well(job);
	return ret;
}

static int co_run(struct job *job, struct error *err)
{
	struct live_commit *l = container_of(job, struct live_commit, job);
	int ret = commit_co_copy(&l->copy, err);

	return ret ? ret : co_finish(l, err);
}

/* ---- Start, status and free ---- */

static int check(const struct live_commit *l, struct error *err)
{
	const struct blk_node *base = l->opts.base;
	struct blk_info info = { 0 };
	const char *name;
	int ret;

	if (!populate_can(l->job.node))
		return error_set(err, -EINVAL, "the image is not writable");
	if (!l->overlay || !find_above(l->opts.top, base))
		return error_set(err, -EINVAL, "%s: not in the backing chain of %s", base->filename,
				 l->opts.top->filename);
	if (l->overlay->backing_options)
		return error_set(err, -ENOTSUP,
				 "%s: options say what its backing file is, not the image",
				 l->overlay->filename);
	/* Refuse now if the last step could not succeed. */
	ret = blk_check_rebase(l->overlay, l->opts.base, &name, err);
	if (ret)
		return ret;
	ret = blk_co_info(l->opts.base, &info);
	if (ret)
		return error_set_errno(err, ret, "%s", base->filename);
	/* A repair would move what requests read. */
	if (info.dirty)
		return error_set(err, -EUCLEAN, "%s: was not closed properly; check it first",
				 base->filename);
	return 0;
}

static int start(struct live_commit *l, struct error *err)
{
	struct commit_opts opts;
	int ret = check(l, err);

	if (!ret)
		ret = co_open(l, err);
	if (ret)
		return ret;
	opts = (struct commit_opts){
		.top = l->opts.top,
		.base = l->opts.base,
		.overlay = l->overlay,
		.job = &l->job,
	};
	commit_copy_init(&l->copy, &opts);
	l->copy.pieces.workers = WORKERS;
	l->started = aio_now();
	ret = job_co_start(&l->job, err);
	if (ret)
		co_close(l);
	return ret;
}

static void commit_free(struct live_commit *l)
{
	job_destroy(&l->job);
	free(l);
}

int live_commit_co_start(struct live_commit **out, struct blk_node *node,
			 const struct live_commit_opts *opts, struct error *err)
{
	struct live_commit *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return error_set_errno(err, -ENOMEM, "commit");
	job_init(&l->job, node, co_run);
	l->opts = *opts;
	l->job.speed = opts->speed;
	l->job.pause = opts->paused;
	if (opts->back_off)
		l->job.back_off = opts->back_off;
	l->overlay = find_above(node, opts->top);
	l->over_overlay = l->overlay ? find_above(node, l->overlay) : NULL;
	ret = start(l, err);
	if (ret)
		commit_free(l);
	else
		*out = l;
	return ret;
}

void live_commit_get_status(struct live_commit *l, struct live_commit_status *status)
{
	*status = (struct live_commit_status){
		.done = l->copy.pieces.done,
		.total = l->copy.pieces.end,
		.written = l->copy.written,
		.elapsed = aio_now() - l->started,
	};
	pthread_mutex_lock(&l->job.mutex);
	status->state = l->job.state;
	status->speed = l->job.speed;
	status->errors = l->job.errors;
	if (l->job.error_text)
		snprintf(status->error, sizeof(status->error), "%s", l->job.error_text);
	pthread_mutex_unlock(&l->job.mutex);
}

void live_commit_co_free(struct live_commit *l)
{
	co_close(l);
	commit_free(l);
}
