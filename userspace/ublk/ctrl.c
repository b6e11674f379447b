// SPDX-License-Identifier: GPL-2.0
/* The control device's commands, one function each. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ublk/ctrl.h"
#include "ublk/ctrl_cmd.h"

/*
 * Seconds. Queries complete at once; starting reads the partition table through the
 * image; stopping writes back a whole page cache.
 */
#define TIMEOUT_ASK   20
#define TIMEOUT_START 60
#define TIMEOUT_STOP  600
#define TIMEOUT_DEL   20

char *ublk_block_path(char buf[UBLK_PATH_LEN], uint32_t dev_id)
{
	snprintf(buf, UBLK_PATH_LEN, "/dev/ublkb%u", dev_id);
	return buf;
}

char *ublk_char_path(char buf[UBLK_PATH_LEN], uint32_t dev_id)
{
	snprintf(buf, UBLK_PATH_LEN, "/dev/ublkc%u", dev_id);
	return buf;
}

/* Return 0, or @ret with an error line for @what on device @dev_id. */
static int command_result(int ret, const char *what, uint32_t dev_id, struct error *err)
{
	if (ret >= 0)
		return 0;
	if (dev_id == UBLK_ANY_DEV_ID)
		return error_set_errno(err, ret, "ublk: %s", what);
	return error_set_errno(err, ret, "ublk device %u: %s", dev_id, what);
}

int ublk_ctrl_get_features(struct ublk_ctrl *ctrl, uint64_t *features, struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_GET_FEATURES,
		.dev_id = UBLK_ANY_DEV_ID,
		.buf = features,
		.len = UBLK_FEATURES_LEN,
		.timeout = TIMEOUT_ASK,
	};
	int ret;

	*features = 0;
	ret = ublk_ctrl_call(ctrl, &call);
	if (ret == -EOPNOTSUPP || ret == -ENODEV || ret == -EINVAL) {
		*features = 0;
		return 0;
	}
	return command_result(ret, "asking for features", UBLK_ANY_DEV_ID, err);
}

static void info_from_kernel(struct ublk_dev_info *info, const struct ublksrv_ctrl_dev_info *raw)
{
	*info = (struct ublk_dev_info){
		.dev_id = raw->dev_id,
		.queues = raw->nr_hw_queues,
		.depth = raw->queue_depth,
		.state = raw->state,
		.max_io_bytes = raw->max_io_buf_bytes,
		.server_pid = raw->ublksrv_pid,
		.flags = raw->flags,
		.cookie = raw->ublksrv_flags,
	};
}

int ublk_ctrl_get_info(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_dev_info *info,
		       struct error *err)
{
	struct ublksrv_ctrl_dev_info raw = { 0 };
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_GET_DEV_INFO,
		.dev_id = dev_id,
		.buf = &raw,
		.len = sizeof(raw),
		.timeout = TIMEOUT_ASK,
	};
	int ret = ublk_ctrl_call(ctrl, &call);

	if (ret >= 0)
		info_from_kernel(info, &raw);
	return command_result(ret, "asking for its state", dev_id, err);
}

/* A zombie counts as gone. */
static bool process_is_gone(int pid)
{
	struct pollfd pfd = { .events = POLLIN };
	bool gone;

	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pfd.fd < 0)
		return errno == ESRCH;
	gone = poll(&pfd, 1, 0) > 0;
	close(pfd.fd);
	return gone;
}

bool ublk_server_is_gone(const struct ublk_dev_info *info)
{
	/* The pid that the kernel remembers may have been reused. */
	if (info->state == UBLK_S_DEV_QUIESCED || info->state == UBLK_STATE_FAIL_IO)
		return true;
	/* No process: between ADD_DEV and START_DEV, or after STOP_DEV. */
	if (info->server_pid <= 0)
		return info->state == UBLK_S_DEV_DEAD;
	return process_is_gone(info->server_pid);
}

bool ublk_device_waits(const struct ublk_dev_info *info)
{
	return (info->flags & UBLK_F_USER_RECOVERY) && info->state != UBLK_S_DEV_DEAD;
}

