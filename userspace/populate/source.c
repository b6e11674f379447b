// SPDX-License-Identifier: GPL-2.0
/* Holes of the backing chain, known without reading. */
#include "block/io.h"
#include "populate/source.h"
#include "util/units.h"

/* Query the chain, from @offset to at most the end of its region. */
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
	/* Beyond the backing file's end its overlay shows zeroes, whatever is below. */
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

/* Return the extent at @offset, from the cache or by a query.  Yields. */
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
	/* Yields; another coroutine may replace the slot meanwhile, with an answer as good. */
	extent = ask(backing, base, offset);
	if (cache->base == base)
		cache->extents[slot] = extent;
	return extent;
}

/* Get the kind of one cluster, or of more as far as one answer reaches. */
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
		/* A cluster may extend beyond the end of a region: query the next one. */
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
