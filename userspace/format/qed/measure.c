// SPDX-License-Identifier: GPL-2.0
/*
 * How large a new image will be: the header, L1, and the L2 tables and clusters
 * that the source's data needs.  Zeroes need none.
 */
#include <errno.h>

#include "block/io.h"
#include "format/qed/format.h"
#include "format/qed/qed.h"
#include "util/units.h"

/* Bytes of a cluster, of a table, and of the guest range that an L2 table covers. */
struct geometry {
	uint64_t cluster, table, covered;
};

static uint64_t image_bytes(const struct geometry *g, uint64_t tables, uint64_t clusters)
{
	/* A header of one cluster, and the L1 table. */
	return g->cluster + (1 + tables) * g->table + clusters * g->cluster;
}

/* Count the pieces of @unit bytes that [@start, @end) touches, from number *@next on. */
static void count_new(uint64_t start, uint64_t end, uint64_t unit, uint64_t *next, uint64_t *count)
{
	uint64_t first = start / unit, last = div_round_up(end, unit);

	if (first < *next)
		first = *next;
	if (last > first) {
		*count += last - first;
		*next = last;
	}
}

static int count_data(struct blk_node *source, const struct geometry *g, uint64_t *tables,
		      uint64_t *clusters)
{
	uint64_t size = atomic_load(&source->size), next_table = 0, next_cluster = 0;
	struct blk_status status;

	for (uint64_t pos = 0; pos < size; pos += status.bytes) {
		int ret = blk_co_status(source, pos, size - pos, &status);

		if (ret)
			return ret;
		if (status.zero)
			continue;
		count_new(pos, pos + status.bytes, g->cluster, &next_cluster, clusters);
		count_new(pos, pos + status.bytes, g->covered, &next_table, tables);
	}
	return 0;
}

int qed_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err)
{
	uint64_t cluster = blk_create_number(opts, "cluster_size");
	uint64_t table = blk_create_number(opts, "table_size");
	uint64_t tables = 0, clusters = 0;
	struct geometry g = { .cluster = cluster, .table = (uint64_t)table * cluster };
	int ret;

	g.covered = g.table / 8 * cluster;
	result->fully_allocated = image_bytes(&g, div_round_up(opts->size, g.covered),
					      div_round_up(opts->size, cluster));
	/* How much of the source the backing file has is unknown: assume nothing. */
	if (source && opts->backing_file) {
		result->required = result->fully_allocated;
		return 0;
	}
	ret = source ? count_data(source, &g, &tables, &clusters) : 0;
	if (ret)
		return error_set_errno(err, ret, "could not look for data");
	result->required = image_bytes(&g, tables, clusters);
	return 0;
}
