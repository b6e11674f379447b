/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device mappings: the device-mapper devices that have a qedblk device's name. All
 * calls go to the kernel by libdevmapper and may block. Errors are negative errno with
 * an error line.
 */
#ifndef QEDBLK_QEDCTL_DM_H
#define QEDBLK_QEDCTL_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ublk/name.h"
#include "util/error.h"

struct mapping {
	bool exists;
	bool ours; /* its uuid is that of a qedblk mapping */
	char name[DEVICE_NAME_MAX + 4];
	char server[DEVICE_NAME_MAX + 1]; /* its server's name, by the uuid, if it is ours */
	bool suspended;
	bool read_only;
	bool deferred_remove;
	int open_count;
	unsigned int major, minor;
	uint32_t event_nr;
	uint64_t size; /* bytes, 0 without a live table */
	dev_t lower; /* the device below a qedblk table, 0 if there is none */
	char target[32]; /* the first target of the table, and its parameters */
	char params[128];
};

/* One line of a table or status, as the kernel prints it. */
struct mapping_line {
	uint64_t start, length; /* sectors of 512 bytes */
	char *target, *params;
};

enum mapping_remove_flags {
	MAPPING_RETRY = 1, /* retry for some seconds while it is open */
	MAPPING_DEFERRED = 2, /* if it is open, have the kernel remove it at the last close */
};

/*
 * Fill @map with the state of mapping @name. Returns 0, with ->exists false if there
 * is none or the kernel has no device-mapper; -EACCES without permission.
 */
int mapping_lookup(const char *name, struct mapping *map, struct error *err);
/* The same for the mapping of server @server, whatever its name is. */
int mapping_lookup_server(const char *server, struct mapping *map, struct error *err);

/* List the names of all qedblk mappings. The caller frees them by mapping_free_names(). */
int mapping_list_ours(char ***names, size_t *count, struct error *err);
void mapping_free_names(char **names, size_t count);

/* The table of a qedblk mapping: one target. */
struct mapping_table {
	uint64_t size; /* bytes */
	const char *target, *params;
	bool read_only;
};

/*
 * Create the mapping @name of server @server with @table. Waits for udev, or creates
 * /dev/mapper/NAME itself if udev does not run.
 * -EEXIST: the name is taken. After an error nothing is left.
 */
int mapping_create(const char *name, const char *server, const struct mapping_table *table,
		   struct error *err);

/* The same with another uuid: a mapping that is not a device's own. */
int mapping_create_as(const char *name, const char *uuid, const struct mapping_table *table,
		      struct error *err);

/*
 * Replace the table of a live mapping; I/O waits for a moment. After an error the old
 * one stays.
 */
int mapping_reload(const char *name, const struct mapping_table *table, struct error *err);

/* Send a message, words separated by blanks, to the mapping's target. */
int mapping_message(const char *name, const char *message, struct error *err);

/* Return true when the kernel has the target; loads its module if there is one. */
bool mapping_has_target(const char *target);

/* Remove the mapping; @flags are MAPPING_*. -EBUSY while it is open, with nothing changed. */
int mapping_remove(const char *name, unsigned int flags, struct error *err);

/* How often mapping_remove() tries with @flags, and the time between two tries. */
#define MAPPING_REMOVE_NAP_US (200 * 1000)
int mapping_remove_tries(unsigned int flags);

/*
 * Create or remove the mapping's node (NULL: those of all) so that it exists as long as it does.
 * Without udev the library removes the node when a deferred removal is requested, not
 * when it happens. Does nothing when udev runs.
 */
void mapping_refresh_node(const char *name);

/* Close the library's descriptors; it reopens them when needed. */
void mapping_release(void);

/*
 * Make every request to the mapping fail from now on, including held ones. Waits for
 * requests in flight below it, so do not call it while a server hangs. @size in bytes.
 */
int mapping_replace_by_error(const char *name, uint64_t size, struct error *err);

/* Suspend and resume I/O. @flush: wait for requests in flight; @lockfs: freeze the file system. */
int mapping_suspend(const char *name, bool flush, bool lockfs, struct error *err);
int mapping_resume(const char *name, struct error *err);

/*
 * Return the mapping's table, or the status of its targets. The caller frees the lines
 * by mapping_free_lines().
 */
int mapping_lines(const char *name, struct mapping_line **lines, size_t *count, struct error *err);
int mapping_status(const char *name, struct mapping_line **lines, size_t *count, struct error *err);
void mapping_free_lines(struct mapping_line *lines, size_t count);

/* Return the library's version, and the kernel driver's; the latter fails without device-mapper. */
const char *mapping_library_version(char *buf, size_t len);
int mapping_driver_version(char *buf, size_t len, struct error *err);

/* Call @each with the name and version of every target that the kernel has loaded. */
int mapping_each_target(void (*each)(void *arg, const char *name, const uint32_t version[3]),
			void *arg, struct error *err);

/* Return the directory of device nodes, "/dev/mapper". */
const char *mapping_node_dir(void);

/* Return true when udev runs, which may open a device for a moment after any change to it. */
bool mapping_udev_runs(void);

#endif
