// SPDX-License-Identifier: GPL-2.0
/*
 * Image files: opening, closing, and operations on the file as a whole.
 *
 * System calls that may block and that io_uring lacks run on worker threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "aio/sys.h"
#include "file/device_users.h"
#include "file/file_align_probe.h"
#include "file/file_internal.h"
#include "file/image_lock.h"
#include "file/name.h"
#include "file/protocol.h"
#include "util/units.h"

/* Bounce buffers of a file: bytes of each, and their maximal number. */
#define BOUNCE_SIZE  (256 * KiB)
#define BOUNCE_COUNT 16

/* Bytes.  Larger units would fit the bounce buffers badly; no file system needs them. */
#define MAX_ALIGN     (64 * KiB)
#define MAX_MEM_ALIGN 4096

struct open_call {
	struct blk_file *file;
	const char *dir; /* the file must lie below; NULL: anywhere */
	unsigned int flags;
	unsigned int perm, shared;
	struct error *err;
	struct dio_align align;
};

/* /dev/null, /dev/zero and /dev/full: opening one has no side effect, and it has no bytes. */
static bool is_empty_device(const struct stat *st)
{
	unsigned int number = minor(st->st_rdev);

	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 &&
	       (number == 3 || number == 5 || number == 7);
}

int blk_file_check_type(const char *name, const struct stat *st, unsigned int flags,
			struct error *err)
{
	mode_t mode = st->st_mode;
	const char *device = flags & BLK_FILE_HOST_DEVICE ? "host_device" :
			     flags & BLK_FILE_HOST_CDROM  ? "host_cdrom" :
							    NULL;

	if (S_ISDIR(mode) && (!device || flags & BLK_FILE_RDWR))
		return error_set_errno(err, -EISDIR, "%s", name);
	if (device && !S_ISBLK(mode) && !S_ISCHR(mode))
		return error_set(err, -EINVAL,
				 "%s: '%s' driver requires '%s' to be either a character or block "
				 "device",
				 name, device, name);
	if (flags & BLK_FILE_REGULAR && !S_ISREG(mode))
		return error_set(err, -EINVAL,
				 "%s: 'file' driver requires '%s' to be a regular file", name,
				 name);
	/* Opening a character device can have side effects: the user has to say that it is one. */
	if (S_ISREG(mode) || S_ISBLK(mode) || (device && S_ISCHR(mode)) ||
	    (!(flags & BLK_FILE_RDWR) && is_empty_device(st)))
		return 0;
	return error_set(err, -EINVAL, "%s: Not a regular file or block device", name);
}

static int open_fd(struct open_call *call)
{
	struct blk_file *file = call->file;
	int oflags = O_CLOEXEC | O_NOCTTY | (file->writable ? O_RDWR : O_RDONLY);
	mode_t mode = S_IRUSR | S_IWUSR;
	struct stat st;

	mode |= call->flags & BLK_FILE_HIDE_GROUP ? 0 : S_IRGRP;
	mode |= call->flags & BLK_FILE_HIDE_OTHERS ? 0 : S_IROTH;
	if (call->flags & BLK_FILE_CREATE)
		oflags |= O_CREAT | (call->flags & BLK_FILE_EXCL ? O_EXCL : 0);

	/* Check before opening: opening a device or a FIFO can have side effects. */
	if (stat(file->name, &st) == 0) {
		int ret = blk_file_check_type(file->name, &st, call->flags, call->err);

		if (ret)
			return ret;
	}
	/* If the name becomes a FIFO in between, O_NONBLOCK keeps open() from blocking. */
	file->fd = open(file->name, oflags | O_NONBLOCK, mode);
	if (file->fd < 0)
		return error_set_errno(call->err, -errno, "%s", file->name);
	return 0;
}

/* Set the descriptor flags for I/O: with O_DIRECT if @want_direct and it is supported. */
static int set_io_flags(struct blk_file *file, bool want_direct)
{
	int fl = fcntl(file->fd, F_GETFL);

	if (fl < 0)
		return -errno;
	/* With O_NONBLOCK io_uring would return -EAGAIN instead of waiting. */
	fl &= ~(O_NONBLOCK | O_DIRECT);
	file->direct = want_direct && fcntl(file->fd, F_SETFL, fl | O_DIRECT) == 0;
	if (!file->direct && fcntl(file->fd, F_SETFL, fl) < 0)
		return -errno;
	return 0;
}

