/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The known-zero map: which parts of a device were seen to become zero.
 *
 * One bit a granule, which is a cluster, or several where the device is so large
 * that the map would outgrow its bound (QED_ZERO_MAP_REGIONS).  What is not known
 * is not zero here, so forgetting is always right.
 *
 * A bit may be set only when nothing else can have reached the granule since: a
 * stale bit would be a read that returns zeroes instead of data.  Therefore
 *
 *  - whatever may change the granule (a write, a discard) calls
 *    qed_zero_map_write_begin() before it is sent, which clears the bits, and
 *    qed_zero_map_write_end() when it is over, however it ended;
 *  - a write-zeroes takes a ticket from qed_zero_map_zero_begin() before it is
 *    sent, and hands it to qed_zero_map_zero_end() if it succeeded.  Granules that a write
 *    was in flight to at the ticket's time, or has come to since, stay unknown.
 *
 * No function sleeps but init and exit; all others may be called at any time, from any
 * context.
 */
#ifndef DM_QED_ZERO_MAP_H
#define DM_QED_ZERO_MAP_H

#include "pure.h"

#define QED_ZERO_MAP_REGIONS	 65536
#define QED_ZERO_MAP_REGION_BITS 64
#define QED_ZERO_MAP_LOCKS	 64

/* Sixty-four granules; all of it is under the region's lock but for reading ->known. */
struct qed_zero_region {
	u64 known; /* a bit a granule: reads as zeroes */
	u64 stamp; /* of the last end of a write to any of them */
	u32 writers; /* writes in flight to any of them */
};

struct qed_zero_map {
	u64 size; /* bytes of the device */
	u64 granules, regions;
	unsigned int shift; /* a granule is 1 << shift bytes */
	atomic64_t clock; /* counts ends of writes, and forgets */
	atomic64_t known; /* bits that are set */
	struct qed_zero_region *region;
	/* Region r is under lock r % QED_ZERO_MAP_LOCKS; no two are ever held at once. */
	spinlock_t lock[QED_ZERO_MAP_LOCKS];
};

/* A map of @size bytes that knows nothing.  Returns 0 or -ENOMEM. */
int qed_zero_map_init(struct qed_zero_map *map, u64 size, unsigned int cluster_shift);
void qed_zero_map_exit(struct qed_zero_map *map);

/* Ranges are in bytes, lie inside of the device and need not be aligned. */
void qed_zero_map_write_begin(struct qed_zero_map *map, u64 offset, u64 bytes);
void qed_zero_map_write_end(struct qed_zero_map *map, u64 offset, u64 bytes);

/*
 * A write-zeroes begins: the ticket goes to its end, which is told only where it
 * succeeded.  What it covers is known then, unless a write was in flight
 * meanwhile, or has begun since, or all was forgotten.  Any context.
 */
u64 qed_zero_map_zero_begin(struct qed_zero_map *map);
void qed_zero_map_zero_end(struct qed_zero_map *map, u64 offset, u64 bytes, u64 ticket);

/* Is all of the range known to read as zeroes? */
bool qed_zero_map_is_zero(struct qed_zero_map *map, u64 offset, u64 bytes);

/* Know nothing; also of write-zeroes that are in flight. */
void qed_zero_map_forget(struct qed_zero_map *map);

static inline u64 qed_zero_map_known(struct qed_zero_map *map)
{
	return atomic64_read(&map->known);
}

#endif
