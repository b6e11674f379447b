// SPDX-License-Identifier: GPL-2.0
/*
 * Options of a new qcow2 image, and how large it will be: as QEMU computes that, which counts the
 * metadata of an image with all clusters, and the clusters of the source's data.
 */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "format/qcow2/bitmaps.h"
#include "format/qcow2/bytes.h"
#include "format/qcow2/qcow2.h"
#include "util/units.h"

#define DEFAULT_CLUSTER_SIZE  65536u
#define DEFAULT_REFCOUNT_BITS 16u

const struct blk_option_row qcow2_create_options[] = {
	{ .name = "compat", .help = "Compatibility level (v2 [0.10] or v3 [1.1])" },
	{ .name = "cluster_size",
	  .help = "qcow2 cluster size",
	  .type = BLK_OPTION_SIZE,
	  .preset = DEFAULT_CLUSTER_SIZE,
	  .preset_is_shown = true },
	{ .name = "preallocation",
	  .help = "Preallocation mode (allowed values: off, metadata, falloc, full)" },
	{
		.name = "lazy_refcounts",
		.help = "Postpone refcount updates",
		.type = BLK_OPTION_SWITCH,
	},
	{ .name = "refcount_bits",
	  .help = "Width of a reference count entry in bits",
	  .type = BLK_OPTION_SIZE,
	  .preset = DEFAULT_REFCOUNT_BITS,
	  .preset_is_shown = true },
	{ .name = "compression_type",
	  .help = "Compression method used for image cluster compression" },
	{ .name = "data_file", .help = "File name of an external data file" },
	{ .name = "data_file_raw",
	  .help = "The external data file must stay valid as a raw image",
	  .type = BLK_OPTION_SWITCH },
	{ .name = "extended_l2", .help = "Extended L2 tables", .type = BLK_OPTION_SWITCH },
	{ 0 },
};

struct geometry {
	uint32_t version;
	uint64_t cluster, l2_entry; /* bytes */
	uint64_t refcount_bits;
};

static int check_geometry(const struct geometry *g, struct error *err)
{
	if (g->cluster < 1u << QCOW2_MIN_CLUSTER_BITS || g->cluster > QCOW2_MAX_CLUSTER_SIZE ||
	    !is_power_of_2(g->cluster))
		return error_set(err, -EINVAL,
				 "Cluster size must be a power of two between %u and %uk",
				 1u << QCOW2_MIN_CLUSTER_BITS, QCOW2_MAX_CLUSTER_SIZE / 1024);
	if (g->l2_entry == 16 && g->cluster < 1u << QCOW2_MIN_EXTENDED_CLUSTER_BITS)
		return error_set(err, -EINVAL,
				 "Extended L2 entries are only supported with cluster sizes of at "
				 "least %u bytes",
				 1u << QCOW2_MIN_EXTENDED_CLUSTER_BITS);
	if (g->refcount_bits > 64 || !is_power_of_2(g->refcount_bits))
		return error_set(err, -EINVAL,
				 "Refcount width must be a power of two and may not exceed 64 "
				 "bits");
	if (g->version < 3 && g->refcount_bits != DEFAULT_REFCOUNT_BITS)
		return error_set(err, -EINVAL,
				 "Different refcount widths than 16 bits require compatibility "
				 "level 1.1 or above (use compat=1.1 or greater)");
	return 0;
}

static int get_geometry(const struct blk_create_opts *opts, struct geometry *g, struct error *err)
{
	const char *compat = opts->options ? blk_options_take(opts->options, "compat") : NULL;
	bool extended = false;

	if (compat && strcmp(compat, "0.10") && strcmp(compat, "1.1"))
		return error_set(err, -EINVAL, "Invalid compatibility level: '%s'", compat);
	if (opts->options &&
	    blk_options_take_switch(opts->options, "extended_l2", &extended, err) < 0)
		return err->code;
	*g = (struct geometry){
		.version = compat && !strcmp(compat, "0.10") ? 2 : 3,
		.cluster = blk_create_number(opts, "cluster_size"),
		.l2_entry = extended ? 16 : 8,
		.refcount_bits = blk_create_number(opts, "refcount_bits"),
	};
	return check_geometry(g, err);
}