/* Set the fields that depend on the type of the file system. */
static void find_file_system(struct blk_file *file)
{
	struct statfs fs;

	if (file->is_device || fstatfs(file->fd, &fs) < 0)
		return;
	file->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	/*
	 * Of the others NFS ignores the error of the sync after such a write; FUSE and 9p only
	 * pass the flag on to servers, many of which ignore it; overlayfs can be on any of them.
	 */
	file->keeps_dsync = file->in_memory || fs.f_type == EXT4_SUPER_MAGIC ||
			    fs.f_type == XFS_SUPER_MAGIC || fs.f_type == BTRFS_SUPER_MAGIC;
}

static int find_size(struct blk_file *file, struct error *err)
{
	uint64_t size = 0;
	struct stat st;

	if (file->is_device && ioctl(file->fd, BLKGETSIZE64, &size) < 0)
		return error_set_errno(err, -errno, "%s: cannot get the device's size", file->name);
	if (!file->is_device) {
		if (fstat(file->fd, &st) < 0)
			return error_set_errno(err, -errno, "%s", file->name);
		size = (uint64_t)st.st_size;
	}
	atomic_store(&file->size, size);
	return 0;
}

static int find_identity(struct open_call *call)
{
	struct blk_file *file = call->file;
	struct stat st;
	int ret;

	if (fstat(file->fd, &st) < 0)
		return error_set_errno(call->err, -errno, "%s", file->name);
	ret = blk_file_check_type(file->name, &st, call->flags, call->err);
	if (ret)
		return ret;
	/* There is nothing to make durable. */
	file->no_flush |= S_ISCHR(st.st_mode);

	file->is_device = S_ISBLK(st.st_mode);
	find_file_system(file);
	ret = find_size(file, call->err);
	if (ret)
		return ret;
	/* A device is the same, whichever device node it was opened by. */
	file->dev = file->is_device ? 0 : st.st_dev;
	file->ino = file->is_device ? st.st_rdev : st.st_ino;
	return 0;
}

static int find_alignment(struct open_call *call)
{
	struct blk_file *file = call->file;
	int ret = set_io_flags(file, call->flags & BLK_FILE_DIRECT);

	if (!ret && file->direct) {
		ret = dio_align_probe(file->fd, file->is_device, atomic_load(&file->size),
				      &call->align);
		if (!ret && (call->align.offset > MAX_ALIGN || call->align.mem > MAX_MEM_ALIGN))
			ret = -ENOTSUP;
		if (ret == -ENOTSUP)
			ret = set_io_flags(file, false);
	}
	if (ret)
		return error_set_errno(call->err, ret, "%s", file->name);
	return 0;
}

/* Those that use a device of qedd take no image locks: look for them instead. */
static int check_device(const struct blk_file *file, unsigned int perm, unsigned int shared,
			struct error *err)
{
	bool writing = perm & IMAGE_PERM_WRITE;

	if (!file->is_device || (!writing && (shared & IMAGE_PERM_WRITE)))
		return 0;
	return device_lock_check(file->ino, writing, file->lasting && !writing, err);
}

/* Lock, in place of @from if that is not NULL. */
static int lock_image(struct blk_file *file, unsigned int perm, unsigned int shared,
		      struct blk_file *from, struct error *err)
{
	int ret = check_device(file, perm, shared, err);

	if (!ret && from)
		ret = image_lock_take_over(file->fd, &file->lock, perm, shared, from->fd,
					   &from->lock, err);
	else if (!ret)
		ret = image_lock_add(file->fd, &file->lock, perm, shared, err);
	if (ret) {
		error_prefix(err, "%s", file->name);
		return ret;
	}
	/*
	 * The previous holder of the lock may have extended the file since we opened it, and
	 * the clusters there must not be taken for unused space.
	 */
	return find_size(file, err);
}

static int open_on_worker(void *arg)
{
	struct open_call *call = arg;
	int ret;

	if (call->dir)
		ret = call->file->fd = blk_file_open_below(call->file->name, call->dir,
							   call->flags & BLK_FILE_RDWR, call->err);
	else
		ret = open_fd(call);
	if (ret < 0)
		return ret;
	ret = find_identity(call);
	if (!ret)
		ret = find_alignment(call);
	if (!ret && call->perm && !(call->flags & BLK_FILE_NO_LOCK))
		ret = lock_image(call->file, call->perm, call->shared, NULL, call->err);
	if (ret) {
		close(call->file->fd);
		call->file->fd = -1;
	}
	return ret;
}

