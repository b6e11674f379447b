// SPDX-License-Identifier: GPL-2.0
/*
 * Zeroes, holes and space in image files.
 *
 * fallocate() calls are atomic and exact to the byte, so for the range lock they
 * are ordinary writes without a read-modify-write: a shared hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/sys.h"
#include "file/file_create.h"
#include "file/file_internal.h"
#include "file/protocol.h"
#include "file/zero_pages.h"
#include "util/units.h"

/* Bytes.  Block devices need fallocate() in multiples of their sector size, which divides this. */
#define DEVICE_GRANULE 4096

static int write_zero_pages(struct blk_file *file, uint64_t offset, uint64_t len)
{
	const void *zeroes = zero_pages();

	if (!zeroes)
		return -ENOMEM;
	while (len) {
		/* End on multiples of the buffer's size, so that all but the ends are aligned. */
		size_t n = min_u64(len, ZERO_PAGES_SIZE - offset % ZERO_PAGES_SIZE);
		int ret = blk_file_co_pwrite(file, zeroes, n, offset);

		if (ret)
			return ret;
		offset += n;
		len -= n;
	}
	return 0;
}

/* No file system's blocks are larger. */
#define MAX_FS_BLOCK (64 * KiB)

static int locked_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	bool edges = mode != FALLOC_FL_KEEP_SIZE && ((offset | len) & (MAX_FS_BLOCK - 1));
	struct range_hold hold;
	int ret;

	if (edges)
		atomic_fetch_add(&file->flushes.edges_begun, 1);
	if (file->align > 1)
		range_lock_co_acquire(&file->ranges, &hold, offset, len, false);
	ret = file->ops->co_fallocate(file, mode, offset, len);
	if (edges)
		atomic_fetch_add(&file->flushes.edges_ended, 1);
	if (file->align > 1)
		range_lock_release(&file->ranges, &hold);
	return ret;
}

/*
 * Call fallocate().  Returns -ENOTSUP where the file system or device does not support @mode
 * (*@refused then prevents further calls) or the range, another negative errno for a failure.
 */
static int try_fallocate(struct blk_file *file, int mode, _Atomic bool *refused, uint64_t offset,
			 uint64_t len)
{
	int ret;

	if (atomic_load_explicit(refused, memory_order_relaxed))
		return -ENOTSUP;
	ret = locked_fallocate(file, mode, offset, len);
	switch (ret) {
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -ENOTTY:
	case -ENODEV:
		atomic_store_explicit(refused, true, memory_order_relaxed);
		return -ENOTSUP;
	case -EINVAL:
		/* A device with sectors larger than DEVICE_GRANULE; for a file it is an error. */
		return file->is_device ? -ENOTSUP : ret;
	default:
		return ret;
	}
}

static int punch(struct blk_file *file, uint64_t offset, uint64_t len)
{
	return try_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, &file->no_punch_hole,
			     offset, len);
}

static int zero_range(struct blk_file *file, uint64_t offset, uint64_t len)
{
	int keep_size = file->is_device ? FALLOC_FL_KEEP_SIZE : 0;
	int ret = try_fallocate(file, FALLOC_FL_ZERO_RANGE | keep_size, &file->no_zero_range,
				offset, len);

	if (!ret)
		blk_file_grow(file, offset + len);
	return ret;
}

/*
 * Extend a file that was punched up to its end to @end, by writing one block of
 * zeroes there: unlike a truncation, that can never cut off data that another
 * request appends at the same time.
 */
static int extend_to(struct blk_file *file, uint64_t offset, uint64_t end)
{
	uint64_t len = min_u64(end - offset, max_u64(file->align, SECTOR_SIZE));

	if (end <= atomic_load(&file->size))
		return 0;
	return write_zero_pages(file, end - len, len);
}

/* Zero a range of whole granules, which fallocate() accepts. */
static int zero_granules(struct blk_file *file, uint64_t offset, uint64_t len, bool may_punch)
{
	int ret = -ENOTSUP;

	if (may_punch) {
		ret = punch(file, offset, len);
		if (!ret)
			ret = extend_to(file, offset, offset + len);
	}
	if (ret == -ENOTSUP)
		ret = zero_range(file, offset, len);
	if (ret == -ENOTSUP)
		ret = write_zero_pages(file, offset, len);
	return ret;
}

/* Get the part of [offset, offset + len) that is whole granules; false if there is none. */
static bool inner_range(const struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *start,
			uint64_t *end)
{
	uint64_t granule = file->is_device ? DEVICE_GRANULE : 1;

	*start = round_up(offset, granule);
	*end = round_down(offset + len, granule);
	return *start < *end;
}

