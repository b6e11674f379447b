/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device-mapper targets `qed` and `linear`. The target qed detects zeroes in guest
 * writes itself; with linear the server does.
 */
#ifndef QEDBLK_QEDCTL_QED_TARGET_H
#define QEDBLK_QEDCTL_QED_TARGET_H

#include <jansson.h>
#include <string.h>

#include "qedctl/device.h"

#define TARGET_QED    "qed"
#define TARGET_LINEAR "linear"

/* The settings of a device. */
struct target_choice {
	const char *target; /* TARGET_QED or TARGET_LINEAR, or "auto" */
	const char *detect_zeroes; /* "off", "on" or "unmap" */
	bool known_zero;
};

static inline bool target_is_qed(const struct target_choice *choice)
{
	return !strcmp(choice->target, TARGET_QED);
}

/*
 * Replace "auto" by a target: qed if it has something to do and the kernel has it or
 * can load it, else linear. -ENOTSUP with an error line if the choice is impossible.
 */
int target_choose(struct target_choice *choice, struct error *err);

/* Return the current settings of the device's qedblk mapping; with linear, those of the server. */
void target_of_device(const struct device *dev, struct target_choice *choice);

/* Return the server's detect-zeroes mode under @choice: "off" when the target detects. */
const char *target_server_mode(const struct target_choice *choice);

/* Write the table parameters for @choice on the block device @lower to @buf. */
void target_params(const struct target_choice *choice, dev_t lower, char *buf, size_t len);

/* Return the target's counters and state by name, a new reference; NULL for another target. */
json_t *target_status_json(const struct device *dev);

#endif
