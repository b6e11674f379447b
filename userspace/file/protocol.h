/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protocols: where the bytes of an image file are when they are in no file of
 * this machine.  One lies below a format driver, in the place of a descriptor:
 * any format can be read through it, raw as well as others.
 */
#ifndef QEDBLK_FILE_PROTOCOL_H
#define QEDBLK_FILE_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "file/file.h"
#include "file/options.h"
#include "util/error.h"

/* Functions with co_ in their name run in a coroutine of any loop and may park. */
struct blk_protocol {
	/* As a format's name it stands for the protocol's bytes as they are. */
	const char *name;
	/* Is @filename a name of this protocol's? */
	bool (*matches)(const char *filename);
	/*
	 * The name (heap) that matches() knows for what @options say, of which those that are known
	 * are taken.  Returns 0 or a negative errno with QEMU's words.
	 */
	int (*name_from)(struct blk_options *options, char **name, struct error *err);
	/*
	 * Connect @file, of which name and writable are set: sets ops, size and
	 * remote, and the alignment where it is not 1.  The error's line is the
	 * reason alone.
	 */
	int (*co_open)(struct blk_file *file, struct error *err);
	/* Ends what co_open() began, and frees @file->remote. */
	void (*co_close)(struct blk_file *file);
	/* As blk_file_co_is_data(), for a range inside the file. */
	int (*co_is_data)(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run);
};

/* All protocols, ended by NULL: the table is protocols.c. */
extern const struct blk_protocol *const blk_protocols[];

extern const struct blk_protocol blk_protocol_nbd;
extern const struct blk_protocol blk_protocol_null;

/* The protocol that names like @filename belong to, or NULL. */
const struct blk_protocol *blk_protocol_of(const char *filename);

/* The protocol of that name, or NULL. */
const struct blk_protocol *blk_protocol_find(const char *name);

/* Is @format the name of a protocol, which stands for raw bytes over it? */
bool blk_format_is_protocol(const char *format);

#endif
