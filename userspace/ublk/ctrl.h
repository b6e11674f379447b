/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ublk's control device: adding, starting, stopping, deleting and asking.
 *
 * Every command is synchronous and blocks its thread, for a bounded time: a command
 * that the kernel does not complete within its timeout fails with -ETIMEDOUT. One
 * thread at a time may use an open control device. Errors are negative errno with an
 * error line that names the device.
 */
#ifndef QEDBLK_UBLK_CTRL_H
#define QEDBLK_UBLK_CTRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ublk/uapi.h"
#include "util/error.h"

#define UBLK_CONTROL_PATH "/dev/ublk-control"

/* Let the kernel choose the number of a new device. */
#define UBLK_ANY_DEV_ID UINT32_MAX

struct ublk_ctrl;

/*
 * Open the control device; load the kernel module ublk_drv first if needed and
 * possible. The caller closes *@ctrl by ublk_ctrl_close(). Returns 0 or a negative
 * errno; -EOPNOTSUPP: this kernel has no ublk.
 */
int ublk_ctrl_open(struct ublk_ctrl **ctrl, struct error *err);
void ublk_ctrl_close(struct ublk_ctrl *ctrl);

/* ---- What the kernel offers ---- */

/*
 * Return in @features the UBLK_F_* that this kernel supports; 0 on kernels before 6.5,
 * which have no such command.
 */
int ublk_ctrl_get_features(struct ublk_ctrl *ctrl, uint64_t *features, struct error *err);

/*
 * Call @fn with the name ("USER_COPY") of every feature flag set in @features, lowest
 * bit first; a flag without a known name is "bitN".
 */
void ublk_for_each_feature(uint64_t features, void (*fn)(void *arg, const char *name), void *arg);

/* ---- Existing devices ---- */

struct ublk_dev_info {
	uint32_t dev_id;
	unsigned int queues;
	unsigned int depth; /* requests in flight per queue */
	unsigned int state; /* UBLK_S_DEV_* */
	uint32_t max_io_bytes; /* of one request */
	int server_pid; /* -1: not started, or stopped */
	uint64_t flags; /* UBLK_F_* in force */
	uint64_t cookie; /* of the server that added it, see ublk_name_cookie() */
};

/*
 * Return the number that identifies the devices of server @name. The kernel stores it
 * with a device, so it also identifies the server of a device that outlived it.
 */
uint64_t ublk_name_cookie(const char *name);

/*
 * Return the numbers of all existing devices (/sys/class/ublk-char), ascending. The
 * caller frees *@ids by free(). A kernel without ublk has no devices, which is no
 * error.
 */
int ublk_dev_list(uint32_t **ids, size_t *count, struct error *err);

/* Return the state of a device in @info. -ENODEV: no such device. */
int ublk_ctrl_get_info(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_dev_info *info,
		       struct error *err);

/*
 * Return true when the device has no live server: it is dead, or the server's process
 * is gone, or a new server has not yet reached ublk_ctrl_end_recovery().
 */
bool ublk_server_is_gone(const struct ublk_dev_info *info);

/*
 * Return true when the device, should it lose its server, waits for another one and
 * keeps its requests for it.
 */
bool ublk_device_waits(const struct ublk_dev_info *info);

/* "/dev/ublkbN" and "/dev/ublkcN"; return @buf. */
#define UBLK_PATH_LEN 32
char *ublk_block_path(char buf[UBLK_PATH_LEN], uint32_t dev_id);
char *ublk_char_path(char buf[UBLK_PATH_LEN], uint32_t dev_id);

/* ---- Adding, starting, stopping and deleting a device ---- */

/*
 * Add a device with the queues, depth, max_io_bytes, flags, cookie and dev_id (or
 * UBLK_ANY_DEV_ID) of @info. Updates @info to the values that the kernel chose.
 */
int ublk_ctrl_add(struct ublk_ctrl *ctrl, struct ublk_dev_info *info, struct error *err);
int ublk_ctrl_set_params(struct ublk_ctrl *ctrl, uint32_t dev_id,
			 const struct ublk_params_v2 *params, struct error *err);
/*
 * Return the parameters that were set and, once the device is started, its device
 * numbers (@params->devt).
 */
int ublk_ctrl_get_params(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_params_v2 *params,
			 struct error *err);
/*
 * Create the block device. Blocks until every tag of every queue has been fetched and,
 * on most kernels, the partition table has been read. So not on a queue's thread.
 */
int ublk_ctrl_start(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/* Change the size of a live device, in sectors of 512 bytes. Needs UBLK_F_UPDATE_SIZE. */
int ublk_ctrl_update_size(struct ublk_ctrl *ctrl, uint32_t dev_id, uint64_t sectors,
			  struct error *err);
/*
 * Begin to take over a device whose server died; afterwards every tag must be fetched
 * again. -EBUSY: the kernel is not yet done with the dead server: its process, its
 * descriptors, and requests to other files on rings that the device was registered
 * with must be gone. -EINVAL: also when an earlier successor began to take over and
 * died before it fetched.
 */
int ublk_ctrl_start_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Let the kernel send requests again, first those that the dead server had. Blocks
 * until every tag of every queue has been fetched. So not on a queue's thread.
 */
int ublk_ctrl_end_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Remove the block device. The kernel first writes back its page cache and a file
 * system mounted from it, then waits for the requests in flight, so the queues must
 * keep serving. Then it aborts their fetches.
 */
int ublk_ctrl_stop(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Delete a stopped device (the kernel first stops a live one). Its number becomes free
 * when the last user of its block or character device closes or unmounts it; only
 * kernels before 6.7 wait for that.
 */
int ublk_ctrl_del(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);

#endif
