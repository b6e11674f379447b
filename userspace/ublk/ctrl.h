/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ublk's control device: adding, starting, stopping, deleting and asking.
 *
 * Every command is synchronous and may block its thread, though never for
 * ever: a command that the kernel does not answer in its time fails with
 * -ETIMEDOUT.  An open control device is used by one thread at a time.
 * Errors are negative errno with a line that names the device.
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
 * Open the control device, having loaded the kernel's module where that is
 * needed and possible.  -ENOENT: this kernel has no ublk.
 */
int ublk_ctrl_open(struct ublk_ctrl **ctrl, struct error *err);
void ublk_ctrl_close(struct ublk_ctrl *ctrl);

/* ---- What the kernel offers ---- */

/* UBLK_F_* that this kernel knows; 0 from kernels before 6.5, which cannot say. */
int ublk_ctrl_get_features(struct ublk_ctrl *ctrl, uint64_t *features, struct error *err);

/*
 * Call @fn with the name ("USER_COPY") of every feature flag set in @features,
 * lowest first; a flag that we have no name for is "bitN".
 */
void ublk_for_each_feature(uint64_t features, void (*fn)(void *arg, const char *name), void *arg);

/* ---- Which devices there are ---- */

struct ublk_dev_info {
	uint32_t dev_id;
	unsigned int queues;
	unsigned int depth; /* requests in flight, a queue */
	unsigned int state; /* UBLK_S_DEV_* */
	uint32_t max_io_bytes; /* of one request */
	int server_pid; /* -1: none has started it, or it is stopped */
	uint64_t flags; /* UBLK_F_* in force */
	uint64_t cookie; /* of the server that added it, see ublk_name_cookie() */
};

/*
 * The number by which devices of server @name are known.  The kernel keeps it
 * with the device, so that a device tells whose it is, or was.
 */
uint64_t ublk_name_cookie(const char *name);

/*
 * The numbers of all devices that exist (/sys/class/ublk-char), ascending.
 * @ids is the caller's to free().  No ublk in the kernel is no device.
 */
int ublk_dev_list(uint32_t **ids, size_t *count, struct error *err);

/* -ENODEV: there is no such device. */
int ublk_ctrl_get_info(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_dev_info *info,
		       struct error *err);

/*
 * Is the device without a living server: dead, or its server's process gone, or one
 * that takes its place has not come as far as ublk_ctrl_end_recovery()?
 */
bool ublk_server_is_gone(const struct ublk_dev_info *info);

/* Without a server, does the device wait for another one, and keep its requests for it? */
bool ublk_device_waits(const struct ublk_dev_info *info);

/* "/dev/ublkbN" and "/dev/ublkcN"; return @buf. */
#define UBLK_PATH_LEN 32
char *ublk_block_path(char buf[UBLK_PATH_LEN], uint32_t dev_id);
char *ublk_char_path(char buf[UBLK_PATH_LEN], uint32_t dev_id);

/* ---- The life of a device ---- */

/*
 * Add a device of @info->queues, depth, max_io_bytes, flags, cookie and dev_id
 * (or UBLK_ANY_DEV_ID); @info is updated to what the kernel made of it.
 */
int ublk_ctrl_add(struct ublk_ctrl *ctrl, struct ublk_dev_info *info, struct error *err);
int ublk_ctrl_set_params(struct ublk_ctrl *ctrl, uint32_t dev_id,
			 const struct ublk_params_v2 *params, struct error *err);
/* What was set, and since the start where the device is (@params->devt). */
int ublk_ctrl_get_params(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_params_v2 *params,
			 struct error *err);
/*
 * Make the block device appear.  Blocks until every tag of every queue has
 * been fetched and, on most kernels, partitions have been read: not on a
 * queue's thread.
 */
int ublk_ctrl_start(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Take over a device whose server died; then all tags are to be fetched anew.
 * -EBUSY: as long as the kernel is not done with the dead one, whose process,
 * descriptors and requests to other files on the rings that knew the device
 * have to be gone.  -EINVAL: also where one who took it over died before it fetched.
 */
int ublk_ctrl_start_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Let requests come again, those first that the dead server had.  Blocks until
 * every tag of every queue has been fetched: not on a queue's thread.
 */
int ublk_ctrl_end_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Take the block device away: what its page cache and a file system mounted
 * from it hold is written first, then requests in flight are waited for, so
 * the queues must go on serving.  Afterwards their fetches are aborted.
 */
int ublk_ctrl_stop(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);
/*
 * Delete a stopped device (a live one is stopped first by the kernel).  Its
 * number becomes free when the last who has either of its devices open, or
 * mounted, lets go; that is waited for only by kernels before 6.7.
 */
int ublk_ctrl_del(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err);

#endif
