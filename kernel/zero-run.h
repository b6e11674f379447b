/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runs of a write: of clusters that are all zero, and of other data.
 *
 * The caller feeds a write piece by piece, as it lies in memory, and gets the length
 * of its first run: whole clusters of zeroes, or everything up to the next whole
 * cluster of zeroes. For the next run, the caller starts again after the first one. No
 * function sleeps or allocates. The caller owns struct qed_zero_run.
 */
#ifndef DM_QED_ZERO_RUN_H
#define DM_QED_ZERO_RUN_H

#include "pure.h"

struct qed_zero_run {
	/* All offsets are in bytes from the device's start. */
	u64 start; /* of the write */
	u64 end; /* of the write */
	u64 device_end;
	u64 pos; /* of the next byte to be fed */
	u64 unit_end; /* of the cluster, or part of a cluster, that contains pos */
	u64 run_end; /* of the run, as far as known */
	u64 max; /* bytes: the run ends when it is this long */
	u32 cluster; /* bytes, a power of two */
	bool unit_zero; /* a whole cluster, with only zero bytes so far */
	bool begun; /* the first unit has ended: ->zero is valid */
	bool zero; /* the run is of zeroes */
};

/*
 * Return true when a write of @bytes at @offset can contain a whole cluster. A cluster
 * cut by the device's end counts as whole.
 */
bool qed_run_possible(u64 offset, u64 bytes, u32 cluster, u64 device_end);

/*
 * Start with a write of @bytes, at least one, at @offset. The run ends with the first unit that
 * brings it to @max bytes, so that the work for one run is bounded: at most @max bytes and two
 * clusters are read.
 */
void qed_zero_run_start(struct qed_zero_run *run, u64 offset, u64 bytes, u32 cluster,
			u64 device_end, u64 max);

/*
 * Return true when the result depends on the next @len bytes. If not, qed_zero_run_feed()
 * does not read them.
 */
static inline bool qed_zero_run_wants(const struct qed_zero_run *run, size_t len)
{
	return run->unit_zero || run->pos + len > run->unit_end;
}

/*
 * Feed the next @len bytes; @data is not read when qed_zero_run_wants() is false. Returns
 * false when the run's end is known; it must not be called again then.
 */
bool qed_zero_run_feed(struct qed_zero_run *run, const void *data, size_t len);

/*
 * Return the length of the run in bytes. Valid after the last byte of the write was
 * fed, or qed_zero_run_feed() returned false.
 */
static inline u64 qed_zero_run_bytes(const struct qed_zero_run *run)
{
	return run->run_end - run->start;
}

#endif
