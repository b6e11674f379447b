// SPDX-License-Identifier: GPL-2.0
/* Holes of the backing chain, known without reading. */
#include "block/io.h"
#include "populate/source.h"
#include "util/units.h"

/* Ask the chain, about what is left of one region. */
static struct source_extent ask(struct blk_node *backing, const struct blk_node *base,
				uint64_t offset)
{
	uint64_t size = atomic_load(&backing->size);
	uint64_t region_end = round_down(offset, SOURCE_REGION_BYTES) + SOURCE_REGION_BYTES;
	struct source_extent extent = { .start = offset, .end = region_end };
	struct blk_status status;

	if (base == backing) {
		extent.kind = SOURCE_BELOW;
		return extent;
	}
	/* Shorter than its overlay, it says zero there, whatever lies below. */
	if (offset >= size) {
		extent.kind = SOURCE_ZERO;
		return extent;
	}
	extent.end = min_u64(extent.end, size);
	if (blk_co_status_above(backing, base, offset, extent.end - offset, &status) ||
	    !status.bytes)
		return extent;
	extent.end = offset + status.bytes;
	if (base && status.node == base)
		extent.kind = SOURCE_BELOW;
	else if (status.zero)
		extent.kind = SOURCE_ZERO;
	return extent;
}

/* What is at @offset, and as far as that is known. */
static struct source_extent look_up(struct blk_node *backing, const struct blk_node *base,
				    struct source_cache *cache, uint64_t offset)
{
	unsigned int slot = offset / SOURCE_REGION_BYTES % SOURCE_EXTENTS;
	struct source_extent extent;

	if (cache->base != base) {
		*cache = (struct source_cache){ .base = base };
	} else {
		extent = cache->extents[slot];
		if (extent.start <= offset && offset < extent.end)
			return extent;
	}
	/* Parks; the slot may be another's by now, which is as good. */
	extent = ask(backing, base, offset);
	if (cache->base == base)
		cache->extents[slot] = extent;
	return extent;
}

/* One cluster, or more as far as one answer reaches. */
static enum source_kind look_once(struct blk_node *node, const struct blk_node *base,
				  struct source_cache *cache, uint64_t offset, uint64_t bytes,
				  uint64_t *run)
{
	uint64_t cluster = min_u64(node->cluster_size, bytes), end = offset + cluster;
	struct blk_node *backing = node->backing;
	struct source_extent first, next;

	*run = cluster;
	if (!backing)
		return SOURCE_BELOW;
	first = look_up(backing, base, cache, offset);
	for (next = first; next.end < end;) {
		/* Regions end where clusters do not need to: the answer may go on. */
		struct source_extent more = look_up(backing, base, cache, next.end);

		if (more.kind != first.kind)
			return SOURCE_DATA;
		next = more;
	}
	if (next.end >= offset + bytes)
		*run = bytes;
	else
		*run = round_down(next.end - offset, node->cluster_size);
	return first.kind;
}

enum source_kind source_co_look(struct blk_node *node, const struct blk_node *base,
				struct source_cache *cache, uint64_t offset, uint64_t bytes,
				uint64_t *run)
{
	enum source_kind kind = look_once(node, base, cache, offset, bytes, run);

	while (*run < bytes) {
		uint64_t more;

		if (look_once(node, base, cache, offset + *run, bytes - *run, &more) != kind)
			break;
		*run += more;
	}
	return kind;
}
