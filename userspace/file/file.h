/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The file (or block device) in which a format driver stores an image; or a remote
 * export, accessed by a protocol (protocol.h).
 *
 * Any offset, length and buffer address may be used: where O_DIRECT needs alignment
 * (512 or 4096, determined when the file is opened) requests go through bounce
 * buffers, and unaligned writes read, modify and write under a serialising
 * range lock.  The bounce pool is last in the lock order: a coroutine that holds
 * one of its buffers waits for I/O only.
 *
 * All I/O runs through a table of operations, so that tests can record it or
 * make it fail.
 *
 * Functions with co_ in their name run in a coroutine of any loop and may yield.
 * Unless a comment says otherwise, functions return 0 or a negative errno.
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
#include "file/image_lock.h"
#include "file/range_lock.h"
#include "util/error.h"

enum blk_file_flags {
	BLK_FILE_RDWR = 1 << 0,
	BLK_FILE_DIRECT = 1 << 1, /* O_DIRECT where the file system supports it, else buffered */
	BLK_FILE_NO_LOCK = 1 << 2, /* ignore image locks and take none */
	BLK_FILE_CREATE = 1 << 3, /* create it if missing; an existing file is not truncated */
	BLK_FILE_EXCL = 1 << 4, /* with CREATE: fail with -EEXIST if it exists */
	BLK_FILE_NO_FLUSH = 1 << 5, /* flushes do nothing */
	BLK_FILE_REGULAR = 1 << 6, /* refuse what is no regular file */
	/* Refuse what is neither a block nor a character device, with the driver's name. */
	BLK_FILE_HOST_DEVICE = 1 << 7,
	BLK_FILE_HOST_CDROM = 1 << 8,
	/* With CREATE: the group, or all others, may not read a new file. */
	BLK_FILE_HIDE_GROUP = 1 << 9,
	BLK_FILE_HIDE_OTHERS = 1 << 10,
};

struct blk_file;
struct blk_protocol;

/*
 * The operations below alignment.  @offset, @len and buffers are aligned for the file.
 * Every function yields; a short transfer is an error (-EIO), except that a
 * preadv past the end of the file returns the bytes that exist.
 */
struct blk_file_ops {
	ssize_t (*co_preadv)(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset);
	ssize_t (*co_pwritev)(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset);
	/* Optional.  The same; the bytes are durable when it returns. */
	ssize_t (*co_pwritev_durable)(struct blk_file *file, const struct iovec *iov, int iovcnt,
				      uint64_t offset);
	int (*co_flush)(struct blk_file *file);
	int (*co_fallocate)(struct blk_file *file, int mode, uint64_t offset, uint64_t len);
	int (*co_truncate)(struct blk_file *file, uint64_t size);
	/*
	 * Write unaligned bytes at the end of the file, durably and without padding.  Only for
	 * files with an exact end.
	 */
	ssize_t (*co_pwrite_tail)(struct blk_file *file, const void *buf, size_t len,
				  uint64_t offset);
	/* Optional.  Drop the file's clean pages, so that reads come from the disk. */
	int (*co_drop_cache)(struct blk_file *file);
};

/* The kernel's operations, for tests that wrap them. */
extern const struct blk_file_ops blk_file_kernel_ops;

/* State of the fdatasync calls, see file_flush.c. */
struct blk_file_flushes {
	pthread_mutex_t mutex; /* protects the non-atomic fields */
	struct co_queue waiters; /* for the end of a flush, or of durable writes */
	uint64_t begun, ended; /* counts; equal while none runs */
	int result; /* of the last that ended */
	_Atomic int lost; /* errno of a failure after which no flush may succeed; 0: none */
	/* Durable writes in flight, by parity of the epoch in which they began. */
	_Atomic uint64_t epoch;
	_Atomic unsigned int durable[2];
	/*
	 * Counts of fallocate() calls that may leave a part of a block in the page cache: begun,
	 * ended, and ended before the last successful flush began.
	 */
	_Atomic uint64_t edges_begun, edges_ended, edges_flushed;
};

