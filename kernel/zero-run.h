/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runs of a write: clusters that are all zero, and the rest.
 *
 * A write is shown piece by piece, as it lies in memory, and the length of its
 * first run comes out: whole clusters of zeroes, or everything up to the next
 * whole cluster of zeroes.  Who wants the second run starts again behind the
 * first one.  Nothing here sleeps or allocates, and a struct qed_run belongs to
 * the caller alone.
 */
#ifndef DM_QED_ZERO_RUN_H
#define DM_QED_ZERO_RUN_H

#include "pure.h"

struct qed_run {
	/* All offsets are in bytes from the device's start. */
	u64 start; /* of the write */
	u64 end; /* of the write */
	u64 device_end;
	u64 pos; /* what comes next */
	u64 unit_end; /* of the cluster, or part of one, around pos */
	u64 run_end; /* of the run, as far as it is known */
	u64 max; /* longest run of interest */
	u32 cluster; /* bytes, a power of two */
	bool unit_zero; /* a whole cluster, in which no other byte was seen so far */
	bool begun; /* the first unit is over: ->zero is known */
	bool zero; /* what the run is */
};

/*
 * Can a write of @bytes at @offset hold a whole cluster?  One that the device ends
 * inside of is whole.
 */
bool qed_run_possible(u64 offset, u64 bytes, u32 cluster, u64 device_end);

/*
 * Begin with a write of @bytes, at least one, at @offset.  The run ends with the first unit that
 * brings it to @max bytes, so that the work for one run has a bound: what is read is at
 * most @max and two clusters.
 */
void qed_run_start(struct qed_run *run, u64 offset, u64 bytes, u32 cluster, u64 device_end,
		   u64 max);

/* Does anything hang on the next @len bytes?  If not, qed_run_feed() does not look at them. */
static inline bool qed_run_wants(const struct qed_run *run, size_t len)
{
	return run->unit_zero || run->pos + len > run->unit_end;
}

/*
 * Show the next @len bytes; @data is not touched where qed_run_wants() says no.
 * Returns false when the run's end is known, and then must not be called again.
 */
bool qed_run_feed(struct qed_run *run, const void *data, size_t len);

/* Bytes of the run.  After the last byte of the write was fed, or qed_run_feed() said false. */
static inline u64 qed_run_bytes(const struct qed_run *run)
{
	return run->run_end - run->start;
}

#endif
