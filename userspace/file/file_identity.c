// SPDX-License-Identifier: GPL-2.0
/* What an image file is like, and the note that is kept with it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

#include "aio/sys.h"
#include "file/file.h"
#include "file/file_identity.h"
#include "file/protocol.h"
#include "util/units.h"

#define HEAD_BYTES (4 * KiB)

/* ---- Identity ---- */

struct identify_call {
	const struct blk_file *file;
	struct blk_file_identity *identity;
};

static int identify_on_worker(void *arg)
{
	struct identify_call *call = arg;
	struct blk_file_identity *id = call->identity;
	int fd = call->file->fd;
	struct statx st;

	/* The time and number of a block device's node say nothing about its bytes. */
	if (call->file->is_device)
		return ioctl(fd, BLKGETSIZE64, &id->size) ? -errno : 0;
	/* A file server may not respond; reading from it brings its answer up to date. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_SIZE | STATX_MTIME | STATX_INO | STATX_NLINK, &st))
		return -errno;
	id->size = st.stx_size;
	id->seconds = st.stx_mtime.tv_sec;
	id->nanoseconds = st.stx_mtime.tv_nsec;
	id->inode = st.stx_ino;
	id->unnamed = !st.stx_nlink;
	return 0;
}

/* Bytes that cannot be read are reported when a reader needs them. */
static void co_read_head(struct blk_file *file, struct blk_file_identity *identity)
{
	uint64_t len = min_u64(identity->size, HEAD_BYTES);
	uint8_t head[HEAD_BYTES];

	identity->has_head = !blk_file_co_pread(file, head, len, 0);
	if (identity->has_head)
		identity->head = (uint32_t)crc32(0, head, (uInt)len);
}

int blk_file_co_identify(struct blk_file *file, bool with_head, struct blk_file_identity *identity)
{
	struct identify_call call = { file, identity };
	int ret = 0;

	*identity = (struct blk_file_identity){ .size = atomic_load(&file->size) };
	if (!file->protocol)
		ret = aio_co_call(identify_on_worker, &call);
	else if (file->protocol->co_identify)
		ret = file->protocol->co_identify(file, identity);
	if (!ret && with_head)
		co_read_head(file, identity);
	return ret;
}

uint32_t blk_file_tag(const char *what)
{
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)what, (uInt)strlen(what));

	return *what && !crc ? 1 : crc;
}

/* ---- The note ---- */

#define NOTE "user.qedblk.backing"

struct note_call {
	int fd;
	const char *set;
	char *got;
};

static int get_on_worker(void *arg)
{
	struct note_call *call = arg;
	ssize_t len = fgetxattr(call->fd, NOTE, NULL, 0), got;

	if (len < 0)
		return -errno;
	call->got = malloc((size_t)len + 1);
	if (!call->got)
		return -ENOMEM;
	got = fgetxattr(call->fd, NOTE, call->got, (size_t)len);
	if (got < 0) {
		int ret = -errno;

		free(call->got);
		return ret;
	}
	call->got[got] = '\0';
	return 0;
}

/*
 * Sync by a descriptor of its own: the kernel reports a failed write to each descriptor once, and a
 * flush of the guest's must not miss it.
 */
static int sync_apart(int fd)
{
	char link[64];
	int ret;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int set_on_worker(void *arg)
{
	const struct note_call *call = arg;

	if (call->set ? fsetxattr(call->fd, NOTE, call->set, strlen(call->set), 0) :
			fremovexattr(call->fd, NOTE))
		return errno == ENODATA ? 0 : -errno;
	return sync_apart(call->fd);
}

/* Only regular files can have attributes of users. */
static int unsupported(const struct blk_file *file)
{
	return file->protocol || file->is_device ? -EOPNOTSUPP : 0;
}

int blk_file_co_get_note(struct blk_file *file, char **note)
{
	struct note_call call = { .fd = file->fd };
	int ret = unsupported(file);

	if (!ret)
		ret = aio_co_call(get_on_worker, &call);
	*note = call.got;
	return ret;
}

int blk_file_co_set_note(struct blk_file *file, const char *note)
{
	struct note_call call = { .fd = file->fd, .set = note };
	int ret = unsupported(file);

	return ret ? ret : aio_co_call(set_on_worker, &call);
}
