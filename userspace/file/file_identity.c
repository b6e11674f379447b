// SPDX-License-Identifier: GPL-2.0
/* What an image file is like. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <zlib.h>

#include "aio/sys.h"
#include "file/file.h"
#include "file/file_identity.h"
#include "file/protocol.h"
#include "util/units.h"

#define HEAD_BYTES (4 * KiB)

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
