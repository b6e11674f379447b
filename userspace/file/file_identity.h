/* SPDX-License-Identifier: GPL-2.0 */
/* What an image file is like, so that a later change by another program is noticed. */
#ifndef QEDBLK_FILE_FILE_IDENTITY_H
#define QEDBLK_FILE_FILE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct blk_file;

struct blk_file_identity {
	uint64_t size; /* bytes */
	/* Of regular files, else 0: when the file was modified, and its number. */
	int64_t seconds;
	uint32_t nanoseconds;
	uint64_t inode;
	/* Of what a protocol says of the bytes: a CRC-32, never 0.  0: it says nothing. */
	uint32_t tag;
	uint32_t head; /* the CRC-32 of the first bytes */
	bool has_head;
	bool unnamed; /* a file without a name: it was deleted, or another one took the name */
};

/*
 * Fill in @identity; with @with_head, also read the first 4 KiB.  Otherwise no byte of the file is
 * read, and no file server is asked.  Returns 0 or a negative errno.  Coroutine; yields.
 */
int blk_file_co_identify(struct blk_file *file, bool with_head, struct blk_file_identity *identity);

/* Return the tag for the text @what.  "": 0. */
uint32_t blk_file_tag(const char *what);

#endif
