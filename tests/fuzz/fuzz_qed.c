// SPDX-License-Identifier: GPL-2.0
/*
 * QED images: header and tables, for reading and for writing.
 */
#include <string.h>

#include "format/qed/format.h"
#include "fuzz.h"

#define CLUSTER 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_read_image("qed", data, size);
	/* Writers work on what a header promises; large promises take their time. */
	if (size >= 12 && data[6] == 0 && data[7] == 0 && data[10] == 0 && data[11] == 0)
		fuzz_write_image("qed", data, size);
	return 0;
}

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = value >> (8 * i);
}

/* Clusters: header, L1, L2, data, and with more than one a table, twice as many for each. */
size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	struct qed_header h = {
		.cluster_size = CLUSTER,
		.table_size = n == 1 ? 2 : 1,
		.header_size = 1,
		.features = n == 2 ? QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE :
			    n == 3 ? QED_F_NEED_CHECK :
				     0,
		.l1_table_offset = CLUSTER,
		.image_size = 3 * 512 * CLUSTER,
		.backing_filename_offset = n == 2 ? 64 : 0,
		.backing_filename_size = n == 2 ? 8 : 0,
	};
	uint32_t table = h.table_size * CLUSTER;
	uint64_t l2 = CLUSTER + table, data = l2 + table;

	if (n > 3)
		return 0;
	memset(buf, 0, FUZZ_MAX_BYTES);
	qed_header_encode(&h, buf);
	memcpy(buf + 64, "base.raw", 8);
	put64(buf + CLUSTER, l2);
	for (unsigned int i = 0; i < 3; i++) {
		put64(buf + l2 + 8 * i, data + (uint64_t)i * CLUSTER);
		memset(buf + data + (size_t)i * CLUSTER, 0x41 + i, CLUSTER);
	}
	put64(buf + l2 + 8 * 3, QED_L2_ZERO);
	/* And a cluster that nobody refers to. */
	return data + 4 * CLUSTER;
}
