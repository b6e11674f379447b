// SPDX-License-Identifier: GPL-2.0
/*
 * The command `resize`: a larger image, then a larger block device. The client makes the mapping
 * larger afterwards.
 *
 * A crash at any moment leaves an image that is as large as the device or larger. So the image's
 * new size is durable before the device has it, and before that NAME.json no longer demands the old
 * one. A successor of the server makes the device as large as the image.
 */
#include <errno.h>

#include "aio/sys.h"
#include "block/io.h"
#include "server/commands.h"
#include "server/served_device.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "util/units.h"

/* Check what can be known before anything changes. */
static int co_check(struct server *server, uint64_t bytes, struct error *err)
{
	const struct blk_node *node = server->image.node;

	if (bytes % SECTOR_SIZE)
		return error_set(err, -EINVAL, "the size is no multiple of %d", SECTOR_SIZE);
	if (!(node->flags & BLK_O_RDWR))
		return error_set(err, -EROFS, "the device is read-only");
	if (!node->driver->co_truncate)
		return error_set(err, -ENOTSUP, "images of format %s keep their size",
				 node->driver->name);
	if (bytes < atomic_load(&node->size))
		return error_set(err, -ENOTSUP,
				 "a device can only become larger: its image has %llu bytes",
				 (unsigned long long)atomic_load(&node->size));
	/* What a job works on ends where the image ended when the job began. */
	if (server_job_check_none(server, err))
		return err->code;
	return served_device_co_check_resize(server, err);
}

static int co_grow_image(struct server *server, uint64_t bytes, struct error *err)
{
	struct blk_node *node = server->image.node;
	int ret = blk_co_truncate(node, bytes, err);

	if (!ret) {
		ret = blk_co_sync(node);
		error_set_errno(ret ? err : NULL, ret, "%s: flush", server->image.path);
	}
	return ret;
}

int command_co_resize(struct server *server, json_t *arguments, const struct event_sink *sink,
		      json_t **result, struct error *err)
{
	json_int_t bytes = json_integer_value(json_object_get(arguments, "size"));
	int ret;

	(void)sink;
	(void)result;
	if (bytes <= 0)
		return error_set(err, -EINVAL, "resize: size is needed, in bytes");
	ret = co_check(server, (uint64_t)bytes, err);
	if (ret)
		return ret;
	server->resized = true;
	ret = state_file_write(server, err);
	if (!ret)
		ret = co_grow_image(server, (uint64_t)bytes, err);
	status_refresh_size(server);
	return ret ? ret : served_device_co_resize(server, err);
}
