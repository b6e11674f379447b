// SPDX-License-Identifier: GPL-2.0
/* QED images as seeds of fuzz targets. */
#include <string.h>

#include "format/qed/format.h"
#include "fuzz.h"

#define CLUSTER FUZZ_QED_CLUSTER

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = value >> (8 * i);
}

/* Clusters: header, L1, L2, data; with tables of several clusters, L1 and L2 have that many. */
size_t fuzz_qed_seed(unsigned int n, uint8_t *buf)
{
	const char *name = n == 2 ? "base.raw" : n == 4 ? "/proc/self/fd/901" : NULL;
	struct qed_header h = {
		.cluster_size = CLUSTER,
		.table_size = n == 1 ? 2 : 1,
		.header_size = 1,
		.features = n == 2 || n == 4 ? QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE :
			    n == 3	     ? QED_F_NEED_CHECK :
					       0,
		.l1_table_offset = CLUSTER,
		.image_size = 3 * 512 * CLUSTER,
		.backing_filename_offset = name ? 64 : 0,
		.backing_filename_size = name ? (uint32_t)strlen(name) : 0,
	};
	uint32_t table = h.table_size * CLUSTER;
	uint64_t l2 = CLUSTER + table, data = l2 + table;

	if (n > 4)
		return 0;
	memset(buf, 0, FUZZ_MAX_BYTES);
	qed_header_encode(&h, buf);
	if (name)
		memcpy(buf + 64, name, strlen(name));
	put64(buf + CLUSTER, l2);
	for (unsigned int i = 0; i < 3; i++) {
		put64(buf + l2 + 8 * i, data + (uint64_t)i * CLUSTER);
		memset(buf + data + (size_t)i * CLUSTER, 0x41 + i, CLUSTER);
	}
	put64(buf + l2 + 8 * 3, QED_L2_ZERO);
	/* An unreferenced cluster follows. */
	return data + 4 * CLUSTER;
}