struct blk_file {
	int fd; /* -1: none, accessed by @protocol */
	char *name; /* as given when opened */
	bool writable; /* opened for writing */
	bool no_flush; /* flushes do nothing */
	bool direct; /* O_DIRECT is on */
	bool is_device; /* a block device: its size is fixed */
	bool lasting; /* a backing file: a device of qedd that is locked must not be writable */
	bool in_memory; /* on a file system without a disk: I/O is a copy */
	bool keeps_dsync; /* a write with RWF_DSYNC is known to be durable when it returns */
	bool exact_end; /* see blk_file_co_keep_exact_end() */
	/*
	 * A backing file's: where it ends before @size another program has cut it, and reading that
	 * fails.  It must not read as zeroes, which an overlay would keep.
	 */
	bool fixed_end;
	int tail_fd; /* buffered, for an exact end that is not aligned; -1: none */
	uint32_t align; /* of offsets and lengths, bytes; 1 when buffered */
	uint32_t mem_align; /* of buffer addresses, bytes; 1 when buffered */
	uint64_t dev, ino; /* identity, for finding loops */
	struct image_lock lock; /* what is held; see blk_file_co_lock() */
	_Atomic uint64_t size; /* bytes; follows writes and truncations made through this object */

	/* Set when the kernel first refuses the operation, so that it is not tried again. */
	_Atomic bool no_zero_range;
	_Atomic bool no_punch_hole;
	_Atomic bool no_allocate;

	const struct blk_protocol *protocol; /* NULL: a local file */
	void *remote; /* the protocol's private data */
	bool keeps_nothing; /* writes are discarded, and a read may leave its buffer unchanged */

	const struct blk_file_ops *ops;
	void *ops_data; /* private data of replaced @ops */

	struct blk_file_flushes flushes;
	struct range_lock ranges; /* bytes; used only where align > 1 */
	struct bufpool *bounce; /* alignment bounce buffers */
};

/*
 * Open @name.  The caller closes *@file.  The error line names the file and the
 * reason.  @perm and @shared are image locks (image_lock.h); @perm 0 takes none.
 */
int blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
		     unsigned int perm, unsigned int shared, struct error *err);
/*
 * The same without image locks, if the file lies below folder @dir
 * after all symbolic links are followed, whatever its name is.  Else -EPERM,
 * without opening it.  Names of protocols are always refused.
 */
int blk_file_co_open_below(struct blk_file **file, const char *name, const char *dir,
			   unsigned int flags, struct error *err);
void blk_file_co_close(struct blk_file *file);

/*
 * Return a file for @remote, which is open already, with @protocol's co_close(); the caller sets
 * ops and size.  NULL without memory.
 */
struct blk_file *blk_file_new(const char *name, bool writable, const struct blk_protocol *protocol,
			      void *remote);

/* Are both the same file, or exports with the same name? */
bool blk_file_is_same(const struct blk_file *a, const struct blk_file *b);

/*
 * Take image locks after open, besides those that are held; the error line names the file.  One
 * caller at a time.  A protocol has no locks: 0.  A block device of qedd must also not be in use in
 * a way that @perm and @shared exclude (device_users.h).
 */
int blk_file_co_lock(struct blk_file *file, unsigned int perm, unsigned int shared,
		     struct error *err);

/* Give up all image locks but for @perm and the denial of all but @shared. */
void blk_file_co_keep_lock(struct blk_file *file, unsigned int perm, unsigned int shared);

/*
 * The same, in place of the locks of @from, the same file opened a second time, which may be read
 * from afterwards, and not written to.
 */
int blk_file_co_take_lock(struct blk_file *file, unsigned int perm, unsigned int shared,
			  struct blk_file *from, struct error *err);

/*
 * Set the alignment of offsets and lengths (bytes, a power of two, 1 to 64 KiB);
 * used at open, and by tests that simulate a disk with larger blocks.  No I/O may
 * be in flight.  Returns 0 or a negative errno.
 */
