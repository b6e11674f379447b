/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protocols: access to image files that are not local.  A protocol lies below a
 * format driver, in the place of a descriptor: any format can be read through it,
 * raw as well as others.
 */
#ifndef QEDBLK_FILE_PROTOCOL_H
#define QEDBLK_FILE_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "file/file.h"
#include "file/file_identity.h"
#include "file/options.h"
#include "util/error.h"

/* The protocol of local files.  Its row is for names and options; such a file has no protocol. */
#define BLK_FILE "file"

/* Functions with co_ in their name run in a coroutine of any loop and may yield. */
struct blk_protocol {
	/* As a format's name it stands for the protocol's bytes unchanged (raw). */
	const char *name;
	unsigned int file_flags; /* of local files (without co_open): BLK_FILE_* besides others */
	bool keeps_nothing; /* of each of its files, see struct blk_file */
	bool read_only; /* its images can only be read */
	/* Is @filename a name of this protocol?  NULL: for local files, which any other name is. */
	bool (*matches)(const char *filename);
	/* The options that say which image it is, not how to open it.  NULL-terminated; or NULL. */
	const char *const *address;
	/*
	 * Set *@name (heap) to the name, one that matches(), of the image that @options describe.
	 * Takes the options that it knows.  Returns 0, or a negative errno with QEMU's error line.
	 */
	int (*name_from)(struct blk_options *options, char **name, struct error *err);
	/*
	 * Connect @file, of which name and writable are set: sets ops, size and
	 * remote, and the alignment where it is not 1.  The error line is the
	 * reason alone.
	 */
	int (*co_open)(struct blk_file *file, struct error *err);
	/* Disconnect, and free @file->remote. */
	void (*co_close)(struct blk_file *file);
	/* As blk_file_co_is_data(), for a range inside the file. */
	int (*co_is_data)(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run);
	/* As blk_file_co_allocated(); NULL: it is unknown. */
	int (*co_allocated)(struct blk_file *file, uint64_t *bytes);
	/*
	 * Optional.  Set in @identity, of which the size is set, what tells these bytes from others
	 * without reading them: an ETag, the id of a snapshot, a description (blk_file_tag()).
	 * Does not wait for a server.
	 */
	int (*co_identify)(struct blk_file *file, struct blk_file_identity *identity);
};

/* All protocols, NULL-terminated.  Defined in protocols.c. */
extern const struct blk_protocol *const blk_protocols[];

/* Return the protocol with the name @name, or NULL. */
const struct blk_protocol *blk_protocol_find(const char *name);

/* Return the protocol that matches @name, a name of an image; NULL: none, or one of local files. */
const struct blk_protocol *blk_protocol_of(const char *name);

/*
 * Take the options of a local file, of the driver "file" but for its name.  @direct: with O_DIRECT.
 * Sets *@no_lock if the file is not to be locked.  Returns 0, or -EINVAL with QEMU's error line.
 */
int blk_file_take_options(struct blk_options *options, bool direct, bool *no_lock,
			  struct error *err);

#endif
