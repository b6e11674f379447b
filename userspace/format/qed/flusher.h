/* SPDX-License-Identifier: GPL-2.0 */
/* The background flusher (flusher.c). */
#ifndef QEDBLK_FORMAT_QED_FLUSHER_H
#define QEDBLK_FORMAT_QED_FLUSHER_H

#include <stdbool.h>

struct qed_image;

/*
 * Start it on this thread's loop.  It calls @co_commit, which returns 0 or a negative errno, and
 * @co_recycle, which sets *@left if it has to be called again.  Returns 0 or a negative errno.
 */
int qed_flusher_start(struct qed_image *img, int (*co_commit)(struct qed_image *img),
		      void (*co_recycle)(struct qed_image *img, bool *left));
/* Stop it, and wait until it has ended.  Yields. */
void qed_co_flusher_stop(struct qed_image *img);
/* Schedule a commit: soon, or at once (@now), where a writer waits for it.  Under meta_lock. */
void qed_flusher_commit(struct qed_image *img, bool now);
/* Schedule the recycling of clusters whose loss is durable.  Under meta_lock. */
void qed_flusher_recycle(struct qed_image *img);

#endif
