/* SPDX-License-Identifier: GPL-2.0 */
/* One command to ublk's control device and its result, in bounded time. */
#ifndef QEDBLK_UBLK_CTRL_CMD_H
#define QEDBLK_UBLK_CTRL_CMD_H

#include <stddef.h>
#include <stdint.h>

#include "ublk/ctrl.h"

/* Bytes; fits the buffer of any command: a device path and the largest structure. */
#define UBLK_CTRL_BUF_SIZE 4096

struct ublk_ctrl_call {
	uint32_t op; /* UBLK_U_CMD_* */
	uint32_t dev_id;
	void *buf; /* copied to the kernel before and from it after the command */
	size_t len; /* bytes, at most UBLK_CTRL_BUF_SIZE */
	uint64_t data;
	unsigned int timeout; /* seconds */
};

/*
 * Issue @call and wait for it. Returns the kernel's result, or -ETIMEDOUT. After a
 * timeout the kernel may still execute the command; the control device remains usable.
 */
int ublk_ctrl_call(struct ublk_ctrl *ctrl, const struct ublk_ctrl_call *call);

#endif
