// SPDX-License-Identifier: GPL-2.0
/*
 * The ublk device of the server. The functions of ublk/device.h block, so they run on worker
 * threads; while one runs the server's coroutine waits.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "aio/loop.h"
#include "aio/sys.h"
#include "server/server.h"
#include "server/full_event.h"
#include "server/served_device.h"
#include "ublk/name.h"
#include "ublk/stale.h"
#include "ublk/write_back.h"
#include "util/log.h"
#include "util/units.h"

/* The longest read or write in one request, and the size of each tag's buffer. */
#define MAX_IO_BYTES (512 * KiB)

struct device_call {
	struct server *server;
	struct ublk_device_opts opts;
	uint64_t bytes; /* a new size */
	struct error *err;
};

static int check_claim(void *arg)
{
	struct device_call *call = arg;
	const struct device_options *options = call->server->options;
	struct ublk_dev_info info;
	int ret = ublk_stale_find_waiting(options->name, &info, call->err);

	/* The lock of the name proves nothing where the server has its files in another folder. */
	if (ret > 0 && info.server_pid > 0 && !ublk_server_is_gone(&info))
		return error_set(call->err, -EBUSY, "already served by process %d (ublk device %u)",
				 info.server_pid, info.dev_id);
	if (ret > 0 && !options->recover)
		return error_set(call->err, -EEXIST,
				 "ublk device %u of a server that died waits: qedctl recover %s, "
				 "or qedctl remove --force %s",
				 info.dev_id, options->name, options->name);
	/* The answers of the last server may be in NAME.rescue only: keep it. */
	if (!ret && options->recover && run_state_is_described(&call->server->run))
		return error_set(call->err, -EIO,
				 "its server did not end in order, and its ublk device is gone: "
				 "what was not flushed may be lost");
	if (!ret && options->recover)
		return error_set(call->err, -ESRCH, "no device of that name waits for a server");
	return ret < 0 ? ret : 0;
}

static int device_create(void *arg)
{
	struct device_call *call = arg;
	const char *name = call->server->options->name;
	int ret = ublk_stale_delete(name, call->err);

	if (ret < 0)
		return ret;
	if (ret)
		log_warning("%s: deleted %d ublk device(s) of a server that died", name, ret);
	return ublk_device_create(&call->server->device, &call->opts, call->err);
}

static int device_take_over(void *arg)
{
	struct device_call *call = arg;
	struct ublk_dev_info info;
	int ret = ublk_stale_find_waiting(call->server->options->name, &info, call->err);

	if (!ret)
		ret = error_set(call->err, -ENODEV, "no device waits for a server of that name");
	if (ret < 0)
		return ret;
	call->opts.dev_id = info.dev_id;
	return ublk_device_take_over(&call->server->device, &call->opts, call->err);
}

static int device_start(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_start(call->server->device, call->err);
}

static int check_resize(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_check_resize(call->server->device, call->err);
}

static int device_resize(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_resize(call->server->device, round_down(call->bytes, SECTOR_SIZE),
				  call->err);
}

static int device_stop(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_stop(call->server->device, call->err);
}

static int device_destroy(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_destroy(call->server->device, call->err);
}

/* On the main loop. */
static void on_queue_ended(struct aio_post *post)
{
	struct server *server = container_of(post, struct server, queue_ended);

	if (server->state == SERVER_LIVE && !server->stop_reason)
		log_error("%s: the device was stopped by somebody else", server->options->name);
	server_ask_stop(server, "the device is gone");
}

/* On a queue's thread. */
static void queue_ended(void *arg)
{
	struct server *server = arg;

	if (!atomic_flag_test_and_set(&server->queue_has_ended))
		aio_loop_post(server->loop, &server->queue_ended);
}

int served_device_co_check_claim(struct server *server, struct error *err)
{
	struct device_call call = { .server = server, .err = err };

	return aio_co_call(check_claim, &call);
}

