// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed clusters: read, inflated on a worker thread, and cached if only a
 * part was read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "format/qcow2/inflate.h"
#include "format/qcow2/qcow2.h"
#include "util/units.h"

/* Memory for inflated clusters and for buffers of compressed ones, and bounds on their numbers. */
#define INFLATED_BYTES (8 * MiB)
#define INFLATED_MIN   4
#define PACKED_BYTES   (8 * MiB)
#define PACKED_MIN     4
#define PACKED_MAX     64

/* An entry can reference at most two clusters' worth of sectors. */
static size_t packed_buffer_bytes(const struct qcow2_image *img)
{
	return round_up(2 * (uint64_t)img->cluster_size, 4096);
}

int qcow2_packed_init(struct qcow2_image *img)
{
	size_t size = packed_buffer_bytes(img);
	uint64_t count = min_u64(max_u64(PACKED_BYTES / size, PACKED_MIN), PACKED_MAX);
	uint64_t disk = round_up(img->header.size, img->cluster_size);
	int ret;

	img->inflater = inflater_new(img->header.compression_type);
	if (!img->inflater)
		return -ENOMEM;
	ret = bufpool_create(&img->packed, size, count);
	if (ret)
		return ret;
	return qcow2_cache_init(&img->inflated, img->cluster_size, min_u64(INFLATED_BYTES, disk),
				INFLATED_MIN);
}

void qcow2_packed_destroy(struct qcow2_image *img)
{
	qcow2_cache_co_destroy(&img->inflated);
	if (img->packed)
		bufpool_destroy(img->packed);
	inflater_free(img->inflater);
}

struct inflate_call {
	struct inflater *inflater;
	const void *in;
	size_t in_bytes;
	void *out;
	size_t out_bytes;
};

static int inflate_on_worker(void *arg)
{
	struct inflate_call *call = arg;

	return inflater_run(call->inflater, call->in, call->in_bytes, call->out, call->out_bytes);
}

/* Read [@offset, @offset + @bytes) of the file, and inflate it to a cluster at @data. */
static int fetch(struct qcow2_image *img, uint64_t cluster, uint64_t offset, uint32_t bytes,
		 void *data)
{
	void *packed = bufpool_co_get(img->packed);
	struct inflate_call call = {
		.inflater = img->inflater,
		.in = packed,
		.in_bytes = bytes,
		.out = data,
		.out_bytes = img->cluster_size,
	};
	int ret = blk_file_co_pread(img->file, packed, bytes, offset);

	if (!ret) {
		ret = aio_co_call(inflate_on_worker, &call);
		if (ret == -EIO)
			ret = qcow2_bad(img, cluster, "cannot inflate what is at", offset);
	}
	bufpool_put(img->packed, packed);
	return ret;
}

/* qcow2_fill_fn of the cache of inflated clusters: read and inflate all of @cluster. */
static int fill_cluster(void *arg, uint64_t cluster, void *data)
{
	struct qcow2_image *img = arg;
	uint64_t file_size = atomic_load_explicit(&img->file->size, memory_order_relaxed);
	uint64_t entry, offset;
	uint32_t bytes;
	int ret = qcow2_co_entry(img, cluster, &entry);

	if (ret)
		return ret;
	qcow2_packed_place(&img->header, entry, &offset, &bytes);
	if (!(entry & QCOW2_L2_COMPRESSED) || offset >= file_size)
		return qcow2_bad(img, cluster, "bad L2 entry", entry);
	/* The entry counts whole sectors; the file may end inside the last. */
	return fetch(img, cluster, offset, min_u64(bytes, file_size - offset), data);
}

int qcow2_co_read_packed(struct qcow2_image *img, uint64_t offset, uint64_t bytes, void *buf)
{
	uint64_t cluster = offset >> img->header.cluster_bits;
	const char *data;
	int ret;

	for (;;) {
		data = qcow2_cache_find(&img->inflated, cluster);
		if (data) {
			memcpy(buf, data + (offset & (img->cluster_size - 1)), bytes);
			return 0;
		}
		/* Read whole, it is not cached: sequential reads must not flush the cache. */
		if (bytes == img->cluster_size)
			return fill_cluster(img, cluster, buf);
		ret = qcow2_cache_co_load(&img->inflated, cluster, fill_cluster, img);
		if (ret)
			return ret;
	}
}
