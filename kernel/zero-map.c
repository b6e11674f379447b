// SPDX-License-Identifier: GPL-2.0
/*
 * The known-zero map; see zero-map.h for the rules of use.
 *
 * Why a set bit is correct. At the end of a write the clock is incremented under the
 * region's lock, and the new value becomes the region's stamp. A ticket is the value of
 * the clock before the write-zeroes was sent. When the write-zeroes has completed and
 * checks the region under the lock, a write that could have reached the granule after it
 *
 *  - has not begun: it will clear the bit, under the lock, before it is sent;
 *  - is in flight: ->writers is not 0, and no bit is set;
 *  - has ended since the ticket: ->stamp is later than the ticket, and no bit is set.
 *
 * Any other write ended before the ticket was taken, so before the write-zeroes was
 * sent.
 *
 * Readers read ->known without the lock. A bit that they see had that value at some
 * moment during the read; a write that began after that moment did not complete before
 * the read began, so zeroes are a valid result of the read.
 */
#include "zero-map.h"

/* Bits [first, last) of the map that lie in one region. */
struct region_part {
	u64 region;
	u64 mask;
};

/* Return the part of [*@first, @last) in the region of *@first, and advance *@first past it. */
static struct region_part next_part(u64 *first, u64 last)
{
	struct region_part part = { .region = *first / QED_ZERO_MAP_REGION_BITS };
	unsigned int low = *first % QED_ZERO_MAP_REGION_BITS;
	u64 count = min_t(u64, last - *first, QED_ZERO_MAP_REGION_BITS - low);

	part.mask = GENMASK_ULL(low + count - 1, low);
	*first += count;
	return part;
}

static spinlock_t *lock_of(struct qed_zero_map *map, u64 region)
{
	return &map->lock[region % QED_ZERO_MAP_LOCKS];
}

/* Set the region's bits and adjust the map's count. With the region's lock held. */
static void set_known(struct qed_zero_map *map, struct qed_zero_region *region, u64 known)
{
	s64 more = (s64)hweight64(known) - hweight64(region->known);

	if (known == region->known)
		return;
	WRITE_ONCE(region->known, known);
	atomic64_add(more, &map->known);
}

/* The granules that a range touches, even partly: first, and last + 1. */
static u64 first_touched(const struct qed_zero_map *map, u64 offset)
{
	return offset >> map->shift;
}

static u64 last_touched(const struct qed_zero_map *map, u64 offset, u64 bytes)
{
	return ((offset + bytes - 1) >> map->shift) + 1;
}

int qed_zero_map_init(struct qed_zero_map *map, u64 size, unsigned int cluster_shift)
{
	const u64 max = (u64)QED_ZERO_MAP_REGIONS * QED_ZERO_MAP_REGION_BITS;
	unsigned int i;

	map->size = size;
	map->shift = cluster_shift;
	while (((size - 1) >> map->shift) + 1 > max)
		map->shift++;
	map->granules = ((size - 1) >> map->shift) + 1;
	map->regions = (map->granules - 1) / QED_ZERO_MAP_REGION_BITS + 1;
	atomic64_set(&map->clock, 0);
	atomic64_set(&map->known, 0);
	for (i = 0; i < QED_ZERO_MAP_LOCKS; i++)
		spin_lock_init(&map->lock[i]);
	map->region = kvcalloc(map->regions, sizeof(*map->region), GFP_KERNEL);
	return map->region ? 0 : -ENOMEM;
}

void qed_zero_map_exit(struct qed_zero_map *map)
{
	kvfree(map->region);
	map->region = NULL;
}

void qed_zero_map_write_begin(struct qed_zero_map *map, u64 offset, u64 bytes)
{
	u64 first = first_touched(map, offset), last = last_touched(map, offset, bytes);
	unsigned long flags;

	while (first < last) {
		struct region_part part = next_part(&first, last);
		struct qed_zero_region *region = &map->region[part.region];

		spin_lock_irqsave(lock_of(map, part.region), flags);
		region->writers++;
		set_known(map, region, region->known & ~part.mask);
		spin_unlock_irqrestore(lock_of(map, part.region), flags);
	}
}

void qed_zero_map_write_end(struct qed_zero_map *map, u64 offset, u64 bytes)
{
	u64 first = first_touched(map, offset), last = last_touched(map, offset, bytes);
	unsigned long flags;

	while (first < last) {
		struct region_part part = next_part(&first, last);
		struct qed_zero_region *region = &map->region[part.region];

		spin_lock_irqsave(lock_of(map, part.region), flags);
		region->stamp = atomic64_inc_return(&map->clock);
		region->writers--;
		spin_unlock_irqrestore(lock_of(map, part.region), flags);
	}
}

u64 qed_zero_map_zero_begin(struct qed_zero_map *map)
{
	return atomic64_read(&map->clock);
}

void qed_zero_map_zero_end(struct qed_zero_map *map, u64 offset, u64 bytes, u64 ticket)
{
	/*
	 * Only granules that the range covers completely; the last one may be cut by the device's
	 * end.
	 */
	u64 first = (offset + (1ULL << map->shift) - 1) >> map->shift;
	u64 last = offset + bytes == map->size ? map->granules : (offset + bytes) >> map->shift;
	unsigned long flags;

	while (first < last) {
		struct region_part part = next_part(&first, last);
		struct qed_zero_region *region = &map->region[part.region];

		spin_lock_irqsave(lock_of(map, part.region), flags);
		if (!region->writers && region->stamp <= ticket)
			set_known(map, region, region->known | part.mask);
		spin_unlock_irqrestore(lock_of(map, part.region), flags);
	}
}

bool qed_zero_map_is_zero(struct qed_zero_map *map, u64 offset, u64 bytes)
{
	u64 first = first_touched(map, offset), last = last_touched(map, offset, bytes);

	while (first < last) {
		struct region_part part = next_part(&first, last);

		if (part.mask & ~READ_ONCE(map->region[part.region].known))
			return false;
	}
	return true;
}

void qed_zero_map_forget(struct qed_zero_map *map)
{
	unsigned long flags;
	u64 i;

	for (i = 0; i < map->regions; i++) {
		struct qed_zero_region *region = &map->region[i];

		spin_lock_irqsave(lock_of(map, i), flags);
		region->stamp = atomic64_inc_return(&map->clock);
		set_known(map, region, 0);
		spin_unlock_irqrestore(lock_of(map, i), flags);
	}
}