/* Flags that a kernel does not know have no effect. */
static uint64_t device_flags(const struct device_options *options)
{
	uint64_t flags = options->no_partitions ? UBLK_F_NO_AUTO_PART_SCAN : 0;

	if (ublk_can_write_back())
		flags |= UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE;
	return flags;
}

int served_device_co_create(struct server *server, struct error *err)
{
	const struct device_options *options = server->options;
	struct blk_node *node = server->image.node;
	struct device_call call = {
		.server = server,
		.err = err,
		.opts = {
			.dev_id = UBLK_ANY_DEV_ID,
			.flags = device_flags(options),
			.cookie = ublk_name_cookie(options->name),
			.queues = options->queues,
			.depth = options->depth,
			.limits = {
				.size = node->size,
				.cluster_size = node->cluster_size,
				.file_align = node->file ? node->file->align : 0,
				.mem_align = node->file ? node->file->mem_align : 0,
				.max_io_bytes = MAX_IO_BYTES,
				.read_only = options->read_only,
				.discard = options->discard && node->driver->co_pdiscard,
			},
			.target = &server->target.target,
			.queue_ended = queue_ended,
			.arg = server,
		},
	};

	server->takes_over = options->recover;
	server->queue_ended.fn = on_queue_ended;
	ublk_node_target_init(&server->target, node);
	atomic_store(&server->target.detect_zeroes, options->detect_zeroes);
	atomic_store(&server->target.full.wait_s, options->on_full);
	server_full_event_init(server);
	return aio_co_call(options->recover ? device_take_over : device_create, &call);
}

/* A dead server may have made the image larger, and not the device, or the device smaller only. */
static void co_finish_resize(struct server *server)
{
	const struct ublk_params_v2 *params = ublk_device_params(server->device);
	uint64_t bytes = atomic_load(&server->image.node->size);
	struct error why = ERROR_INIT;

	if (params->basic.dev_sectors < bytes / SECTOR_SIZE &&
	    served_device_co_resize(server, bytes, &why))
		log_warning("%s: the device is smaller than its image: %s", server->options->name,
			    error_text(&why));
	error_free(&why);
}

int served_device_co_start(struct server *server, struct error *err)
{
	struct device_call call = { .server = server, .err = err };
	int ret = aio_co_call(device_start, &call);

	if (!ret && server->options->recover)
		co_finish_resize(server);
	return ret;
}

int served_device_co_check_resize(struct server *server, struct error *err)
{
	struct device_call call = { .server = server, .err = err };

	return aio_co_call(check_resize, &call);
}

int served_device_co_resize(struct server *server, uint64_t bytes, struct error *err)
{
	struct device_call call = { .server = server, .bytes = bytes, .err = err };

	return aio_co_call(device_resize, &call);
}

bool served_device_is_mapped(const struct server *server)
{
	char pattern[64], uuid[DEVICE_NAME_MAX + 8], line[DEVICE_NAME_MAX + 8];
	bool found = false;
	glob_t holders;

	snprintf(pattern, sizeof(pattern), "/sys/block/ublkb%u/holders/*/dm/uuid",
		 ublk_device_info(server->device)->dev_id);
	snprintf(uuid, sizeof(uuid), DM_UUID_OF_OURS "%s\n", server->options->name);
	if (glob(pattern, GLOB_NOSORT, NULL, &holders))
		return false;
	for (size_t i = 0; i < holders.gl_pathc && !found; i++) {
		FILE *file = fopen(holders.gl_pathv[i], "re");

		found = file && fgets(line, sizeof(line), file) && !strcmp(line, uuid);
		if (file)
			fclose(file);
	}
	globfree(&holders);
	return found;
}

int served_device_co_end(struct server *server, struct error *err)
{
	struct device_call call = { .server = server, .err = err };
	int ret = aio_co_call(device_stop, &call);

	if (ret < 0)
		return ret;
	aio_co_call(device_destroy, &call);
	server->device = NULL;
	return 0;
}
