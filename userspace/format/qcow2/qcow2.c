// SPDX-License-Identifier: GPL-2.0
/*
 * The qcow2 driver: opening, closing, and its struct blk_driver.
 * Images are read, never written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "format/qcow2/qcow2.h"
#include "util/log.h"
#include "util/units.h"

/* L2 tables are cached in slices of at most this many bytes. */
#define SLICE_BYTES	 4096u
#define DEFAULT_L2_CACHE (16 * MiB)
#define MIN_L2_SLICES	 16

static int qcow2_probe(const uint8_t *buf, size_t len)
{
	return qcow2_is_magic(buf, len) ? 100 : 0;
}

static void free_image(struct qcow2_image *img)
{
	qcow2_packed_destroy(img);
	qcow2_cache_co_destroy(&img->l2);
	free(img->l1);
	free(img->data_file);
	free(img);
}

static void set_geometry(struct qcow2_image *img)
{
	const struct qcow2_header *h = &img->header;
	bool extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;

	img->cluster_size = 1u << h->cluster_bits;
	img->subcluster_size = extended ? img->cluster_size / QCOW2_SUBCLUSTERS : img->cluster_size;
	img->l2_entry_bytes = qcow2_l2_entry_bytes(h);
	img->l2_entries = img->cluster_size / img->l2_entry_bytes;
	img->l1_entries = qcow2_l1_entries_needed(h);
	img->slice_entries = min_u64(SLICE_BYTES, img->cluster_size) / img->l2_entry_bytes;
}

static int init_caches(struct qcow2_image *img, const struct blk_open_opts *opts)
{
	uint64_t all_tables = img->l1_entries << img->header.cluster_bits;
	uint64_t bytes = opts->l2_cache_size ? opts->l2_cache_size : DEFAULT_L2_CACHE;
	int ret;

	ret = qcow2_cache_init(&img->l2, (size_t)img->slice_entries * img->l2_entry_bytes,
			       min_u64(bytes, all_tables), MIN_L2_SLICES);
	return ret ? ret : qcow2_packed_init(img);
}

/* Refuse features that a reader needs and we do not support; warn if the image is corrupt. */
static int check_features(const struct qcow2_image *img, unsigned int flags, struct error *err)
{
	uint64_t features = img->header.incompatible;

	if (img->header.crypt_method)
		return error_set(err, -ENOTSUP, "encrypted qcow2 images are not supported");
	if (features & QCOW2_INCOMPAT_DATA_FILE)
		return error_set(err, -ENOTSUP,
				 "qcow2 images with an external data file are not supported");
	/* The format forbids writes to it; reads are allowed, so that data can be saved. */
	if ((features & QCOW2_INCOMPAT_CORRUPT) && !(flags & BLK_O_CHECK))
		log_warning("%s: the image is marked as corrupt: some of it may be wrong",
			    img->node->filename);
	return 0;
}

static void take_names(struct qcow2_image *img, const struct qcow2_names *names)
{
	img->node->backing_name = names->backing_file;
	img->node->backing_format = names->backing_format;
	img->data_file = names->data_file;
}

/* Prepare for requests. */
static int co_start_io(struct qcow2_image *img, const struct blk_open_opts *opts, struct error *err)
{
	int ret = check_features(img, opts->flags, err);

	if (!ret)
		ret = qcow2_co_l1_load(img, err);
	if (ret)
		return ret;
	ret = init_caches(img, opts);
	return ret ? error_set_errno(err, ret, "image tables") : 0;
}

static int open_image(struct qcow2_image *img, const struct blk_open_opts *opts, struct error *err)
{
	struct blk_node *node = img->node;
	struct qcow2_names names;
	int ret = qcow2_co_read_header(img->file, &img->header, &names, err);

	if (ret)
		return ret;
	take_names(img, &names);
	set_geometry(img);
	node->cluster_size = img->cluster_size;
	if (node->flags & BLK_O_METADATA)
		return qcow2_co_check_header(img, err);
	if (img->header.crypt_method > QCOW2_CRYPT_LUKS)
		return error_set(err, -EINVAL, "Unsupported encryption method %" PRIu32,
				 img->header.crypt_method);
	ret = opts->flags & BLK_O_NO_IO ? 0 : co_start_io(img, opts, err);
	if (ret)
		return ret;
	/* A disk has whole sectors: cut off a partial last one. */
	atomic_store_explicit(&node->size, round_down(img->header.size, SECTOR_SIZE),
			      memory_order_relaxed);
	return 0;
}

