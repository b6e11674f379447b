// SPDX-License-Identifier: GPL-2.0
/*
 * New image files, of any format.  Their options are those of QEMU's driver for local files.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/sys.h"
#include "file/file.h"
#include "file/file_create.h"
#include "file/file_note.h"
#include "file/image_lock.h"

const struct blk_option_row blk_file_create_options[] = {
	{ .name = "nocow",
	  .help = "Turn off copy-on-write (valid only on btrfs)",
	  .type = BLK_OPTION_SWITCH },
	{ .name = "preallocation",
	  .help = "Preallocation mode (allowed values: off, falloc, full)",
	  .type = BLK_OPTION_TEXT },
	{ .name = "extent_size_hint",
	  .help = "Extent size hint for the image file, 0 to disable",
	  .type = BLK_OPTION_SIZE },
	{ 0 },
};

const char *const blk_prealloc_names[] = { "off", "metadata", "falloc", "full" };

enum blk_prealloc blk_prealloc_named(const char *name)
{
	enum blk_prealloc mode = 0;

	while (mode < BLK_PREALLOC_COUNT && strcmp(name, blk_prealloc_names[mode]))
		mode++;
	return mode;
}

int blk_file_create_take(struct blk_file_create *create, struct blk_options *options,
			 struct error *err)
{
	const char *mode = options ? blk_options_take(options, "preallocation") : NULL;
	int ret;

	if (!options)
		return 0;
	create->prealloc = mode ? blk_prealloc_named(mode) : BLK_PREALLOC_OFF;
	if (create->prealloc == BLK_PREALLOC_COUNT)
		return error_set(err, -EINVAL, "invalid parameter value: %s", mode);
	ret = blk_options_take_switch(options, "nocow", &create->nocow, err);
	if (ret >= 0)
		ret = blk_options_take_size(options, "extent_size_hint", &create->extent_size, err);
	if (ret >= 0 && create->extent_size > UINT32_MAX)
		ret = error_set(err, -EINVAL, "Extent size hint is too large");
	return ret < 0 ? ret : 0;
}

struct hints_call {
	int fd;
	const struct blk_file_create *create;
};

#define READERS (S_IRGRP | S_IROTH)

/* Return the read permissions with which a file of @group has no more readers than @source. */
static mode_t readers(const char *source, gid_t group)
{
	struct stat st;

	if (stat(source, &st) || !S_ISREG(st.st_mode))
		return READERS;
	/* Members of another group have the permissions of all others. */
	return (st.st_gid == group ? st.st_mode & S_IRGRP : (st.st_mode & S_IROTH) << 3) |
	       (st.st_mode & S_IROTH);
}

static int readers_on_worker(void *source)
{
	return (int)readers(source, getegid());
}

/*
 * A new file may have the group of its directory, and an existing one has permissions of its own:
 * take those away that the source does not give.  A file of another owner keeps them.
 */
static void hide_from_strangers(const struct hints_call *call)
{
	mode_t excess;
	struct stat st;

	if (fstat(call->fd, &st))
		return;
	excess = st.st_mode & READERS & ~readers(call->create->source, st.st_gid);
	if (excess)
		(void)fchmod(call->fd, st.st_mode & 07777 & ~excess);
}

/* The file has to be empty.  Where the file system does not support a hint there is none. */
static int set_hints_on_worker(void *arg)
{
	const struct hints_call *call = arg;
	struct fsxattr attr;
	int flags;

	if (call->create->source)
		hide_from_strangers(call);
	if (call->create->nocow && ioctl(call->fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)ioctl(call->fd, FS_IOC_SETFLAGS, &flags);
	}
	if (call->create->extent_size && ioctl(call->fd, FS_IOC_FSGETXATTR, &attr) == 0) {
		attr.fsx_xflags |= FS_XFLAG_EXTSIZE;
		attr.fsx_extsize = (uint32_t)call->create->extent_size;
		(void)ioctl(call->fd, FS_IOC_FSSETXATTR, &attr);
	}
	return 0;
}

static int prepare(struct blk_file *file, const struct blk_file_create *create, struct error *err)
{
	struct hints_call call = { file->fd, create };
	int ret;

	if (file->is_device && create->prealloc != BLK_PREALLOC_OFF)
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode '%s'",
				 blk_prealloc_names[create->prealloc]);
	if (file->is_device)
		return 0;
	ret = blk_file_co_truncate(file, 0);
	/* A note is about an image that was there: a new one may have got its inode number. */
	if (!ret)
		(void)blk_file_co_set_note(file, NULL);
	if (!ret && (create->source || create->nocow || create->extent_size))
		ret = aio_co_call(set_hints_on_worker, &call);
	return ret;
}

int blk_file_co_create(struct blk_file **file, const char *name,
		       const struct blk_file_create *create, struct error *err)
{
	unsigned int flags = BLK_FILE_RDWR | BLK_FILE_CREATE |
			     (create->exclusive ? BLK_FILE_EXCL : 0);
	int ret;

	/* From the start: a descriptor that is opened before a change of the mode stays. */
	if (create->source) {
		ret = aio_co_call(readers_on_worker, (void *)create->source);
		if (ret < 0)
			return error_set_errno(err, ret, "%s", name);
		flags |= ret & S_IRGRP ? 0 : BLK_FILE_HIDE_GROUP;
		flags |= ret & S_IROTH ? 0 : BLK_FILE_HIDE_OTHERS;
	}
	ret = blk_file_co_open(file, name, flags, IMAGE_PERM_WRITE | IMAGE_PERM_RESIZE,
			       IMAGE_PERM_ALL & ~IMAGE_PERM_RESIZE, err);
	if (ret)
		return ret;
	ret = prepare(*file, create, err);
	if (ret) {
		error_set_errno(err, ret, "%s", name);
		if (create->exclusive)
			(void)unlink(name);
		blk_file_co_close(*file);
	}
	return ret;
}
