// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating writes where the untouched rest of a cluster is zeroes: zero
 * clusters, and unallocated ones that show nothing of a backing file.
 *
 * A fresh cluster reads as zeroes, which is what the guest cluster reads as
 * already.  So the entry may be set at once, before the data is written, and
 * nobody can tell; from then on any number of writers write their parts in
 * place, side by side, and no lock is needed but for the moment of setting it.
 * A commit in between makes the entry durable with a cluster of zeroes, or of
 * a part of data whose write was not acknowledged: both are right.
 */
#include <errno.h>

#include "format/qed/qed.h"

/* May the entry be replaced by a fresh cluster, without a look at the backing file? */
static bool is_fresh(const struct qed_image *img, uint64_t entry, uint64_t cluster)
{
	if (entry == QED_L2_ZERO)
		return true;
	return entry == QED_L2_UNALLOCATED &&
	       cluster << img->cluster_bits >= qed_backing_bytes(img);
}

/* Entries from @cluster on that lie in @slice and may be replaced, at most @max. */
static uint64_t count_fresh(struct qed_image *img, struct l2_slice *slice, uint64_t cluster,
			    uint64_t max)
{
	unsigned int i = cluster % QED_SLICE_ENTRIES;
	uint64_t n = 0;

	max = min_u64(max, QED_SLICE_ENTRIES - i);
	while (n < max && is_fresh(img,
				   atomic_load_explicit(&slice->entries[i + n],
							memory_order_relaxed),
				   cluster + n))
		n++;
	return n;
}

int qed_co_slice_for_change(struct qed_image *img, uint64_t cluster, struct l2_slice **slice)
{
	uint64_t l1_index = cluster / img->table_entries;
	int ret;

	for (;;) {
		ret = qed_co_throttle(img);
		if (ret)
			return ret;
		if (!atomic_load_explicit(&img->l1[l1_index], memory_order_acquire)) {
			ret = qed_co_new_table(img, l1_index);
			if (ret)
				return ret;
		}
		pthread_mutex_lock(&img->meta_lock);
		*slice = l2_cache_find(img, cluster / QED_SLICE_ENTRIES);
		if (*slice)
			return 0;
		pthread_mutex_unlock(&img->meta_lock);
		ret = qed_co_load_slice(img, cluster);
		if (ret)
			return ret;
	}
}

/*
 * Point as many of the @max clusters from @cluster on as can be had in one run
 * to fresh clusters.  *@n is their number, 0 if the first is not fresh any more.
 */
static int map_fresh(struct qed_image *img, uint64_t cluster, uint64_t max, uint64_t *start,
		     uint64_t *n)
{
	struct l2_slice *slice;
	uint64_t want;
	int ret;

	for (;;) {
		ret = qed_co_slice_for_change(img, cluster, &slice);
		if (ret)
			return ret;
		want = count_fresh(img, slice, cluster, max);
		*n = want ? qed_alloc_run(img, want, start) : 0;
		for (uint64_t i = 0; i < *n; i++)
			l2_slice_set(img, slice, (cluster + i) % QED_SLICE_ENTRIES,
				     (*start + i) << img->cluster_bits);
		pthread_mutex_unlock(&img->meta_lock);
		if (!want || *n)
			return 0;
		ret = qed_co_extend(img, want);
		if (ret)
			return ret;
	}
}

int qed_co_write_fresh(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
		       uint64_t *done)
{
	uint64_t cluster = offset >> img->cluster_bits;
	uint64_t in_cluster = offset & (qed_cluster_size(img) - 1);
	uint64_t max = ((offset + bytes - 1) >> img->cluster_bits) - cluster + 1;
	uint64_t start, n;
	int ret = map_fresh(img, cluster, max, &start, &n);

	if (ret || !n)
		return ret;
	*done = min_u64((n << img->cluster_bits) - in_cluster, bytes);
	return blk_file_co_pwrite(img->file, buf, *done, (start << img->cluster_bits) + in_cluster);
}
