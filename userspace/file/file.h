/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An image file (or block device) that a format driver keeps its bytes in; or
 * an export of another machine, reached by a protocol (protocol.h).
 *
 * Any offset, length and buffer address may be used: where O_DIRECT needs more
 * (512 or 4096, found when the file is opened) requests go through bounce
 * buffers, and unaligned writes read, modify and write under a serialising
 * range lock.  The alignment bounce pool has the lowest rank: who holds one of
 * its buffers waits for I/O only.
 *
 * All I/O runs through a table of operations, so that tests can record it or
 * make it fail.
 */
#ifndef QEDBLK_FILE_FILE_H
#define QEDBLK_FILE_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "aio/bufpool.h"
#include "aio/lock.h"
#include "file/range_lock.h"
#include "util/error.h"

enum blk_file_flags {
	BLK_FILE_RDWR = 1 << 0,
	BLK_FILE_DIRECT = 1 << 1, /* O_DIRECT where the file system has it, else buffered */
	BLK_FILE_NO_LOCK = 1 << 2, /* ignore image locks and take none */
	BLK_FILE_CREATE = 1 << 3, /* create it if missing; an existing file is opened as it is */
	BLK_FILE_EXCL = 1 << 4, /* with CREATE: fail with -EEXIST if it exists */
	BLK_FILE_NO_FLUSH = 1 << 5, /* flushes do nothing */
};

struct blk_file;
struct blk_protocol;

/*
 * What reaches the kernel.  @offset, @len and buffers are aligned for the file.
 * Every function parks; a short transfer is an error (-EIO), except that
 * preadv past the end of the file returns the bytes that there are.
 */
struct blk_file_ops {
	ssize_t (*co_preadv)(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset);
	ssize_t (*co_pwritev)(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset);
	/* Optional.  The same, and durable when it returns. */
	ssize_t (*co_pwritev_durable)(struct blk_file *file, const struct iovec *iov, int iovcnt,
				      uint64_t offset);
	int (*co_flush)(struct blk_file *file);
	int (*co_fallocate)(struct blk_file *file, int mode, uint64_t offset, uint64_t len);
	int (*co_truncate)(struct blk_file *file, uint64_t size);
	/* Only for files with an exact end: unaligned bytes there, not padded, durable. */
	ssize_t (*co_pwrite_tail)(struct blk_file *file, const void *buf, size_t len,
				  uint64_t offset);
	/* Optional.  Have reads come from the disk: drop the pages that are clean. */
	int (*co_drop_cache)(struct blk_file *file);
};

/* The kernel's, for those who wrap them. */
extern const struct blk_file_ops blk_file_kernel_ops;

/* Of fdatasyncs, see file_flush.c. */
struct blk_file_flushes {
	pthread_mutex_t mutex; /* of all but @lost */
	struct co_queue waiters; /* for one to end, or for durable writes */
	uint64_t begun, ended; /* how many; the same while none runs */
	int result; /* of the last that ended */
	_Atomic int lost; /* of a failure after which no flush may succeed; 0: none */
	/* Durable writes in flight, by parity of the epoch in which they began. */
	_Atomic uint64_t epoch;
	_Atomic unsigned int durable[2];
	/*
	 * fallocate() calls that may leave a part of a block in the page cache: begun, ended, and
	 * ended before the last good flush began.
	 */
	_Atomic uint64_t edges_begun, edges_ended, edges_flushed;
};

struct blk_file {
	int fd; /* -1: none, it is reached by @protocol */
	char *name; /* as given when opened */
	bool writable; /* opened for writing */
	bool no_flush; /* flushes do nothing */
	bool direct; /* O_DIRECT is on */
	bool is_device; /* a block device: its size is fixed */
	bool in_memory; /* on a file system without a disk, so that I/O is copying */
	bool keeps_dsync; /* a write with RWF_DSYNC is known to be durable when it returns */
	bool exact_end; /* see blk_file_co_keep_exact_end() */
	int tail_fd; /* buffered, for an exact end that is not aligned; -1: none */
	uint32_t align; /* of offsets and lengths, bytes; 1 when buffered */
	uint32_t mem_align; /* of buffer addresses, bytes; 1 when buffered */
	uint64_t dev, ino; /* identity, for finding loops */
	_Atomic uint64_t size; /* bytes; follows writes and truncations made through this object */

	/* Learnt from the first refusal, so that it is not asked for again. */
	_Atomic bool no_zero_range;
	_Atomic bool no_punch_hole;
	_Atomic bool no_allocate;

	const struct blk_protocol *protocol; /* NULL: a file of this machine */
	void *remote; /* the protocol's */
	bool keeps_nothing; /* what is written is gone, and a read may leave its buffer as it is */

	const struct blk_file_ops *ops;
	void *ops_data; /* of whoever replaced @ops */

	struct blk_file_flushes flushes;
	struct range_lock ranges; /* bytes; used only where align > 1 */
	struct bufpool *bounce; /* alignment bounce buffers */
};

/*
 * Open @name.  The error line names the file and the reason.  @perm and
 * @shared are image locks (image_lock.h); 0 perm takes none.
 */
int blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
		     unsigned int perm, unsigned int shared, struct error *err);
/*
 * The same for reading, without image locks, of a file that must lie below folder
 * @dir: not by its name, which may be anything, but where it is when all
 * symbolic links are followed.  Else -EPERM, without having opened it.  Names of
 * other protocols lie nowhere below.
 */
int blk_file_co_open_below(struct blk_file **file, const char *name, const char *dir,
			   unsigned int flags, struct error *err);
void blk_file_co_close(struct blk_file *file);

/* Do both have the same bytes: the same file, or the same name of a protocol? */
bool blk_file_is_same(const struct blk_file *a, const struct blk_file *b);

/* Take image locks later than at open; the error line names the file.  A protocol has none. */
int blk_file_co_lock(struct blk_file *file, unsigned int perm, unsigned int shared,
		     struct error *err);

/*
 * Set the alignment of offsets and lengths (a power of two, 1 to 64 KiB); used
 * at open, and by tests that play a disk with larger blocks.  No I/O may be in
 * flight.  Returns 0 or a negative errno.
 */
int blk_file_set_align(struct blk_file *file, uint32_t align, uint32_t mem_align);

/*
 * Promise that padding to more than 512 bytes never makes the file longer than
 * what was written to it: for formats whose size is the file's.  Without it a
 * write at the end may leave the file longer, by zeroes up to the alignment.
 */
int blk_file_co_keep_exact_end(struct blk_file *file, struct error *err);

/* Read @len bytes at @offset; what lies past the end of the file reads as zeroes. */
int blk_file_co_pread(struct blk_file *file, void *buf, size_t len, uint64_t offset);
/* Write all of it or fail. */
int blk_file_co_pwrite(struct blk_file *file, const void *buf, size_t len, uint64_t offset);
/*
 * The same, and these bytes are durable when it returns 0, if they lie inside the file and their
 * place in it is durable.  -ENOTSUP, and nothing is written, where that is not one write past the
 * page cache (there it would be slow, and its sync could take the error of other pages away from
 * a flush beside it), where the file system is not known to honour RWF_DSYNC, and where a flush
 * has failed for good.
 */
int blk_file_co_pwrite_durable(struct blk_file *file, const void *buf, size_t len, uint64_t offset);
/*
 * Make durable all that was written (fdatasync).  Once that has failed it fails until the file is
 * opened again, since what the kernel has thrown away is not known; see file_flush.c, also for
 * the exception.
 */
int blk_file_co_flush(struct blk_file *file);
/* From now on every flush fails with @error: an fdatasync in another guise has failed. */
void blk_file_set_lost(struct blk_file *file, int error);
/*
 * Before anything is read of a file that is open for writing, and locked: make durable what
 * others wrote, and in cached mode have reads come from the disk.  What is read afterwards is
 * durable.  Fails where the kernel has lost writes of others that it told nobody about; the next
 * attempt then finds what is left.
 */
int blk_file_co_settle(struct blk_file *file);
/* 0, or the errno of the failure after which no flush succeeds. */
static inline int blk_file_lost(const struct blk_file *file)
{
	return atomic_load_explicit(&file->flushes.lost, memory_order_relaxed);
}

/*
 * Make the range read as zeroes, keeping its space (FALLOC_FL_ZERO_RANGE), or
 * with @punch giving it back where the file system can; falls back to writing
 * zeroes.  Extends the file if the range goes past its end.
 */
int blk_file_co_write_zeroes(struct blk_file *file, uint64_t offset, uint64_t len, bool punch);
/* Give back the space of a range; it reads as zeroes afterwards.  -ENOTSUP where it can't be. */
int blk_file_co_punch_hole(struct blk_file *file, uint64_t offset, uint64_t len);
/*
 * See to it that a later write to the range, which lies inside the file, does not
 * fail for lack of space.  What is in it stays.  Where the file system cannot
 * promise that, nothing is done.
 */
int blk_file_co_allocate(struct blk_file *file, uint64_t offset, uint64_t len);
int blk_file_co_truncate(struct blk_file *file, uint64_t size);
/* How many bytes of disk the file takes.  -ENOTSUP where nobody can tell. */
int blk_file_co_allocated(struct blk_file *file, uint64_t *bytes);

/*
 * Is [offset, offset + len) data or a hole?  *@run is the length, from @offset
 * on and at most @len, that is alike.  Returns 1 for data, 0 for a hole
 * (reads as zeroes), or a negative errno.  Past the end of the file is a hole.
 */
int blk_file_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run);

/* Can [offset, offset + len) at @buf go to the file descriptor as it is? */
static inline bool blk_file_is_aligned(const struct blk_file *file, const void *buf, size_t len,
				       uint64_t offset)
{
	return !((offset | len) & (file->align - 1)) && !((uintptr_t)buf & (file->mem_align - 1));
}

/*
 * Is @name something else than the path of a file of this machine: a protocol's name, or
 * json:{...}?  A folder never completes such a name.
 */
bool blk_name_is_url(const char *name);

#endif
