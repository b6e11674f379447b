/* SPDX-License-Identifier: GPL-2.0 */
/* Common code of the tests of populating: a writable fake image above a golden file. */
#ifndef QEDBLK_TEST_BLOCK_OVERLAY_H
#define QEDBLK_TEST_BLOCK_OVERLAY_H

#include "populate/internal.h"
#include "test_block_fake.h"

#define CLUSTER 4096u

static struct fake_image overlay;
static uint8_t *golden; /* the content of the backing file */

/* A backing file of @size bytes: even clusters zero, the others not, beginning with data. */
static inline struct blk_node *open_over(uint64_t golden_size, uint64_t size, uint32_t cluster_size,
					 unsigned int flags)
{
	golden = calloc(1, max_u64(golden_size, size) + 1);
	CHECK(golden);
	for (uint64_t i = 0; i < golden_size; i++)
		golden[i] = i / cluster_size % 2 ? 0 : (uint8_t)(1 + i % 250);
	make_file(scratch("golden"), golden, golden_size, golden_size);
	overlay = (struct fake_image){ .name = "overlay",
				       .size = size,
				       .cluster_size = cluster_size,
				       .backing = "golden",
				       .backing_format = "raw" };
	fake_add(&overlay);
	return must_open("overlay", "fake", BLK_O_RDWR | flags);
}

static inline void close_over(struct blk_node *node)
{
	CHECK(inflight_passed(&node->inflight, inflight_ticket(&node->inflight)));
	CHECK(cds_list_empty(&populate_of(node)->ranges.holds));
	CHECK(blk_co_close(node) == 0);
	free(golden);
	fake_clear();
}

static inline void check_read(struct blk_node *node, uint64_t offset, uint64_t bytes,
			      unsigned int flags)
{
	uint8_t *buf = malloc(bytes + 1);

	CHECK(buf);
	memset(buf, 0xee, bytes + 1);
	CHECK(blk_co_pread(node, offset, bytes, buf, flags) == 0);
	CHECK(!memcmp(buf, golden + offset, bytes));
	CHECK(buf[bytes] == 0xee);
	free(buf);
}

/* Read, and wait until copy-on-read has kept the data or given up. */
static inline void check_kept(struct blk_node *node, uint64_t offset, uint64_t bytes,
			      unsigned int flags)
{
	check_read(node, offset, bytes, flags);
	populate_co_drain(node);
	CHECK(populate_pending(node) == 0);
}

static inline void expect_states(const char *states)
{
	for (uint64_t c = 0; c < fake_clusters(&overlay); c++)
		CHECK("-0#"[overlay.state[c]] == states[c]);
}

#endif
