/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The known-zero map: which parts of a device are known to be zero, because they were
 * zeroed through this target.
 *
 * One bit per granule, which is a cluster, or several if the device is so large that the
 * map would exceed its bound (QED_ZERO_MAP_REGIONS). An unknown granule counts as not
 * zero, so clearing bits is always safe.
 *
 * A bit may be set only if no other change can have reached the granule since it was
 * zeroed: with a stale bit, a read would return zeroes instead of data. Therefore
 *
 *  - a bio that may change the granule (a write, a discard) calls
 *    qed_zero_map_write_begin() before it is sent, which clears the bits, and
 *    qed_zero_map_write_end() when it completes, successfully or not;
 *  - a write-zeroes takes a ticket from qed_zero_map_zero_begin() before it is
 *    sent, and hands it to qed_zero_map_zero_end() if it succeeded.  Granules that a write
 *    was in flight to at the ticket's time, or has come to since, stay unknown.
 *
 * Only init and exit may sleep. All other functions may be called at any time from any
 * context.
 */
#ifndef DM_QED_ZERO_MAP_H
#define DM_QED_ZERO_MAP_H

#include "pure.h"

#define QED_ZERO_MAP_REGIONS	 65536
#define QED_ZERO_MAP_REGION_BITS 64
#define QED_ZERO_MAP_LOCKS	 64

/*
 * Sixty-four granules. Protected by the region's lock, except that ->known may be read
 * without it.
 */
struct qed_zero_region {
	u64 known; /* a bit per granule: reads as zeroes */
	u64 stamp; /* the clock at the end of the last write to any of them */
	u32 writers; /* writes in flight to any of them */
};

struct qed_zero_map {
	u64 size; /* bytes of the device */
	u64 granules, regions;
	unsigned int shift; /* a granule is 1 << shift bytes */
	atomic64_t clock; /* counts ends of writes, and qed_zero_map_forget() */
	atomic64_t known; /* number of bits that are set */
	struct qed_zero_region *region;
	/*
	 * Region r is protected by lock r % QED_ZERO_MAP_LOCKS; at most one lock is held at a time.
	 */
	spinlock_t lock[QED_ZERO_MAP_LOCKS];
};

/* Initialise a map of a device of @size bytes, with no bit set. May sleep. Returns 0 or -ENOMEM. */
int qed_zero_map_init(struct qed_zero_map *map, u64 size, unsigned int cluster_shift);
void qed_zero_map_exit(struct qed_zero_map *map);

/*
 * Begin and end a bio that may change data. Ranges are in bytes, lie within the device
 * and need not be aligned.
 */
void qed_zero_map_write_begin(struct qed_zero_map *map, u64 offset, u64 bytes);
void qed_zero_map_write_end(struct qed_zero_map *map, u64 offset, u64 bytes);

/*
 * Begin a write-zeroes: returns a ticket for qed_zero_map_zero_end(), which is called
 * only if the write-zeroes succeeded. The granules that it covers are then known,
 * unless a write to them was in flight meanwhile or has begun since, or
 * qed_zero_map_forget() was called. Any context.
 */
u64 qed_zero_map_zero_begin(struct qed_zero_map *map);
void qed_zero_map_zero_end(struct qed_zero_map *map, u64 offset, u64 bytes, u64 ticket);

/* Return true when the whole range is known to read as zeroes. */
bool qed_zero_map_is_zero(struct qed_zero_map *map, u64 offset, u64 bytes);

/* Clear all bits, and make the tickets of write-zeroes in flight void. */
void qed_zero_map_forget(struct qed_zero_map *map);

static inline u64 qed_zero_map_known(struct qed_zero_map *map)
{
	return atomic64_read(&map->known);
}

#endif
