/* SPDX-License-Identifier: GPL-2.0 */
/* The cache of L2 slices (l2_cache.c). */
#ifndef QEDBLK_FORMAT_QED_L2_CACHE_H
#define QEDBLK_FORMAT_QED_L2_CACHE_H

#include <stdint.h>

struct qed_image;
struct l2_slice;

/* @bytes is the cache's size; 0: the default.  Returns 0 or -ENOMEM. */
int l2_cache_init(struct qed_image *img, uint64_t bytes);
/* Yields while evicted slices wait for their grace period. */
void l2_cache_destroy(struct qed_image *img);
/* Empty the cache.  No slice may be dirty, and no request in flight.  Yields. */
void l2_cache_co_forget(struct qed_image *img);
/* Return the published slice, or NULL.  Takes no lock; valid until the caller yields. */
struct l2_slice *l2_cache_find(struct qed_image *img, uint64_t index);
/*
 * Load the slice, whose table must exist.  Returns 0 or a negative errno.  Yields.  The slice may
 * be evicted again before the caller finds it; the caller then calls again.
 */
int l2_cache_co_load(struct qed_image *img, uint64_t index);
/* Change an entry of a published slice, which becomes dirty.  Under meta_lock. */
void l2_slice_set(struct qed_image *img, struct l2_slice *slice, unsigned int i, uint64_t entry);

#endif