static struct blk_file *file_alloc(const char *name, bool writable)
{
	struct blk_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->name = strdup(name);
	if (!file->name) {
		free(file);
		return NULL;
	}
	file->fd = -1;
	file->tail_fd = -1;
	file->writable = writable;
	file->align = 1;
	file->mem_align = 1;
	file->ops = &blk_file_kernel_ops;
	range_lock_init(&file->ranges);
	blk_file_flushes_init(&file->flushes);
	return file;
}

static void file_free(struct blk_file *file)
{
	if (file->bounce)
		bufpool_destroy(file->bounce);
	range_lock_destroy(&file->ranges);
	blk_file_flushes_destroy(&file->flushes);
	free(file->name);
	free(file);
}

static int close_on_worker(void *arg)
{
	struct blk_file *file = arg;

	/*
	 * All requests are complete, but the kernel may keep a reference to the file a little
	 * longer, and the locks with it: the next opener would find them.
	 */
	image_lock_release(file->fd);
	if (file->tail_fd >= 0)
		close(file->tail_fd);
	close(file->fd);
	return 0;
}

static void close_local(struct blk_file *file)
{
	/* Errors of close() do not matter: flushes make data durable and report its errors. */
	if (aio_co_call(close_on_worker, file) < 0)
		close_on_worker(file);
}

static int co_open_local(struct open_call *call)
{
	struct blk_file *file = call->file;
	int ret = aio_co_call(open_on_worker, call);

	if (ret || !file->direct)
		return ret;
	ret = blk_file_set_align(file, call->align.offset, call->align.mem);
	if (ret)
		close_local(file);
	return ret;
}

/* All fields of @call but the file are set. */
static int co_open(struct blk_file **file_out, const char *name, struct open_call *call)
{
	struct blk_file *file = file_alloc(name, call->flags & BLK_FILE_RDWR);
	int ret;

	if (!file)
		return error_set_errno(call->err, -ENOMEM, "%s", name);
	call->file = file;
	file->no_flush = call->flags & BLK_FILE_NO_FLUSH;
	if (!blk_name_is_url(name))
		ret = co_open_local(call);
	else if (call->dir)
		ret = error_set(call->err, -EPERM,
				"%s: backing files must lie below %s, and this is no file", name,
				call->dir);
	else
		ret = blk_file_co_open_remote(file, call->flags, call->err);
	if (ret) {
		/* Sets a line only where there is none: the call did not reach a worker. */
		error_set_errno(call->err, ret, "%s", name);
		file_free(file);
		return ret;
	}
	*file_out = file;
	return 0;
}

struct blk_file *blk_file_new(const char *name, bool writable, const struct blk_protocol *protocol,
			      void *remote)
{
	struct blk_file *file = file_alloc(name, writable);

	if (file) {
		file->protocol = protocol;
		file->remote = remote;
	}
	return file;
}

int blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
		     unsigned int perm, unsigned int shared, struct error *err)
{
	struct open_call call = { .flags = flags, .perm = perm, .shared = shared, .err = err };

	return co_open(file, name, &call);
}

int blk_file_co_open_below(struct blk_file **file, const char *name, const char *dir,
			   unsigned int flags, struct error *err)
{
	struct open_call call = { .dir = dir, .flags = flags, .err = err };

	if (flags & BLK_FILE_CREATE)
		return error_set_errno(err, -EINVAL, "%s", name);
	return co_open(file, name, &call);
}

void blk_file_co_close(struct blk_file *file)
{
	if (!file)
		return;
	if (file->protocol)
		file->protocol->co_close(file);
	else
		close_local(file);
	file_free(file);
}

struct lock_call {
	struct blk_file *file;
	unsigned int perm, shared;
	struct blk_file *from;
	struct error *err;
};

static int lock_on_worker(void *arg)
{
	struct lock_call *call = arg;

	return lock_image(call->file, call->perm, call->shared, call->from, call->err);
}

int blk_file_co_lock(struct blk_file *file, unsigned int perm, unsigned int shared,
		     struct error *err)
{
	struct lock_call call = { file, perm, shared, NULL, err };

