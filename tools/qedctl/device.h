/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A qedblk device as a whole: its mapping, its server, and its remains after the
 * server died. The kernel's state decides; files under /run are a hint.
 */
#ifndef QEDBLK_QEDCTL_DEVICE_H
#define QEDBLK_QEDCTL_DEVICE_H

#include <jansson.h>
#include <stdbool.h>

#include "qedctl/dm.h"
#include "ublk/name.h"
#include "util/error.h"

struct device {
	char name[DEVICE_NAME_MAX + 1];
	struct mapping map;
	json_t *status; /* the server's status, NULL when no server replies */
	json_t *hint; /* NAME.json, NULL when there is none */
};

/*
 * Check that @name is a valid device name. Returns 0, or -EINVAL with an error line
 * that states the rule.
 */
int device_check_name(const char *name, struct error *err);

/*
 * Fill @dev with the state of device @name, even if nothing of it exists. May wait
 * some seconds for a busy server. Returns 0 or a negative errno with an error line.
 * The caller calls device_put().
 */
int device_look(const char *name, struct device *dev, struct error *err);
/* The same, but fail if nothing exists, or only another program's mapping. */
int device_find(const char *name, struct device *dev, struct error *err);
/*
 * device_find() for a verb that changes the device in several steps: a lock serialises such
 * verbs. The caller closes *@lock_fd at the end, if it is not negative. -EBUSY after half a
 * minute.
 */
int device_find_alone(const char *name, struct device *dev, int *lock_fd, struct error *err);
void device_put(struct device *dev);

bool device_exists(const struct device *dev);
/* "live", "suspended", "removing" (at its last close), "stopping", "dead" (no server). */
const char *device_state(const struct device *dev);
/* Return the node for users: /dev/mapper/NAME, or /dev/ublkbN without a mapping. */
const char *device_path(const struct device *dev, char *buf, size_t len);
/* Return the size in bytes, 0 if unknown. */
uint64_t device_size(const struct device *dev);
/* Return the path of the image, "-" if unknown. @dev owns it. */
const char *device_image(const struct device *dev);
/*
 * Return "present", "deleted", "replaced" (by another file) or "renamed": what has become of the
 * image's file; NULL where its server does not know.
 */
const char *device_image_file(const struct device *dev);

/* List all qedblk devices, sorted by name. The caller frees the array by device_put_all(). */
int device_list(struct device **devs, size_t *count, struct error *err);
void device_put_all(struct device *devs, size_t count);

/*
 * Send a command to the device's server by client_command(), after checking that the
 * device is a qedblk device. The caller owns the reference *@answer.
 */
int device_ask(const char *name, const char *execute, json_t *arguments, json_t **answer,
	       struct error *err);

/* Return the mapping as a JSON object, a new reference; JSON null without a mapping. */
json_t *device_mapping_json(const struct device *dev);

#endif
