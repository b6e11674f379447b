// SPDX-License-Identifier: GPL-2.0
/*
 * Read and write image files at any offset, length and address.
 *
 * A request is split into pieces: aligned ones go directly to the file, the
 * others through a bounce buffer of whole blocks.  A write that does not fill its
 * blocks reads, modifies and writes them.
 *
 * So that no write is lost to the read-modify-write of a neighbour in the same
 * block, a read-modify-write holds its blocks exclusively, and every other write
 * in this file holds its own range shared.
 *
 * Writes that bypass this file (see blk_map_write()) are multiples of 512, and are
 * allowed only where a block is no larger.  Such a write covers all bytes of its
 * blocks, so a concurrent read-modify-write in one of them would be a request for
 * bytes that are being written at the same time.  No such pair occurs: block
 * devices send multiples of 512 only, a program that sends less (qed-io) is the
 * only user of its node and does not use the fast path, and formats keep their
 * metadata in other clusters than the guest's data.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "file/file_internal.h"
#include "util/units.h"

struct file_piece {
	uint64_t start; /* of the first block, bytes */
	size_t head; /* bytes in the first block before those of the request */
	size_t len; /* bytes of the request */
	size_t span; /* bytes of whole blocks; a multiple of the alignment */
	bool bounce;
};

static struct file_piece next_piece(const struct blk_file *file, const void *buf, size_t len,
				    uint64_t offset)
{
	bool mem_ok = !((uintptr_t)buf & (file->mem_align - 1));
	struct file_piece p;

	p.head = offset & (file->align - 1);
	p.start = offset - p.head;
	p.bounce = p.head || len < file->align || !mem_ok;
	if (p.bounce)
		p.len = min_u64(len, bufpool_buf_size(file->bounce) - p.head);
	else
		p.len = round_down(min_u64(len, BLK_FILE_MAX_TRANSFER), file->align);
	p.span = round_up(p.head + p.len, file->align);
	return p;
}

/* Read @len aligned bytes; bytes past the end of the file become zeroes. */
static int read_blocks(struct blk_file *file, void *buf, size_t len, uint64_t offset)
{
	struct iovec iov = { buf, len };
	ssize_t got = file->ops->co_preadv(file, &iov, 1, offset);

	if (got < 0)
		return (int)got;
	if ((size_t)got == len)
		return 0;
	if (file->fixed_end && offset + (size_t)got < atomic_load(&file->size))
		return -EIO;
	memset((char *)buf + got, 0, len - (size_t)got);
	return 0;
}

static int write_blocks(struct blk_file *file, const void *buf, size_t len, uint64_t offset)
{
	struct iovec iov = { (void *)buf, len };
	ssize_t done = file->ops->co_pwritev(file, &iov, 1, offset);

	if (done < 0)
		return (int)done;
	if ((size_t)done != len)
		return -EIO;
	blk_file_grow(file, offset + len);
	return 0;
}

static int read_bounced(struct blk_file *file, const struct file_piece *p, void *buf)
{
	char *blocks = bufpool_co_get(file->bounce);
	int ret = read_blocks(file, blocks, p->span, p->start);

	if (!ret)
		memcpy(buf, blocks + p->head, p->len);
	bufpool_put(file->bounce, blocks);
	return ret;
}

int blk_file_co_pread(struct blk_file *file, void *buf, size_t len, uint64_t offset)
{
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return -EINVAL;
	while (len) {
		struct file_piece p = next_piece(file, buf, len, offset);
		int ret = p.bounce ? read_bounced(file, &p, buf) :
				     read_blocks(file, buf, p.len, offset);

		if (ret)
			return ret;
		buf = (char *)buf + p.len;
		offset += p.len;
		len -= p.len;
	}
	return 0;
}

/* Read the present contents of a block of which the request changes a part. */
static int read_old_block(struct blk_file *file, char *blocks, uint64_t offset)
{
	/* The size includes all writes, and cannot shrink while we hold the range. */
	if (offset >= atomic_load(&file->size)) {
		memset(blocks, 0, file->align);
		return 0;
	}
	return read_blocks(file, blocks, file->align, offset);
}

/* Fill the first and last block of @p around the request's bytes. */
static int read_edges(struct blk_file *file, const struct file_piece *p, char *blocks)
{
	size_t last = p->span - file->align;
	bool tail_is_partial = p->head + p->len < p->span;
	int ret = 0;

	if (p->head)
		ret = read_old_block(file, blocks, p->start);
	if (!ret && tail_is_partial && (last || !p->head))
		ret = read_old_block(file, blocks + last, p->start + last);
	return ret;
}

static int write_bounced(struct blk_file *file, const struct file_piece *p, const void *buf)
{
	char *blocks = bufpool_co_get(file->bounce);
	int ret = read_edges(file, p, blocks);

	if (!ret) {
		memcpy(blocks + p->head, buf, p->len);
		ret = write_blocks(file, blocks, p->span, p->start);
	}
	bufpool_put(file->bounce, blocks);
	return ret;
}

/*
 * Would padding @p to whole blocks extend a file whose length has a meaning (of a
 * raw image: its virtual size)?  Padding to 512 is harmless: image sizes are
 * multiples of that.
 */
