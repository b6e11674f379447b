/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Clusters of the file: taking them (alloc.c), and the way of one that lost its reference up to its
 * next use (free_list.c).  Functions return 0 or a negative errno unless stated otherwise.
 */
#ifndef QEDBLK_FORMAT_QED_ALLOC_H
#define QEDBLK_FORMAT_QED_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

struct cluster_set;
struct qed_image;
struct qed_spared;

int qed_alloc_init(struct qed_image *img);
void qed_alloc_destroy(struct qed_image *img);
/*
 * Take a run of at most @want file clusters, which read as zeroes, and return its length.  0: the
 * file must grow first; the caller drops the lock, calls qed_co_extend(), and retries.  Free
 * clusters are preferred, in a run of any length; a run at the file's end has at least @least
 * clusters.  Under meta_lock.
 */
uint64_t qed_alloc_run(struct qed_image *img, uint64_t least, uint64_t want, uint64_t *start);
/* The same for exactly @count clusters.  False: the file must grow first. */
bool qed_alloc_exact(struct qed_image *img, uint64_t count, uint64_t *start);
/* Give back clusters that were taken and not written to.  Under meta_lock. */
void qed_alloc_undo(struct qed_image *img, uint64_t start, uint64_t count);
/*
 * Make sure that the file has room for @clusters more, and for one that is never taken.  If a
 * growth is in flight, wait for it instead and return its result; the caller retries.  Yields.
 */
int qed_co_extend(struct qed_image *img, uint64_t clusters);

/*
 * From now on, until img->alloc.spared is reset, note in @spared, which is zeroed, the clusters
 * that are no leaks though no table on disk may name them: those that are free or will be, and
 * those that are dropped or given back.  No coroutine may be punching clusters that are in none of
 * the lists.  Under meta_lock.
 */
int qed_spare_begin(struct qed_image *img, struct qed_spared *spared);
/* Note further clusters.  Under meta_lock. */
void qed_spare(struct qed_image *img, uint64_t start, uint64_t count);

/* Drop clusters that have just lost their reference in memory.  Under meta_lock. */
void qed_drop_clusters(struct qed_image *img, uint64_t start, uint64_t count);
/*
 * _committing(): the running commit takes all clusters dropped so far, together with the last of
 * the changed entries.  Later, one of the others: it succeeded, or it failed.  Under meta_lock.
 */
void qed_drops_committing(struct qed_image *img);
void qed_drops_durable(struct qed_image *img);
void qed_drops_not_durable(struct qed_image *img);
/* Do so many clusters wait for a commit that no more should be dropped?  Under meta_lock. */
bool qed_too_many_dropped(const struct qed_image *img);
/*
 * Punch and free the clusters whose loss is durable and that no request uses.  *@left tells
 * whether some still wait for requests.  Yields.
 */
void qed_co_recycle(struct qed_image *img, bool *left);
/*
 * Punch a run of unused clusters and hand it to the allocator.  On failure, which is logged, the
 * run is leaked.  Yields.
 */
int qed_co_free_run(struct qed_image *img, uint64_t start, uint64_t count);

/*
 * Do that with all clusters before @end that are not in @used, which changes under meta_lock only,
 * until *@stop (NULL: never).  Return how many became free.  Yields.
 */
uint64_t qed_co_free_others(struct qed_image *img, const struct cluster_set *used, uint64_t end,
			    const _Atomic bool *stop);

#endif
