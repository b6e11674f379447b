// SPDX-License-Identifier: GPL-2.0
/*
 * Can there be holes of the file below data clusters?  An image made with preallocation=metadata,
 * or by a program that writes a part of a new cluster, has them.
 *
 * It is a guess, and the same as QEMU's: there are, if the reference counts say that more clusters
 * are used than the file has blocks for.  Counting ends when there are enough.
 */
#include "format/qcow2/qcow2.h"
#include "format/qcow2/refcounts.h"
#include "util/units.h"

/* The most counts that are looked at: a file may be made to take long. */
#define MAX_COUNTS (1u << 28)

/* Are @want of the file's first @clusters clusters used?  Returns 0, 1 or a negative errno. */
static int count(struct qcow2_image *img, uint64_t clusters, uint64_t want)
{
	struct qcow2_refcounts counts;
	uint64_t used = 0, references;
	int ret = qcow2_co_refcounts_open(&counts, img);

	for (uint64_t i = 0; !ret && i < clusters && used < want; i++) {
		if (!qcow2_refcounts_entry(&counts, i)) {
			i |= (1ULL << counts.block_bits) - 1;
			continue;
		}
		ret = qcow2_co_refcount(&counts, i, &references);
		used += !ret && references;
	}
	qcow2_refcounts_close(&counts);
	return ret ? ret : used >= want;
}

static int guess(struct qcow2_image *img)
{
	uint64_t size = atomic_load_explicit(&img->file->size, memory_order_relaxed);
	uint64_t clusters = div_round_up(size, img->cluster_size), on_disk, want;
	int ret = blk_file_co_allocated(img->file, &on_disk);

	if (ret)
		return ret;
	on_disk /= img->cluster_size;
	want = max_u64(on_disk * 10 / 9, on_disk + 2);
	if (clusters < want || (uint64_t)img->header.refcount_table_clusters
					       << img->header.cluster_bits >
				       QCOW2_MAX_REFCOUNT_TABLE_BYTES)
		return 0;
	return count(img, min_u64(clusters, MAX_COUNTS), want);
}

bool qcow2_co_may_have_holes(struct blk_node *node)
{
	struct qcow2_image *img = node->opaque;
	int holes = atomic_load_explicit(&img->holes, memory_order_relaxed);

	/* Two coroutines that guess at once come to the same result. */
	if (holes == QCOW2_HOLES_UNKNOWN) {
		holes = guess(img) > 0 ? QCOW2_HOLES : QCOW2_NO_HOLES;
		atomic_store_explicit(&img->holes, holes, memory_order_relaxed);
	}
	return holes == QCOW2_HOLES;
}
