/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's target `qed` and its plain sister `linear`, and who finds zeroes in
 * guests' writes: the target, or, under linear, the server.
 */
#ifndef QEDBLK_QEDCTL_QED_TARGET_H
#define QEDBLK_QEDCTL_QED_TARGET_H

#include <jansson.h>
#include <string.h>

#include "qedctl/device.h"
#include "qedctl/dm.h"

#define TARGET_QED    "qed"
#define TARGET_LINEAR "linear"

/* What a device is asked to do. */
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
 * Put a target in the place of "auto": qed where it has something to do and the kernel has
 * it or can load it, else linear.  -ENOTSUP with a line where what is asked for cannot be.
 */
int target_choose(struct target_choice *choice, struct error *err);

/* What the device's mapping, which is one of ours, does now; under linear, the server. */
void target_of_device(const struct device *dev, struct target_choice *choice);

/* How the server is told to scan under @choice: "off" when the target does. */
const char *target_server_mode(const struct target_choice *choice);

/* The table's parameters for @choice on the block device @lower. */
void target_params(const struct target_choice *choice, dev_t lower, char *buf, size_t len);

/* The target's counters and state by name; NULL where the mapping has another target. */
json_t *target_status_json(const struct device *dev);

#endif