int blk_file_set_align(struct blk_file *file, uint32_t align, uint32_t mem_align);

/*
 * Make sure that padding to more than 512 bytes never extends the file beyond the
 * data written to it: for formats whose size is the file's.  Without this a
 * write at the end may leave the file longer, by zeroes up to the alignment.
 */
int blk_file_co_keep_exact_end(struct blk_file *file, struct error *err);

/* Read @len bytes at @offset; bytes past the end of the file read as zeroes (see fixed_end). */
int blk_file_co_pread(struct blk_file *file, void *buf, size_t len, uint64_t offset);
/* Write all @len bytes at @offset, or fail. */
int blk_file_co_pwrite(struct blk_file *file, const void *buf, size_t len, uint64_t offset);
/*
 * The same, and these bytes are durable when it returns 0, if they lie inside the file and their
 * allocation in it is durable.  Returns -ENOTSUP, with nothing written, where that takes more than
 * one write past the page cache (through the cache it would be slow, and its sync could take the
 * error of other pages away from a concurrent flush), where the file system is not known to honour
 * RWF_DSYNC, and after a flush has failed permanently.
 */
int blk_file_co_pwrite_durable(struct blk_file *file, const void *buf, size_t len, uint64_t offset);
/*
 * Make all completed writes durable (fdatasync).  After a failure every flush fails until the file
 * is opened again, since it is unknown what data the kernel dropped; see file_flush.c, also for
 * the exception.
 */
int blk_file_co_flush(struct blk_file *file);
/*
 * Make every flush from now on fail with @error: an operation that includes an fdatasync has
 * failed.
 */
void blk_file_set_lost(struct blk_file *file, int error);
/*
 * Make durable what other processes wrote to a file that is open for writing, and in cached mode
 * make reads come from the disk.  Call it with the file locked, before the first read: what is read
 * afterwards is durable.  Fails where the kernel has lost writes of others and has not reported it
 * yet; the next attempt then reads what is left.
 */
int blk_file_co_settle(struct blk_file *file);
/* Return 0, or the negative errno of the failure after which no flush succeeds. */
static inline int blk_file_lost(const struct blk_file *file)
{
	return atomic_load_explicit(&file->flushes.lost, memory_order_relaxed);
}

/*
 * Make the range read as zeroes, keeping its space (FALLOC_FL_ZERO_RANGE), or,
 * with @punch, freeing it where the file system supports that; falls back to
 * writing zeroes.  Extends the file if the range goes past its end.
 */
int blk_file_co_write_zeroes(struct blk_file *file, uint64_t offset, uint64_t len, bool punch);
/* Free the space of a range; it reads as zeroes afterwards.  -ENOTSUP where unsupported. */
int blk_file_co_punch_hole(struct blk_file *file, uint64_t offset, uint64_t len);
/*
 * Reserve space, so that a later write to the range, which lies inside the file,
 * does not fail with -ENOSPC.  The contents stay.  Where the file system does not
 * support that, does nothing and returns 0.
 */
int blk_file_co_allocate(struct blk_file *file, uint64_t offset, uint64_t len);
int blk_file_co_truncate(struct blk_file *file, uint64_t size);
/* Set *@bytes to the disk space that the file occupies.  -ENOTSUP where that is unknown. */
int blk_file_co_allocated(struct blk_file *file, uint64_t *bytes);

/*
 * Is there data or a hole at @offset?  *@run is the length of the run of that kind,
 * from @offset and at most @len bytes.  Returns 1 for data, 0 for a hole (reads as
 * zeroes), or a negative errno.  Past the end of the file is a hole.
 */
int blk_file_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run);

/* Can [offset, offset + len) at @buf go to the file descriptor without a bounce buffer? */
static inline bool blk_file_is_aligned(const struct blk_file *file, const void *buf, size_t len,
				       uint64_t offset)
{
	return !((offset | len) & (file->align - 1)) && !((uintptr_t)buf & (file->mem_align - 1));
}

#endif
