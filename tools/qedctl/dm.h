/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device mappings: the device-mapper devices that carry a qedblk device's
 * name.  All calls go to the kernel through libdevmapper and may sleep.
 */
#ifndef QEDBLK_QEDCTL_DM_H
#define QEDBLK_QEDCTL_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

/* The uuid of a mapping of ours is this and its name. */
#define DM_UUID_OF_OURS "QED-"

struct mapping {
	bool exists;
	bool ours; /* its uuid is QED-NAME */
	bool suspended;
	bool read_only;
	bool deferred_remove;
	int open_count;
	unsigned int major, minor;
	uint32_t event_nr;
	uint64_t size; /* bytes, 0 without a live table */
	dev_t lower; /* the device below a table of ours, 0 when there is none */
	char target[32]; /* the first one of the table, with its parameters */
	char params[128];
};

/* One line of a table or status, as the kernel prints it. */
struct mapping_line {
	uint64_t start, length; /* sectors of 512 bytes */
	char *target, *params;
};

enum mapping_remove_flags {
	MAPPING_RETRY = 1, /* try again for some seconds while it is open */
	MAPPING_DEFERRED = 2, /* when it is open: let the kernel remove it at the last close */
};

/*
 * Look at the mapping called @name.  Returns 0, with ->exists false where there
 * is none or the kernel has no device-mapper; -EACCES where it may not be asked.
 */
int mapping_lookup(const char *name, struct mapping *map, struct error *err);

/* The names of all mappings of ours, in a heap array of heap strings. */
int mapping_list_ours(char ***names, size_t *count, struct error *err);
void mapping_free_names(char **names, size_t count);

/* What a mapping of ours is made of: one target. */
struct mapping_table {
	uint64_t size; /* bytes */
	const char *target, *params;
	bool read_only;
};

/*
 * Make the mapping @name with that table.  Waits for udev, or makes /dev/mapper/NAME
 * itself where no udev runs.  -EEXIST when the name is taken; nothing is left behind after
 * an error.
 */
int mapping_create(const char *name, const struct mapping_table *table, struct error *err);

/*
 * Give the mapping another table, live: I/O waits a moment.  After an error it has the
 * old one.
 */
int mapping_reload(const char *name, const struct mapping_table *table, struct error *err);

/* Send a message, words with blanks between, to the mapping's target. */
int mapping_message(const char *name, const char *message, struct error *err);

/* Whether the kernel has the target, or gets it: its module is loaded where there is one. */
bool mapping_has_target(const char *target);

/* Remove the mapping.  -EBUSY while somebody has it open: nothing is changed then. */
int mapping_remove(const char *name, unsigned int flags, struct error *err);

/*
 * Where no udev runs the library takes a mapping's node away when a deferred
 * removal is asked for, not when it happens.  Make the node there, or not, as the
 * mapping is; does nothing where udev does that.
 */
void mapping_refresh_node(const char *name);

/* Close what the library keeps open; it opens it again when it needs it. */
void mapping_release(void);

/*
 * Make every request to the mapping, held ones too, fail from now on.  Waits for
 * what is in flight below it: not while a server hangs.
 */
int mapping_replace_by_error(const char *name, uint64_t size, struct error *err);

/* Hold and release I/O.  @flush: wait for what is in flight; @lockfs: freeze the file system. */
int mapping_suspend(const char *name, bool flush, bool lockfs, struct error *err);
int mapping_resume(const char *name, struct error *err);

/* The mapping's table, and its targets' status.  Free with mapping_free_lines(). */
int mapping_lines(const char *name, struct mapping_line **lines, size_t *count, struct error *err);
int mapping_status(const char *name, struct mapping_line **lines, size_t *count, struct error *err);
void mapping_free_lines(struct mapping_line *lines, size_t count);

/* The library's version, and the kernel's: an error where that has no device-mapper. */
const char *mapping_library_version(char *buf, size_t len);
int mapping_driver_version(char *buf, size_t len, struct error *err);

/* Call @each with the name and version of every target that the kernel has loaded. */
int mapping_each_target(void (*each)(void *arg, const char *name, const uint32_t version[3]),
			void *arg, struct error *err);

/* Where device nodes are: "/dev/mapper". */
const char *mapping_node_dir(void);

/* Whether udev runs, and may hold a device open for a moment after any change to it. */
bool mapping_udev_runs(void);

#endif
