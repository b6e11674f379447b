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
#include "qedctl/live_server.h"
#include "ublk/name.h"
#include "util/error.h"

struct device {
	char name[DEVICE_NAME_MAX + 4]; /* the mapping's, if there is one */
	char server[DEVICE_NAME_MAX + 1]; /* the server's: another one after `dmsetup rename` */
	struct mapping map;
	json_t *status; /* the server's status, NULL when no server replies */
	json_t *hint; /* SERVER.json, NULL when there is none */
	struct live_server live; /* when no server replies: what the kernel says */
};

/*
 * Check that @name is a valid device name. Returns 0, or -EINVAL with an error line
 * that states the rule.
 */
int device_check_name(const char *name, struct error *err);

/*
 * Fill @dev with the state of device @name, even if nothing of it exists; with that of the
 * device of server @name if its mapping was renamed. May wait some seconds for a busy
 * server. Returns 0 or a negative errno with an error line. The caller calls device_put().
 */
int device_look(const char *name, struct device *dev, struct error *err);
/*
 * The same, but fail if nothing exists, or only another program's mapping, or if the
 * device has another name now.
 */
int device_find(const char *name, struct device *dev, struct error *err);
/*
 * device_find() for a verb that changes the device in several steps: a lock serialises such
 * verbs. The caller closes *@lock_fd at the end, if it is not negative. -EBUSY after half a
 * minute.
 */
int device_find_alone(const char *name, struct device *dev, int *lock_fd, struct error *err);
void device_put(struct device *dev);

bool device_exists(const struct device *dev);
/*
 * "live", "suspended", "removing" (at its last close), "stopping", "unreachable" (its server
 * lives, but does not reply), "dead" (no server).
 */
const char *device_state(const struct device *dev);
/*
 * Set in @err why the server of @dev, whose device->live has its process, does not reply, and what
 * to do. Returns @code.
 */
int device_unreachable(const struct device *dev, int code, struct error *err);
/* Set in @err that no server replies, or that none runs. Returns -ENOTCONN. */
int device_no_server(const struct device *dev, struct error *err);
/* Return the node for users: /dev/mapper/NAME, or /dev/ublkbN without a mapping. */
const char *device_path(const struct device *dev, char *buf, size_t len);
/*
 * Return what uses that device, as words to follow "in use by " (heap); NULL: nothing is found, or
 * the device is not there.
 */
char *device_used_by(const struct device *dev);
/* Set in @err that the device is in use, and by what. Returns -EBUSY. */
int device_in_use(const struct device *dev, struct error *err);
/* Return the size in bytes, 0 if unknown. */
uint64_t device_size(const struct device *dev);
/*
 * Fail with -EBUSY while requests wait for room in the image's file system: a change of the
 * mapping's table would wait for them.
 */
int device_check_room(const struct device *dev, struct error *err);
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

/* client_connect() to the server of device @name. */
int device_connect(const char *name, struct error *err);

/* Return the mapping as a JSON object, a new reference; JSON null without a mapping. */
json_t *device_mapping_json(const struct device *dev);

#endif
