// SPDX-License-Identifier: GPL-2.0
/*
 * The runs of a write; see zero-run.h.
 */
#include "zero-run.h"

bool qed_run_possible(u64 offset, u64 bytes, u32 cluster, u64 device_end)
{
	u64 first = round_up(offset, (u64)cluster);
	u64 end = offset + bytes;

	return first < end && (end - first >= cluster || end == device_end);
}

/* Begin the unit at pos. Only a whole cluster can be zero: the rest of a partial one is unknown. */
static void begin_unit(struct qed_zero_run *run)
{
	u64 cluster_end = round_down(run->pos, (u64)run->cluster) + run->cluster;

	run->unit_end = min(cluster_end, run->end);
	run->unit_zero = !(run->pos & (run->cluster - 1)) &&
			 (run->unit_end == cluster_end || run->unit_end == run->device_end);
}

/* End the unit. Returns false when the run ends with it, or ended before it. */
static bool end_unit(struct qed_zero_run *run)
{
	if (!run->begun) {
		run->begun = true;
		run->zero = run->unit_zero;
	} else if (run->zero != run->unit_zero) {
		return false;
	}
	run->run_end = run->unit_end;
	if (run->run_end == run->end || run->run_end - run->start >= run->max)
		return false;
	begin_unit(run);
	return true;
}

void qed_zero_run_start(struct qed_zero_run *run, u64 offset, u64 bytes, u32 cluster,
			u64 device_end, u64 max)
{
	*run = (struct qed_zero_run){
		.start = offset,
		.end = offset + bytes,
		.device_end = device_end,
		.pos = offset,
		.run_end = offset,
		.max = max,
		.cluster = cluster,
	};
	begin_unit(run);
}

bool qed_zero_run_feed(struct qed_zero_run *run, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		size_t n = min_t(u64, len, run->unit_end - run->pos);

		if (run->unit_zero && memchr_inv(p, 0, n)) {
			run->unit_zero = false;
			/* A run of zeroes ends before this unit, whatever its remaining bytes. */
			if (run->begun && run->zero)
				return false;
		}
		run->pos += n;
		p += n;
		len -= n;
		if (run->pos == run->unit_end && !end_unit(run))
			return false;
	}
	return true;
}
