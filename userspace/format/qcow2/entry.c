// SPDX-License-Identifier: GPL-2.0
/*
 * Decoding L2 entries.  No I/O here, and no check against the file's size.
 */
#include <errno.h>

#include "format/qcow2/format.h"

/* Get the kind of a subcluster from its two bits. */
static int classify_bits(bool allocated, bool zero, bool has_place, enum qcow2_kind *kind)
{
	/* Both bits at once are invalid, and so is an allocated subcluster without an offset. */
	if (allocated && (zero || !has_place))
		return -EIO;
	*kind = zero ? QCOW2_ZERO : allocated ? QCOW2_DATA : QCOW2_UNALLOCATED;
	return 0;
}

/* @bitmap: the low 32 bits mean "allocated", the high 32 bits "reads as zeroes". */
static int classify_subclusters(uint64_t bitmap, unsigned int sub, struct qcow2_extent *extent)
{
	enum qcow2_kind kind;
	int ret;

	ret = classify_bits(bitmap >> sub & 1, bitmap >> (sub + 32) & 1, extent->has_place,
			    &extent->kind);
	if (ret)
		return ret;
	/* An error further on is reported to the request that starts there. */
	for (extent->subclusters = 1; sub + extent->subclusters < QCOW2_SUBCLUSTERS;
	     extent->subclusters++) {
		unsigned int next = sub + extent->subclusters;

		if (classify_bits(bitmap >> next & 1, bitmap >> (next + 32) & 1, extent->has_place,
				  &kind) ||
		    kind != extent->kind)
			break;
	}
	return 0;
}

int qcow2_classify(const struct qcow2_header *h, uint64_t entry, uint64_t bitmap, unsigned int sub,
		   struct qcow2_extent *extent)
{
	bool extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	uint64_t cluster_size = 1ULL << h->cluster_bits;
	uint64_t place = entry & QCOW2_ENTRY_OFFSET;

	*extent = (struct qcow2_extent){ .subclusters = 1 };
	if (entry & QCOW2_L2_COMPRESSED) {
		/* The bitmap of a compressed cluster has no meaning, and is not read. */
		extent->kind = QCOW2_PACKED;
		extent->subclusters = extended ? QCOW2_SUBCLUSTERS - sub : 1;
		return 0;
	}
	if (place & (cluster_size - 1))
		return -EIO;
	extent->has_place = place;
	extent->host_offset = place;
	if (extended) {
		extent->host_offset += place ? sub * (cluster_size / QCOW2_SUBCLUSTERS) : 0;
		return classify_subclusters(bitmap, sub, extent);
	}
	if (entry & QCOW2_L2_ZERO) {
		if (h->version < 3)
			return -EIO;
		extent->kind = QCOW2_ZERO;
	} else {
		extent->kind = place ? QCOW2_DATA : QCOW2_UNALLOCATED;
	}
	return 0;
}

void qcow2_packed_place(const struct qcow2_header *h, uint64_t entry, uint64_t *offset,
			uint32_t *bytes)
{
	/* The larger the clusters, the more bits count sectors, and the fewer hold the offset. */
	unsigned int offset_bits = 62 - (h->cluster_bits - 8);
	uint64_t more_sectors = (entry & (QCOW2_L2_COMPRESSED - 1)) >> offset_bits;

	*offset = entry & ((1ULL << offset_bits) - 1);
	*bytes = (more_sectors + 1) * 512 - (*offset & 511);
}