static bool padding_shows(const struct blk_file *file, const struct file_piece *p)
{
	uint64_t end = max_u64(p->start + p->head + p->len, atomic_load(&file->size));

	return file->exact_end && file->tail_fd >= 0 &&
	       p->start + p->span > round_up(end, SECTOR_SIZE);
}

/*
 * Write the bytes at an unaligned end of a file through a buffered descriptor,
 * without padding.  The alternative, to write the padded block and truncate the
 * file back, is unsafe: a crash in between leaves a longer image, and the
 * truncation can cut off data that another request appends meanwhile.
 *
 * Buffered and direct writes to one page are safe only one after the other.  The
 * hold covers the page, and the page is clean again (RWF_DSYNC) before the hold
 * is released and a direct write can reach it; the kernel then drops the clean
 * page.
 */
static int write_tail(struct blk_file *file, const struct file_piece *p, const void *buf)
{
	uint64_t offset = p->start + p->head;
	ssize_t done = file->ops->co_pwrite_tail(file, buf, p->len, offset);

	if (done < 0)
		return (int)done;
	if ((size_t)done != p->len)
		return -EIO;
	blk_file_grow(file, offset + p->len);
	return 0;
}

static int write_part_blocks(struct blk_file *file, const struct file_piece *p, const void *buf)
{
	uint64_t unit = max_u64(file->align, (uint64_t)sysconf(_SC_PAGESIZE));
	uint64_t start = round_down(p->start, unit);
	struct range_hold hold;
	int ret;

	range_lock_co_acquire(&file->ranges, &hold, start,
			      round_up(p->start + p->span, unit) - start, true);
	if (padding_shows(file, p))
		ret = write_tail(file, p, buf);
	else
		ret = write_bounced(file, p, buf);
	range_lock_release(&file->ranges, &hold);
	return ret;
}

static int write_whole_blocks(struct blk_file *file, const struct file_piece *p, const void *buf)
{
	struct range_hold hold;
	int ret;

	range_lock_co_acquire(&file->ranges, &hold, p->start, p->span, false);
	if (p->bounce)
		ret = write_bounced(file, p, buf);
	else
		ret = write_blocks(file, buf, p->len, p->start);
	range_lock_release(&file->ranges, &hold);
	return ret;
}

static int write_piece(struct blk_file *file, const struct file_piece *p, const void *buf)
{
	if (file->align == 1 && !p->bounce)
		return write_blocks(file, buf, p->len, p->start);
	if (p->head || p->len != p->span)
		return write_part_blocks(file, p, buf);
	return write_whole_blocks(file, p, buf);
}

int blk_file_co_pwrite(struct blk_file *file, const void *buf, size_t len, uint64_t offset)
{
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return -EFBIG;
	while (len) {
		struct file_piece p = next_piece(file, buf, len, offset);
		int ret = write_piece(file, &p, buf);

		if (ret)
			return ret;
		buf = (const char *)buf + p.len;
		offset += p.len;
		len -= p.len;
	}
	return 0;
}

/*
 * Decide whether a durable write that failed with @error failed in its write or in the sync after
 * it.  The latter is a failed fdatasync, and may have consumed an error that a flush had to report.
 * The kernel syncs only what it wrote: if a plain write of the bytes fails, too, the write failed.
 * But a disk that fails completely may have failed in the sync first; while parts of blocks may be
 * dirty in the page cache, that failure must be kept.  A concurrent flush waits for the result.
 */
static int judge_failure(struct blk_file *file, const void *buf, size_t len, uint64_t offset,
			 int error)
{
	const struct blk_file_flushes *f = &file->flushes;
	int ret = write_blocks(file, buf, len, offset);

	if (ret && atomic_load(&f->edges_begun) == atomic_load(&f->edges_flushed))
		return ret;
	blk_file_set_lost(file, error);
	return error;
}

int blk_file_co_pwrite_durable(struct blk_file *file, const void *buf, size_t len, uint64_t offset)
{
	uint64_t size = atomic_load_explicit(&file->size, memory_order_acquire);
	struct iovec iov = { (void *)buf, len };
	struct range_hold hold;
	uint64_t epoch;
	ssize_t done;
	int ret;

	if (!file->direct || !file->keeps_dsync || file->no_flush ||
	    !file->ops->co_pwritev_durable || blk_file_lost(file) ||
	    !blk_file_is_aligned(file, buf, len, offset) || len > BLK_FILE_MAX_TRANSFER ||
	    offset > size || len > size - offset)
		return -ENOTSUP;
	range_lock_co_acquire(&file->ranges, &hold, offset, len, false);
	epoch = blk_file_durable_begin(&file->flushes);
	done = file->ops->co_pwritev_durable(file, &iov, 1, offset);
	ret = done < 0 ? (int)done : (size_t)done == len ? 0 : -EIO;
	if (ret)
		ret = judge_failure(file, buf, len, offset, ret);
	blk_file_durable_end(&file->flushes, epoch);
	range_lock_release(&file->ranges, &hold);
	return ret;
}
