// SPDX-License-Identifier: GPL-2.0
/*
 * Raw images: the file's bytes are the disk's.
 *
 * The virtual size is the file's, rounded up to whole sectors as QEMU does;
 * the missing part of the last sector reads as zeroes.
 *
 * If the format was probed, the guest must not be able to change the result of
 * the next probe: it could write a header that names any file of the host as a
 * backing file.  So requests to the bytes that are probed take the slow path, and
 * a write that would make them look like another format is refused (-EPERM), as
 * QEMU does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "block/node.h"
#include "file/image_lock.h"
#include "util/units.h"

static int raw_probe(const uint8_t *buf, size_t len)
{
	(void)buf;
	(void)len;
	return 1; /* any image that no other format recognizes is raw */
}

struct raw_image {
	bool fixed_size; /* set by an option; otherwise the disk ends where the file does */
};

static uint64_t start_of(const struct blk_node *node)
{
	return node->file_start;
}

/* Apply the options that make the disk a window of the file, whose size is @size bytes. */
static int take_window(struct blk_node *node, struct blk_options *options, uint64_t size,
		       struct error *err)
{
	struct raw_image *img = node->opaque;
	uint64_t offset = 0, window = 0;
	int has_offset = blk_options_take_size(options, "offset", &offset, err);
	int has_size = has_offset < 0 ? 0 : blk_options_take_size(options, "size", &window, err);

	if (has_offset < 0 || has_size < 0)
		return -EINVAL;
	if (offset > size)
		return error_set(err, -EINVAL,
				 "Offset (%" PRIu64 ") cannot be greater than size of the "
				 "containing file (%" PRIu64 ")",
				 offset, size);
	if (has_size && window > size - offset)
		return error_set(err, -EINVAL,
				 "The sum of offset (%" PRIu64 ") and size (%" PRIu64 ") has to be "
				 "smaller or equal to the  actual size of the containing file "
				 "(%" PRIu64 ")",
				 offset, window, size);
	if (window % SECTOR_SIZE)
		return error_set(err, -EINVAL, "Specified size is not multiple of %u", SECTOR_SIZE);
	/* The window has to stay inside the file. */
	if (has_offset || has_size) {
		int ret = blk_co_permit(node, 0, IMAGE_PERM_ALL & ~IMAGE_PERM_RESIZE, err);

		if (ret)
			return ret;
	}
	node->file_start = offset;
	img->fixed_size = has_size;
	atomic_store(&node->size, has_size ? window : round_up(size - offset, SECTOR_SIZE));
	return 0;
}

static void free_image(struct blk_node *node)
{
	free(node->opaque);
	node->opaque = NULL;
}

static int raw_co_open(struct blk_node *node, const struct blk_open_opts *opts, struct error *err)
{
	uint64_t size = atomic_load(&node->file->size);
	int ret;

	if (size > INT64_MAX - SECTOR_SIZE)
		return error_set_errno(err, -EFBIG, "image");
	node->opaque = calloc(1, sizeof(struct raw_image));
	if (!node->opaque)
		return error_set_errno(err, -ENOMEM, "image");
	atomic_store(&node->size, round_up(size, SECTOR_SIZE));
	ret = opts->options ? take_window(node, opts->options, size, err) : 0;
	/* The file's length is the disk's size: padding must not extend it. */
	if (!ret)
		ret = blk_file_co_keep_exact_end(node->file, err);
	if (ret)
		free_image(node);
	return ret;
}

static int raw_co_close(struct blk_node *node)
{
	int ret = blk_file_co_flush(node->file);

	free_image(node);
	return ret;
}

/*
 * A device cannot be emptied, and keeps its bytes until they are overwritten.  But a header of
 * another format would be recognized the next time the format is probed.  All bytes that probing
 * looks for are in the first sector, which is cleared, durably.
 */
static int create_on_device(struct blk_file *file, const struct blk_create_opts *opts,
			    struct error *err)
{
	uint64_t size = atomic_load(&file->size);
	int ret;

	if (opts->size > size)
		return error_set(err, -ENOSPC, "Cannot grow device files");
	ret = blk_file_co_write_zeroes(file, 0, min_u64(size, SECTOR_SIZE), false);
	if (!ret)
		ret = blk_file_co_flush(file);
	return ret ? error_set_errno(err, ret, "cannot clear the device's first sector") : 0;
}

static int raw_co_create(struct blk_file *file, const struct blk_create_opts *opts,
			 struct error *err)
{
	int ret;

	if (file->is_device)
		return create_on_device(file, opts, err);
	ret = blk_file_co_truncate(file, opts->size);
	if (ret)
		return error_set_errno(err, ret, "cannot set the size");
	if (opts->prealloc == BLK_PREALLOC_OFF)
		return 0;
	ret = blk_file_co_preallocate(file, opts->prealloc, 0, opts->size);
	if (!ret)
		ret = blk_file_co_flush(file);
	if (ret)
		error_set_errno(err, ret, "%s",
				opts->prealloc == BLK_PREALLOC_FULL ?
					"Could not write zeros for preallocation" :
					"Could not preallocate new data");
	return ret;
}