	if (file->protocol || image_lock_has(&file->lock, perm, shared))
		return 0;
	return aio_co_call(lock_on_worker, &call);
}

int blk_file_co_take_lock(struct blk_file *file, unsigned int perm, unsigned int shared,
			  struct blk_file *from, struct error *err)
{
	struct lock_call call = { file, perm, shared, from, err };

	return file->protocol ? 0 : aio_co_call(lock_on_worker, &call);
}

static int keep_lock_on_worker(void *arg)
{
	struct lock_call *call = arg;

	image_lock_keep(call->file->fd, &call->file->lock, call->perm, call->shared);
	return 0;
}

void blk_file_co_keep_lock(struct blk_file *file, unsigned int perm, unsigned int shared)
{
	struct lock_call call = { file, perm, shared, NULL, NULL };

	if (!file->protocol && aio_co_call(keep_lock_on_worker, &call))
		keep_lock_on_worker(&call);
}

int blk_file_set_align(struct blk_file *file, uint32_t align, uint32_t mem_align)
{
	int ret;

	if (!is_power_of_2(align) || align > MAX_ALIGN || !is_power_of_2(mem_align) ||
	    mem_align > MAX_MEM_ALIGN)
		return -EINVAL;
	if ((align > 1 || mem_align > 1) && !file->bounce) {
		ret = bufpool_create(&file->bounce, BOUNCE_SIZE, BOUNCE_COUNT);
		if (ret)
			return ret;
	}
	file->align = align;
	file->mem_align = mem_align;
	return 0;
}

/* Open a second, buffered open file description of the same file. */
static int open_tail_on_worker(void *arg)
{
	struct blk_file *file = arg;
	struct stat st;
	char link[64];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	fd = open(link, O_WRONLY | O_CLOEXEC);
	if (fd < 0) /* no /proc: by name, if that is still the same file */
		fd = open(file->name, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_dev != file->dev || st.st_ino != file->ino ||
	    fcntl(fd, F_SETFL, 0) < 0) {
		close(fd);
		return -ESTALE;
	}
	file->tail_fd = fd;
	return 0;
}

int blk_file_co_keep_exact_end(struct blk_file *file, struct error *err)
{
	int ret;

	file->exact_end = true;
	if (file->align <= SECTOR_SIZE || !file->writable || file->is_device || file->tail_fd >= 0)
		return 0;
	ret = aio_co_call(open_tail_on_worker, file);
	if (ret)
		return error_set_errno(err, ret, "%s: cannot open it a second time", file->name);
	return 0;
}

int blk_file_co_truncate(struct blk_file *file, uint64_t size)
{
	uint64_t old = atomic_load(&file->size);
	struct range_hold hold;
	int ret;

	if (file->is_device)
		return size == old ? 0 : -ENOTSUP;
	if (size > INT64_MAX)
		return -EFBIG;
	/*
	 * The end of the file must not move while a write that pads to the file's
	 * alignment is between its check of the size and its write.
	 */
	if (file->align > 1)
		range_lock_co_acquire(&file->ranges, &hold,
				      round_down(min_u64(old, size), file->align), UINT64_MAX,
				      true);
	ret = file->ops->co_truncate(file, size);
	if (!ret)
		atomic_store(&file->size, size);
	if (file->align > 1)
		range_lock_release(&file->ranges, &hold);
	return ret;
}

struct allocated_call {
	int fd;
	uint64_t bytes;
};

static int allocated_on_worker(void *arg)
{
	struct allocated_call *call = arg;
	struct stat st;

	if (fstat(call->fd, &st) < 0)
		return -errno;
	call->bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

int blk_file_co_allocated(struct blk_file *file, uint64_t *bytes)
{
	struct allocated_call call = { .fd = file->fd };
	int ret;

	if (file->protocol && file->protocol->co_allocated)
		return file->protocol->co_allocated(file, bytes);
	ret = file->protocol ? -ENOTSUP : aio_co_call(allocated_on_worker, &call);
	*bytes = call.bytes;
	return ret;
}

void blk_file_grow(struct blk_file *file, uint64_t end)
{
	uint64_t size = atomic_load_explicit(&file->size, memory_order_relaxed);

	while (size < end && !atomic_compare_exchange_weak(&file->size, &size, end))
		;
}
