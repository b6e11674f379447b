// SPDX-License-Identifier: GPL-2.0
/*
 * Where bytes are, through the backing chain: for requests that go directly to a
 * descriptor, and for users that query the map of an image.
 */
#include <errno.h>

#include "block/filter.h"
#include "block/io.h"
#include "util/units.h"

static void answer(struct blk_map *map, enum blk_map_kind kind, uint64_t bytes)
{
	*map = (struct blk_map){ .kind = kind, .bytes = bytes };
}

/*
 * Trim a DATA answer to what the descriptor, if there is one, can access: inside the
 * file, since beyond its end a read would be short and a write would not update
 * file->size; and aligned.
 */
static void fit_to_file(struct blk_map *map)
{
	uint32_t align = map->file ? map->file->align : 1;
	uint64_t size;

	if (map->file && map->file->keeps_nothing) {
		answer(map, BLK_MAP_NOWHERE, map->bytes);
		return;
	}
	if (!map->file || map->file->protocol || (map->file_offset & (align - 1))) {
		answer(map, BLK_MAP_ASK, map->bytes);
		return;
	}
	size = atomic_load_explicit(&map->file->size, memory_order_acquire);
	if (map->file_offset >= size) {
		answer(map, BLK_MAP_ASK, map->bytes);
		return;
	}
	map->bytes = round_down(min_u64(map->bytes, size - map->file_offset), align);
	if (!map->bytes)
		answer(map, BLK_MAP_ASK, align);
}

/* Get one node's answer, within @bytes; ASK if the driver does not know. */
static void ask_driver(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	if (node->driver->map(node, offset, bytes, map) || !map->bytes)
		answer(map, BLK_MAP_ASK, bytes);
	else
		map->bytes = min_u64(map->bytes, bytes);
}

void blk_map_read(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	const struct blk_node *top = node;

	if (blk_filter_watches(node)) {
		answer(map, BLK_MAP_ASK, bytes);
		return;
	}
	for (;;) {
		struct blk_node *backing;
		uint64_t backing_size;

		ask_driver(node, offset, bytes, map);
		if (map->kind == BLK_MAP_DATA)
			fit_to_file(map);
		else if (map->kind == BLK_MAP_ZERO)
			map->file = NULL;
		/* Only a direct reader of that file may get the buffer unchanged, not a format. */
		if (map->kind == BLK_MAP_NOWHERE && node != top)
			answer(map, BLK_MAP_ZERO, map->bytes);
		if (map->kind != BLK_MAP_BACKING)
			return;

		bytes = map->bytes;
		backing = node->backing;
		backing_size = backing ? atomic_load(&backing->size) : 0;
		if (offset >= backing_size) {
			answer(map, BLK_MAP_ZERO, bytes);
			return;
		}
		bytes = min_u64(bytes, backing_size - offset);
		if (blk_filter_takes(node, 0)) {
			answer(map, BLK_MAP_ASK, bytes);
			return;
		}
		node = backing;
	}
}

void blk_map_write(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	ask_driver(node, offset, bytes, map);
	if (map->kind == BLK_MAP_DATA && (node->flags & BLK_O_RDWR))
		fit_to_file(map);
	else
		answer(map, BLK_MAP_ASK, map->bytes);
	/*
	 * A writer that uses this answer does not lock its range.  Guests write
	 * multiples of 512 bytes; in a larger block such a write could be lost to
	 * the read-modify-write of a neighbouring sector (file_align.c).
	 */
	if (map->kind == BLK_MAP_DATA && map->file->align > SECTOR_SIZE)
		answer(map, BLK_MAP_ASK, map->bytes);
}

/* Find zeroes that the driver does not know: a hole of the file below @map, which is DATA. */
static int look_for_hole(struct blk_node *node, struct blk_map *map, bool *zero)
{
	int data;

	if (map->kind != BLK_MAP_DATA || !map->file || !node->driver->co_may_have_holes ||
	    !node->driver->co_may_have_holes(node))
		return 0;
	data = blk_file_co_is_data(map->file, map->file_offset, map->bytes, &map->bytes);
	*zero = !data;
	return data < 0 ? data : 0;
}

static int look_through(struct blk_node *node, const struct blk_node *base, uint64_t offset,
			uint64_t bytes, struct blk_status *status)
{
	struct blk_map map = { .kind = BLK_MAP_ZERO, .bytes = bytes };
	unsigned int depth = 0;
	uint64_t size = atomic_load(&node->size);
	bool nothing_below = false, hole = false;
	int ret;

	if (offset > size || bytes > size - offset)
		return -EIO;
	while (bytes) {
		struct blk_node *backing = node->backing;
		uint64_t backing_size;

		ret = node->driver->co_map(node, offset, bytes, &map);
		if (ret)
			return ret;
		bytes = map.bytes = min_u64(map.bytes, bytes);
		nothing_below = !backing;
		if (map.kind != BLK_MAP_BACKING || !backing)
			break;

		node = backing;
		depth++;
		backing_size = atomic_load(&node->size);
		nothing_below = offset >= backing_size;
		if (!nothing_below)
			bytes = map.bytes = min_u64(bytes, backing_size - offset);
		if (node == base)
			break;
		if (nothing_below) {
			/*
			 * Beyond the end of a backing file are zeroes, attributed to that
			 * file.  Space that the node above reserves stays in the answer.
			 */
			map.kind = BLK_MAP_ZERO;
			break;
		}
	}
	ret = look_for_hole(node, &map, &hole);
	if (ret)
		return ret;
	*status = (struct blk_status){
		.kind = map.kind,
		.zero = hole || map.kind == BLK_MAP_ZERO ||
			(map.kind == BLK_MAP_BACKING && nothing_below),
		.bytes = map.bytes,
		.depth = depth,
		.node = node,
		.file = map.file,
		.file_offset = map.file_offset,
	};
	return 0;
}

int blk_co_status_above(struct blk_node *node, const struct blk_node *base, uint64_t offset,
			uint64_t bytes, struct blk_status *status)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = look_through(node, base, offset, bytes, status);

	inflight_end(&node->inflight, token);
	return ret;
}

int blk_co_status(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_status *status)
{
	return blk_co_status_above(node, NULL, offset, bytes, status);
}

/* Is [offset, end) known to read as zeroes?  Stops at the first run that is not. */
static bool co_is_zero(struct blk_node *node, uint64_t offset, uint64_t end)
{
	struct blk_status status;

	for (; offset < end; offset += status.bytes)
		if (blk_co_status(node, offset, end - offset, &status) || !status.zero)
			return false;
	return true;
}

uint64_t blk_co_zero_from(struct blk_node *node, uint64_t end)
{
	struct blk_node *backing = node->backing;
	uint64_t backing_end = backing ? min_u64(atomic_load(&backing->size), end) : end;

	if ((node->flags & BLK_O_INCOMPLETE) && node->driver->new_is_zero &&
	    node->driver->new_is_zero(node))
		return 0;
	if (co_is_zero(node, 0, end))
		return 0;
	/* Where nothing is allocated, zeroes can only begin at the backing file's end. */
	return co_is_zero(node, backing_end, end) ? backing_end : end;
}