/* A device keeps its old bytes. */
static bool raw_new_is_zero(const struct blk_node *node)
{
	return !node->file->is_device && !node->file->protocol;
}

static int raw_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
			  struct blk_measure *result, struct error *err)
{
	(void)source;
	(void)err;
	/* The file's length, including holes. */
	*result = (struct blk_measure){ .required = opts->size, .fully_allocated = opts->size };
	return 0;
}

static bool is_guarded(const struct blk_node *node, uint64_t offset)
{
	return node->probed && (node->flags & BLK_O_RDWR) &&
	       start_of(node) + offset < BLK_PROBE_BYTES;
}

static int raw_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	if (is_guarded(node, offset)) {
		*map = (struct blk_map){ .kind = BLK_MAP_ASK, .bytes = bytes };
		return 0;
	}
	*map = (struct blk_map){
		.kind = BLK_MAP_DATA,
		.bytes = bytes,
		.file = node->file,
		.file_offset = start_of(node) + offset,
	};
	return 0;
}

static int raw_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	uint64_t run;
	int data = blk_file_co_is_data(node->file, start_of(node) + offset, bytes, &run);

	if (data < 0)
		return data;
	*map = (struct blk_map){
		.kind = data ? BLK_MAP_DATA : BLK_MAP_ZERO,
		.bytes = run,
		.file = node->file,
		.file_offset = start_of(node) + offset,
	};
	return 0;
}

static int raw_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	return blk_file_co_pread(node->file, buf, bytes, start_of(node) + offset);
}

/* Would the image look like another format after this write? */
static int guard_write(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf)
{
	uint8_t head[BLK_PROBE_BYTES];
	int ret = blk_file_co_pread(node->file, head, sizeof(head), 0);

	if (ret)
		return ret;
	offset += start_of(node);
	memcpy(head + offset, buf, min_u64(bytes, sizeof(head) - offset));
	return strcmp(blk_probe_buffer(head, sizeof(head)), node->driver->name) ? -EPERM : 0;
}

static int raw_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags)
{
	int ret = 0;

	/* All bytes are in the file already: there is nothing to populate. */
	if (flags & BLK_REQ_POPULATE)
		return 0;
	if (is_guarded(node, offset))
		ret = guard_write(node, offset, bytes, buf);
	return ret ? ret : blk_file_co_pwrite(node->file, buf, bytes, start_of(node) + offset);
}

static int raw_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
				unsigned int flags)
{
	if (flags & BLK_REQ_POPULATE)
		return 0;
	/* Zeroes can complete a magic number: the caller writes them, so that they are checked. */
	if (is_guarded(node, offset))
		return -ENOTSUP;
	return blk_file_co_write_zeroes(node->file, start_of(node) + offset, bytes,
					flags & BLK_REQ_MAY_UNMAP);
}

static int raw_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	uint64_t size = atomic_load(&node->file->size);

	offset += start_of(node);
	if (offset >= size)
		return 0;
	return blk_file_co_punch_hole(node->file, offset, min_u64(bytes, size - offset));
}

static int raw_co_flush(struct blk_node *node)
{
	return blk_file_co_flush(node->file);
}

static int raw_co_truncate(struct blk_node *node, uint64_t size, bool *unsure, struct error *err)
{
	const struct raw_image *img = node->opaque;
	int ret;

	(void)unsure; /* a file keeps its length when that cannot be changed */
	if (img->fixed_size)
		return error_set(err, -ENOTSUP, "Cannot resize fixed-size raw disks");
	if (size > INT64_MAX - start_of(node))
		return error_set(err, -EFBIG, "Disk size too large for the chosen offset");
	ret = blk_file_co_truncate(node->file, start_of(node) + size);
	if (ret == -ENOTSUP)
		return error_set(err, ret, "Cannot resize device files");
	if (ret)
		return error_set_errno(err, ret, "Could not resize file");
	atomic_store(&node->size, round_up(size, SECTOR_SIZE));
	return 0;
}

/* The file need not end where the disk does: its last sector may be a part of one. */
static int raw_co_preallocate(struct blk_node *node, enum blk_prealloc mode, uint64_t offset,
			      uint64_t bytes)
{
	uint64_t end = start_of(node) + offset + bytes;

	offset = min_u64(start_of(node) + offset, atomic_load(&node->file->size));
	return blk_file_co_preallocate(node->file, mode, offset, end - offset);
}

const struct blk_driver blk_driver_raw = {
	.name = "raw",
	.is_fallback = true,
	.probe = raw_probe,
	.co_open = raw_co_open,
	.co_close = raw_co_close,
	.co_create = raw_co_create,
	.co_measure = raw_co_measure,
	.map = raw_map,
	.co_map = raw_co_map,
	.co_pread = raw_co_pread,
	.co_pwrite = raw_co_pwrite,
	.co_pwrite_zeroes = raw_co_pwrite_zeroes,
	.co_pdiscard = raw_co_pdiscard,
	.co_flush = raw_co_flush,
	.co_truncate = raw_co_truncate,
	.co_preallocate = raw_co_preallocate,
	.new_is_zero = raw_new_is_zero,
};
