/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A qedblk device as a whole: its mapping, its server, and what is left of
 * it after its server died.  The kernel is asked first; files under /run are a hint.
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
	json_t *status; /* what the server says of itself, NULL when none answers */
	json_t *hint; /* NAME.json, NULL when there is none */
};

/* Whether @name can be a device's name; the line says what can. */
int device_check_name(const char *name, struct error *err);

/*
 * Gather what there is of device @name, also when that is nothing.  May wait
 * some seconds for a server that is busy.
 */
int device_look(const char *name, struct device *dev, struct error *err);
/* The same, but an error where there is nothing, or another program's mapping. */
int device_find(const char *name, struct device *dev, struct error *err);
/*
 * device_find() for a verb that acts on what it finds, in several steps: another such verb runs
 * before it or after it.  *@lock_fd is to be closed at the end, if it is not negative.  -EBUSY
 * after half a minute.
 */
int device_find_alone(const char *name, struct device *dev, int *lock_fd, struct error *err);
void device_put(struct device *dev);

bool device_exists(const struct device *dev);
/* "live", "suspended", "removing" (at its last close), "stopping", "dead" (no server). */
const char *device_state(const struct device *dev);
/* The node a person uses: /dev/mapper/NAME, or /dev/ublkbN where it has no mapping. */
const char *device_path(const struct device *dev, char *buf, size_t len);
/* Its size in bytes, 0 when nobody knows it any more. */
uint64_t device_size(const struct device *dev);
/* Path of the image, "-" when nobody knows it any more. */
const char *device_image(const struct device *dev);

/* All devices of ours, by name.  Free the array with device_put_all(). */
int device_list(struct device **devs, size_t *count, struct error *err);
void device_put_all(struct device *devs, size_t count);

/*
 * Ask the device's server (client_command()), having made sure that the device
 * is ours.  *@answer is the caller's.
 */
int device_ask(const char *name, const char *execute, json_t *arguments, json_t **answer,
	       struct error *err);

/* A JSON object of the mapping, or null where there is none. */
json_t *device_mapping_json(const struct device *dev);

#endif