/* Return how many clusters hold the counts of @clusters clusters, and of themselves. */
static uint64_t refcount_clusters(const struct geometry *g, uint64_t clusters)
{
	uint64_t per_block = g->cluster * 8 / g->refcount_bits;
	uint64_t blocks = 0, table = 0, last;

	do {
		last = blocks + table;
		blocks = div_round_up(clusters + last, per_block);
		table = div_round_up(blocks, g->cluster / 8);
	} while (blocks + table != last);
	return last;
}

/* Return the bytes of an image with all of @clusters clusters. */
static uint64_t full_bytes(const struct geometry *g, uint64_t clusters)
{
	uint64_t l2 = div_round_up(clusters, g->cluster / g->l2_entry);
	uint64_t l1 = div_round_up(l2, g->cluster / 8);
	uint64_t all = 1 + l1 + l2 + clusters;

	return (all + refcount_clusters(g, all)) * g->cluster;
}

/* QEMU has this limit where the size is given; here it is one for the size of a source, too. */
static int check_size(const struct geometry *g, uint64_t size, struct error *err)
{
	uint64_t l2 = div_round_up(div_round_up(size, g->cluster), g->cluster / g->l2_entry);

	if (l2 * 8 > QCOW2_MAX_L1_BYTES)
		return error_set(err, -EFBIG,
				 "The image size is too large (try using a larger cluster size)");
	return 0;
}

/* Count the bytes of clusters that have data of @source. */
static int count_data(struct blk_node *source, uint64_t cluster, uint64_t *bytes)
{
	uint64_t size = atomic_load(&source->size), end;
	struct blk_status status;

	for (uint64_t pos = 0; pos < size; pos = end) {
		int ret = blk_co_status(source, pos, size - pos, &status);

		if (ret)
			return ret;
		end = pos + status.bytes;
		if (status.zero)
			continue;
		end = round_up(end, cluster);
		*bytes += end - round_down(pos, cluster);
	}
	return 0;
}

static int measure_source_bitmaps(struct blk_node *source, const struct geometry *g,
				  struct blk_measure *result, struct error *err)
{
	struct qcow2_image *img = source->opaque;

	if (g->version < 3 || source->driver->co_check != qcow2_co_check || img->header.version < 3)
		return 0;
	result->has_bitmaps = true;
	return qcow2_co_measure_bitmaps(img, (uint32_t)g->cluster, &result->bitmaps, err);
}

int qcow2_check_create(const struct blk_create_opts *opts, struct error *err)
{
	struct geometry g;
	int ret = get_geometry(opts, &g, err);

	return ret ? ret : check_size(&g, opts->size, err);
}

int qcow2_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		     struct blk_measure *result, struct error *err)
{
	struct geometry g;
	uint64_t data = 0, all;
	int ret = get_geometry(opts, &g, err);

	if (ret)
		return ret;
	*result = (struct blk_measure){ 0 };
	all = round_up(opts->size, g.cluster);
	/* How much of the source the backing file has is unknown: assume nothing. */
	if (source && opts->backing_file)
		data = all;
	else if (source)
		ret = count_data(source, g.cluster, &data);
	if (ret)
		return error_set_errno(err, ret, "Unable to get block status");
	if (opts->prealloc == BLK_PREALLOC_FALLOC || opts->prealloc == BLK_PREALLOC_FULL)
		data = all;
	result->fully_allocated = full_bytes(&g, all / g.cluster);
	result->required = result->fully_allocated - all + data;
	return source ? measure_source_bitmaps(source, &g, result, err) : 0;
}