int ublk_ctrl_add(struct ublk_ctrl *ctrl, struct ublk_dev_info *info, struct error *err)
{
	struct ublksrv_ctrl_dev_info raw = {
		.nr_hw_queues = info->queues,
		.queue_depth = info->depth,
		.max_io_buf_bytes = info->max_io_bytes,
		.dev_id = info->dev_id,
		.ublksrv_pid = getpid(),
		.flags = info->flags | UBLK_F_CMD_IOCTL_ENCODE,
		.ublksrv_flags = info->cookie,
	};
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_ADD_DEV,
		.dev_id = info->dev_id,
		.buf = &raw,
		.len = sizeof(raw),
		.timeout = TIMEOUT_ASK,
	};
	int ret = ublk_ctrl_call(ctrl, &call);

	if (ret == -EOPNOTSUPP)
		return error_set(err, ret,
				 "ublk: this kernel's driver is too old "
				 "(Linux 6.4 or later is needed)");
	if (ret >= 0)
		info_from_kernel(info, &raw);
	return command_result(ret, "adding a device", info->dev_id, err);
}

int ublk_ctrl_set_params(struct ublk_ctrl *ctrl, uint32_t dev_id,
			 const struct ublk_params_v2 *params, struct error *err)
{
	struct ublk_params_v2 copy = *params;
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_SET_PARAMS,
		.dev_id = dev_id,
		.buf = &copy,
		.len = sizeof(copy),
		.timeout = TIMEOUT_ASK,
	};

	copy.len = sizeof(copy);
	return command_result(ublk_ctrl_call(ctrl, &call), "setting its limits", dev_id, err);
}

int ublk_ctrl_get_params(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_params_v2 *params,
			 struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_GET_PARAMS,
		.dev_id = dev_id,
		.buf = params,
		.len = sizeof(*params),
		.timeout = TIMEOUT_ASK,
	};

	*params = (struct ublk_params_v2){ .len = sizeof(*params) };
	return command_result(ublk_ctrl_call(ctrl, &call), "asking for its limits", dev_id, err);
}

int ublk_ctrl_start_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_START_USER_RECOVERY,
		.dev_id = dev_id,
		.timeout = TIMEOUT_ASK,
	};

	return command_result(ublk_ctrl_call(ctrl, &call), "taking it over", dev_id, err);
}

int ublk_ctrl_end_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_END_USER_RECOVERY,
		.dev_id = dev_id,
		.data = getpid(),
		.timeout = TIMEOUT_START,
	};

	return command_result(ublk_ctrl_call(ctrl, &call), "going on with it", dev_id, err);
}

int ublk_ctrl_start(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_START_DEV,
		.dev_id = dev_id,
		.data = getpid(),
		.timeout = TIMEOUT_START,
	};

	return command_result(ublk_ctrl_call(ctrl, &call), "starting it", dev_id, err);
}

int ublk_ctrl_update_size(struct ublk_ctrl *ctrl, uint32_t dev_id, uint64_t sectors,
			  struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_UPDATE_SIZE,
		.dev_id = dev_id,
		.data = sectors,
		.timeout = TIMEOUT_ASK,
	};

	return command_result(ublk_ctrl_call(ctrl, &call), "changing its size", dev_id, err);
}

int ublk_ctrl_stop(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_STOP_DEV,
		.dev_id = dev_id,
		.timeout = TIMEOUT_STOP,
	};

	return command_result(ublk_ctrl_call(ctrl, &call), "stopping it", dev_id, err);
}

int ublk_ctrl_del(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	struct ublk_ctrl_call call = {
		.op = UBLK_U_CMD_DEL_DEV_ASYNC,
		.dev_id = dev_id,
		.timeout = TIMEOUT_DEL,
	};
	int ret = ublk_ctrl_call(ctrl, &call);

	if (ret == -EOPNOTSUPP) {
		call.op = UBLK_U_CMD_DEL_DEV;
		ret = ublk_ctrl_call(ctrl, &call);
	}
	return command_result(ret, "deleting it", dev_id, err);
}
