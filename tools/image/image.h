/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the image tools: opening an image as the user named it, and error
 * messages in the words of QEMU's tools.
 */
#ifndef QEDBLK_IMAGE_IMAGE_H
#define QEDBLK_IMAGE_IMAGE_H

#include <stdbool.h>

#include "block/node.h"
#include "util/error.h"

/* A cache mode: none, writeback, writethrough, directsync or unsafe. */
struct image_cache {
	bool direct; /* O_DIRECT */
	bool writethrough; /* every write is durable when it completes */
	bool no_flush; /* skip flushes */
};

/* Returns 0 or -EINVAL (no such mode). */
int image_cache_parse(const char *mode, struct image_cache *cache);

/*
 * Set *@place (heap) to the place of the name @filename (file/name.h), of an image to be created.
 * Returns 0 or a negative errno with QEMU's error line.
 */
int image_new_place(const char *filename, char **place, struct error *err);

/* The same without the place: can an image of that name be created? */
int image_check_new(const char *filename, struct error *err);

/* Call blk_co_sync_name() for the name @filename. Coroutine; yields. */
int image_co_sync_name(const char *filename);

/*
 * --backing-dir of the program, or NULL: files of a chain below the image itself must lie below
 * this directory.
 */
extern const char *image_backing_dir;

/* In blk_open_opts.flags of image_co_open(): the user has been warned of a guess already. */
#define IMAGE_O_REOPEN (1u << 28)

/*
 * Call blk_co_open() on a file named by the user (NULL: by opts->options). Coroutine;
 * yields. The error line is what QEMU prints after "Could not open 'FILE': ". Warns on
 * standard error when an image opened for writing was probed as raw.
 */
int image_co_open(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		  struct error *err);

/*
 * Return true when @name, as @node would record it, is the backing file that @node has
 * open. That may differ from the one it names: options can override it.
 */
bool image_has_backing(const struct blk_node *node, const char *name);

/*
 * Remove "FILE: ", which lower layers put before a reason, from @err's line; that of a lock is put
 * in QEMU's words.
 */
void image_unname(const char *filename, struct error *err);

/*
 * Reword the error of an image locked by another process; the hint is a line of its
 * own. Returns false for other errors.
 */
bool image_reword_lock(struct error *err);

/*
 * Check that @node may be made @size bytes long: -ENOTSUP, in QEMU's words, where the program is
 * called by a name of QEMU's and QEMU's would not make the image shorter.
 */
int image_check_size(const struct blk_node *node, uint64_t size, struct error *err);

/* Append a second line, a hint as in QEMU, to @err, which is set. */
void image_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Call blk_co_create() for the name opts->filename, with QEMU's error messages. Coroutine; yields.
 */
int image_co_create(const struct blk_create_opts *opts, struct error *err);

/* Print "Format specific information:" and the items of @info, if it has any. */
void image_print_specific(const struct blk_info *info);

#endif
