/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the image tools share: opening an image with what people type, and
 * saying what went wrong in the words that QEMU's tools use.
 */
#ifndef QEDBLK_TOOLS_IMAGE_H
#define QEDBLK_TOOLS_IMAGE_H

#include <stdbool.h>

#include "block/node.h"
#include "util/error.h"

/* A cache mode: none, writeback, writethrough, directsync or unsafe. */
struct image_cache {
	bool direct; /* O_DIRECT */
	bool writethrough; /* every write is made durable */
	bool no_flush; /* flushes are left out */
};

/* Returns 0 or -EINVAL (no such mode). */
int image_cache_parse(const char *mode, struct image_cache *cache);

/*
 * The path behind @filename: "file:PATH" is PATH, and a path stands for itself.  NULL, with
 * @err set, for any other "PROTOCOL:...".
 */
const char *image_path(const char *filename, struct error *err);

/* The same for an image that is to be made, which no options can name. */
const char *image_new_path(const char *filename, struct error *err);

/*
 * blk_co_open() of a file that a person named (NULL: by opts->options).  The error line is
 * what QEMU prints after "Could not open 'FILE': ".  Warns on standard error when an image
 * is opened for writing whose format was guessed to be raw.
 */
int image_co_open(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		  struct error *err);

/*
 * Is @name, a path seen from where @node is, the backing file that @node has open?  That need not
 * be the one that it names: options can say another.
 */
bool image_has_backing(const struct blk_node *node, const char *name);

/* Take "FILE: ", which lower layers put in front of a reason, off @err's line. */
void image_unname(const char *filename, struct error *err);

/* Put a second line, as QEMU has it, below @err's, which is set. */
void image_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* blk_co_create(), with QEMU's words on failure. */
int image_co_create(const struct blk_create_opts *opts, struct error *err);

/*
 * Print "Format specific information:" and the items of @info, if it has any;
 * or nothing.
 */
void image_print_specific(const struct blk_info *info);

#endif
