// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on an image as a whole: info, check, another backing file, durable names.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/sys.h"
#include "block/io.h"
#include "block/node_internal.h"
#include "file/file_note.h"
#include "file/protocol.h"

const char *blk_stored_format(const char *format)
{
	/* Files are left: QEMU probes an image that was made so. */
	if (!format || !strcmp(format, BLK_FILE) || !blk_protocol_find(format))
		return format;
	return blk_driver_fallback()->name;
}

int blk_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err)
{
	int ret;

	if (!node->driver->co_change_backing)
		ret = -ENOTSUP;
	else if (!(node->flags & BLK_O_RDWR))
		ret = -EPERM;
	else
		ret = node->driver->co_change_backing(node, name, blk_stored_format(format), err);
	/* The record of the old backing file (backing_record.h) says nothing of the new one. */
	if (!ret)
		(void)blk_file_co_set_note(node->file, NULL);
	if (ret) {
		error_set_errno(err, ret, "cannot change the backing file");
		blk_error_name_file(err, node->filename);
	}
	return ret;
}

int blk_co_make_empty(struct blk_node *node, struct error *err)
{
	int ret;

	if (!node->driver->co_make_empty)
		ret = -ENOTSUP;
	else if (!(node->flags & BLK_O_RDWR))
		ret = -EPERM;
	else
		ret = node->driver->co_make_empty(node);
	if (ret) {
		error_set_errno(err, ret, "cannot be emptied");
		blk_error_name_file(err, node->filename);
	}
	return ret;
}

int blk_co_set_complete(struct blk_node *node)
{
	if (!node->driver->co_set_complete)
		return blk_co_flush(node);
	return node->driver->co_set_complete(node);
}

static int write_out_on_worker(void *arg)
{
	struct blk_file *file = arg;

	return sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE) < 0 ? -errno : 0;
}

void blk_co_write_out(struct blk_node *node)
{
	struct blk_file *file = node->file;

	/* A hint: the next flush reports any error. */
	if (!file->protocol && !file->direct && !file->in_memory && !file->is_device)
		(void)aio_co_call(write_out_on_worker, file);
}

static int sync_name_on_worker(void *arg)
{
	char *copy = strdup(arg);
	int fd, ret = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A user may be allowed to make files in a folder and not to read it. */
	if (fd < 0)
		ret = errno == EACCES ? 0 : -errno;
	else if (fsync(fd) < 0 && errno != EINVAL)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	free(copy);
	return ret;
}

int blk_co_sync_name(const char *filename)
{
	return aio_co_call(sync_name_on_worker, (void *)filename);
}

int blk_co_info(struct blk_node *node, struct blk_info *info)
{
	int ret;

	*info = (struct blk_info){
		.virtual_size = atomic_load(&node->size),
		.cluster_size = node->cluster_size,
		.dirty_unknown = !node->driver->co_info && node->file->protocol &&
				 !blk_nested_node(node->file),
	};
	ret = blk_file_co_allocated(node->file, &info->actual_size);
	info->actual_size_unknown = ret == -ENOTSUP;
	if (info->actual_size_unknown)
		ret = 0;
	if (!ret && node->driver->co_info)
		ret = node->driver->co_info(node, info);
	return ret;
}

/* Reset @result; fail if the image cannot be checked, or not with @fix. */
static int begin_check(struct blk_node *node, unsigned int fix, struct blk_check_result *result,
		       struct error *err)
{
	memset(result, 0, sizeof(*result));
	if (!node->driver->co_check)
		return error_set(err, -ENOTSUP, "This image format does not support checks");
	if (fix && !(node->flags & BLK_O_RDWR))
		return error_set_errno(err, -EPERM, "image is open read-only");
	return 0;
}

/* Return @ret, with an error line that names the image. */
static int end_check(const struct blk_node *node, int ret, struct error *err)
{
	if (ret) {
		error_set_errno(err, ret, "check failed");
		blk_error_name_file(err, node->filename);
	}
	return ret;
}

int blk_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		 void *report_arg, struct blk_check_result *result, struct error *err)
{
	int ret = begin_check(node, fix, result, err);

	if (!ret)
		ret = node->driver->co_check(node, fix, report, report_arg, result, err);
	return end_check(node, ret, err);
}

int blk_co_check_live(struct blk_node *node, unsigned int fix, const bool *cancel,
		      struct blk_check_result *result, struct error *err)
{
	const struct blk_driver *driver = node->driver;
	int ret = begin_check(node, fix, result, err);

	if (!ret && !(node->flags & BLK_O_RDWR))
		ret = driver->co_check(node, 0, NULL, NULL, result, err);
	else if (!ret && driver->co_check_live)
		ret = driver->co_check_live(node, fix, cancel, result, err);
	else if (!ret)
		ret = error_set(err, -ENOTSUP, "images of format %s are not checked in use",
				driver->name);
	return end_check(node, ret, err);
}
