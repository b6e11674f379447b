// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating writes where the untouched rest of a cluster is zeroes: zero
 * clusters, and unallocated ones that show nothing of a backing file.
 *
 * A fresh cluster reads as zeroes, which is what the guest cluster reads as
 * already.  So the entry may be set at once, before the data is written, and
 * no reader can tell.  From then on any number of writers write their parts in
 * place, in parallel; a lock is needed only while the entry is set.  A commit
 * in between makes the entry durable with a cluster that holds zeroes, or a
 * part of the data of a write that was not answered: both are correct.
 */
#include <errno.h>

#include "format/qed/qed.h"

/* May the entry be replaced by a fresh cluster without copying from the backing file? */
static bool is_fresh(const struct qed_image *img, uint64_t entry, uint64_t cluster)
{
	if (entry == QED_L2_ZERO)
		return true;
	return entry == QED_L2_UNALLOCATED &&
	       cluster << img->cluster_bits >= qed_backing_bytes(img);
}

int qed_co_write_fresh(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
		       uint64_t *done)
{
	uint64_t cluster = offset >> img->cluster_bits;
	uint64_t in_cluster = offset & (qed_cluster_size(img) - 1);
	uint64_t max = ((offset + bytes - 1) >> img->cluster_bits) - cluster + 1;
	struct qed_run run;
	int ret = qed_co_take_clusters(img, cluster, max, is_fresh, true, &run);

	if (ret || !run.count)
		return ret;
	*done = min_u64((run.count << img->cluster_bits) - in_cluster, bytes);
	return blk_file_co_pwrite(img->file, buf, *done,
				  (run.start << img->cluster_bits) + in_cluster);
}
