/* SPDX-License-Identifier: GPL-2.0 */
/* Making metadata durable (commit.c).  Functions return 0 or a negative errno. */
#ifndef QEDBLK_FORMAT_QED_COMMIT_H
#define QEDBLK_FORMAT_QED_COMMIT_H

#include <stdbool.h>

struct qed_image;

int qed_commit_init(struct qed_image *img);
void qed_commit_destroy(struct qed_image *img);
/* Commit: when it returns 0, everything answered before the call is durable.  Yields. */
int qed_co_commit(struct qed_image *img);
/* Commit if there is metadata to write; for the background flusher.  Yields. */
int qed_co_commit_dirty(struct qed_image *img);
/* Wait while too much metadata is dirty; return an error if it can't be written.  Yields. */
int qed_co_throttle(struct qed_image *img);
/* Is so much metadata dirty that writers must wait?  Under meta_lock. */
bool qed_too_much_is_dirty(const struct qed_image *img);

#endif
