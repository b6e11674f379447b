/* SPDX-License-Identifier: GPL-2.0 */
/*
 * New image files, of any format: their options, and disk space that is allocated in advance.
 */
#ifndef QEDBLK_FILE_FILE_CREATE_H
#define QEDBLK_FILE_FILE_CREATE_H

#include <stdbool.h>
#include <stdint.h>

#include "file/options.h"

struct blk_file;

/* How the disk space of a new part of a file is allocated. */
enum blk_prealloc {
	BLK_PREALLOC_OFF, /* by the writes to it */
	BLK_PREALLOC_METADATA, /* not at all, but all tables are made; only of some formats */
	BLK_PREALLOC_FALLOC, /* by fallocate() */
	BLK_PREALLOC_FULL, /* by writing zeroes */
	BLK_PREALLOC_COUNT
};

/* The names of the modes, as users type them. */
extern const char *const blk_prealloc_names[];

/* Return the mode called @name, or BLK_PREALLOC_COUNT. */
enum blk_prealloc blk_prealloc_named(const char *name);

/* Options of a new file. */
struct blk_file_create {
	bool exclusive; /* fail if the file exists */
	const char *source; /* a file whose bytes may be copied into it, or NULL */
	enum blk_prealloc prealloc; /* of what its format puts into it; not done by the file */
	bool nocow; /* do not copy on write, on file systems that can do without */
	uint64_t extent_size; /* a hint, bytes; 0: none */
};

/* Those of them that have a name; the last row has none. */
extern const struct blk_option_row blk_file_create_options[];

/*
 * Take them from @options (NULL: none).  Returns 0, or a negative errno with QEMU's error line.
 */
int blk_file_create_take(struct blk_file_create *create, struct blk_options *options,
			 struct error *err);

/*
 * Open the file of a new image for writing, and lock it: a file that another process uses is not
 * changed.  An existing one is cut to 0 bytes, unless it is a device.  No user may read it who may
 * not read create->source.  The caller closes *@file.
 * Coroutine; yields.  Returns 0 or a negative errno with an error line.
 */
int blk_file_co_create(struct blk_file **file, const char *name,
		       const struct blk_file_create *create, struct error *err);

/*
 * Allocate the space of [offset, offset + len), which holds no data yet, as @mode says.  Extends
 * the file if the range goes past its end.  Coroutine; yields.  Returns 0 or a negative errno.
 */
int blk_file_co_preallocate(struct blk_file *file, enum blk_prealloc mode, uint64_t offset,
			    uint64_t len);

#endif