static int check_range(const struct blk_file *file, uint64_t offset, uint64_t len)
{
	if (!file->writable)
		return -EBADF;
	return offset > INT64_MAX || len > INT64_MAX - offset ? -EFBIG : 0;
}

int blk_file_co_write_zeroes(struct blk_file *file, uint64_t offset, uint64_t len, bool may_punch)
{
	uint64_t start, end;
	int ret = check_range(file, offset, len);

	if (ret || !len)
		return ret;
	if (!inner_range(file, offset, len, &start, &end))
		return write_zero_pages(file, offset, len);
	ret = write_zero_pages(file, offset, start - offset);
	if (!ret)
		ret = zero_granules(file, start, end - start, may_punch);
	if (!ret)
		ret = write_zero_pages(file, end, offset + len - end);
	return ret;
}

int blk_file_co_punch_hole(struct blk_file *file, uint64_t offset, uint64_t len)
{
	uint64_t start, end;
	int ret = check_range(file, offset, len);

	if (ret || !len)
		return ret;
	if (!inner_range(file, offset, len, &start, &end))
		return write_zero_pages(file, offset, len);
	/* The hole first: where that is unsupported, nothing has changed yet. */
	ret = punch(file, start, end - start);
	if (!ret)
		ret = write_zero_pages(file, offset, start - offset);
	if (!ret)
		ret = write_zero_pages(file, end, offset + len - end);
	return ret;
}

int blk_file_co_allocate(struct blk_file *file, uint64_t offset, uint64_t len)
{
	int ret = check_range(file, offset, len);

	if (ret || !len || file->is_device)
		return ret;
	ret = try_fallocate(file, FALLOC_FL_KEEP_SIZE, &file->no_allocate, offset, len);
	return ret == -ENOTSUP ? 0 : ret;
}

int blk_file_co_preallocate(struct blk_file *file, enum blk_prealloc mode, uint64_t offset,
			    uint64_t len)
{
	_Atomic bool refused = false;
	int ret = check_range(file, offset, len);

	if (ret || !len || mode == BLK_PREALLOC_OFF)
		return ret;
	if (mode == BLK_PREALLOC_FULL)
		return write_zero_pages(file, offset, len);
	ret = try_fallocate(file, 0, &refused, offset, len);
	/* posix_fallocate() would write single bytes, which a descriptor with O_DIRECT refuses. */
	if (ret == -ENOTSUP && !file->protocol)
		ret = write_zero_pages(file, offset, len);
	return ret;
}

struct seek_call {
	int fd;
	uint64_t offset;
	uint64_t run; /* result: bytes of the run; UINT64_MAX: to the end */
	bool data;
	uint64_t end; /* result, where there is no data any more: the file's size */
};

static int seek_on_worker(void *arg)
{
	struct seek_call *call = arg;
	off_t pos = lseek(call->fd, (off_t)call->offset, SEEK_DATA);
	struct stat st;

	call->run = UINT64_MAX;
	if (pos < 0 && errno == ENXIO) {
		call->data = false; /* no data from here to the end */
		call->end = fstat(call->fd, &st) ? 0 : (uint64_t)st.st_size;
		return 0;
	}
	call->data = true;
	if (pos < 0) /* unsupported by the device or file system: all may be data */
		return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
	if ((uint64_t)pos > call->offset) {
		call->data = false;
		call->run = (uint64_t)pos - call->offset;
		return 0;
	}
	pos = lseek(call->fd, (off_t)call->offset, SEEK_HOLE);
	if (pos < 0)
		return -errno;
	/* At least 1: a hole punched between the two calls was data at the first. */
	call->run = max_u64((uint64_t)pos - call->offset, 1);
	return 0;
}

int blk_file_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run)
{
	uint64_t size = atomic_load(&file->size);
	struct seek_call call = { .fd = file->fd, .offset = offset };
	int ret;

	if (offset >= size) {
		*run = len;
		return 0;
	}
	if (file->protocol)
		return file->protocol->co_is_data(file, offset, min_u64(len, size - offset), run);
	ret = aio_co_call(seek_on_worker, &call);
	if (ret < 0)
		return ret;
	/* What was cut off is no hole: reading it is an error. */
	if (file->fixed_end && !file->is_device && !call.data && call.run == UINT64_MAX)
		call.data = call.end < size;
	*run = min_u64(len, call.run);
	if (call.data)
		*run = min_u64(*run, size - offset);
	return call.data;
}