/*
 * Accept QEMU's options for caching, writing and freeing, most of which have no effect on a reader.
 */
static int take_options(struct qcow2_image *img, struct blk_options *options, struct error *err)
{
	static const char *const names[] = {
		"lazy-refcounts",	  "pass-discard-request", "pass-discard-snapshot",
		"pass-discard-other",	  "discard-no-unref",	  "overlap-check",
		"overlap-check.template", "cache-size",		  "l2-cache-size",
		"l2-cache-entry-size",	  "cache-clean-interval",
	};
	int ret;

	if (!options)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)blk_options_take(options, names[i]);
	ret = blk_options_take_size(options, "refcount-cache-size", &img->check_bytes, err);
	return ret < 0 ? ret : 0;
}

static int qcow2_co_open(struct blk_node *node, const struct blk_open_opts *opts, struct error *err)
{
	struct qcow2_image *img = calloc(1, sizeof(*img));
	int ret;

	if (!img)
		return error_set_errno(err, -ENOMEM, "image");
	img->node = node;
	img->file = node->file;
	node->opaque = img;
	ret = take_options(img, opts->options, err);
	if (!ret)
		ret = open_image(img, opts, err);
	if (ret) {
		free_image(img);
		node->opaque = NULL;
	}
	return ret;
}

static int qcow2_co_close(struct blk_node *node)
{
	free_image(node->opaque);
	node->opaque = NULL;
	return 0;
}

static void add_item(struct blk_info *info, struct blk_info_item item)
{
	if (info->nr_items < BLK_INFO_ITEMS)
		info->items[info->nr_items++] = item;
}

static void add_text(struct blk_info *info, const char *name, const char *text)
{
	add_item(info, (struct blk_info_item){ name, BLK_INFO_TEXT, 0, text });
}

static void add_bool(struct blk_info *info, const char *name, bool value)
{
	add_item(info, (struct blk_info_item){ name, BLK_INFO_BOOL, value, NULL });
}

/* In the order of QEMU's qemu-img info. */
static int qcow2_co_info(struct blk_node *node, struct blk_info *info)
{
	const struct qcow2_image *img = node->opaque;
	const struct qcow2_header *h = &img->header;
	bool v3 = h->version >= 3;

	info->dirty = h->incompatible & QCOW2_INCOMPAT_DIRTY;
	info->encrypted = h->crypt_method;
	info->nr_snapshots = h->nb_snapshots;
	/* VM state, which snapshots may have, lies behind the range that the L2 tables can map. */
	info->vm_state_offset = img->l1_entries * img->l2_entries << h->cluster_bits;
	add_text(info, "compat", v3 ? "1.1" : "0.10");
	add_text(info, "compression-type", h->compression_type == QCOW2_ZSTD ? "zstd" : "zlib");
	if (v3)
		add_bool(info, "lazy-refcounts", h->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS);
	add_item(info, (struct blk_info_item){ "refcount-bits", BLK_INFO_NUMBER,
					       1u << h->refcount_order, NULL });
	if (info->encrypted)
		add_text(info, "encrypt.format",
			 h->crypt_method == QCOW2_CRYPT_AES ? "aes" : "luks");
	if (img->data_file)
		add_text(info, "data-file", img->data_file);
	if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE)
		add_bool(info, "data-file-raw", h->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW);
	if (v3) {
		add_bool(info, "corrupt", h->incompatible & QCOW2_INCOMPAT_CORRUPT);
		add_bool(info, "extended-l2", h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2);
	}
	return 0;
}

const struct blk_driver blk_driver_qcow2 = {
	.name = "qcow2",
	.has_backing = true,
	.has_snapshots = true,
	.has_bitmaps = true,
	.prints_findings = true,
	.probe = qcow2_probe,
	.co_open = qcow2_co_open,
	.co_close = qcow2_co_close,
	.create_options = qcow2_create_options,
	.check_create = qcow2_check_create,
	.co_measure = qcow2_co_measure,
	.map = qcow2_map,
	.co_map = qcow2_co_map,
	.co_may_have_holes = qcow2_co_may_have_holes,
	.co_pread = qcow2_co_pread,
	.co_info = qcow2_co_info,
	.co_check = qcow2_co_check,
};
