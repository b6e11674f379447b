/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record of a backing chain: what the backing files of an image were like when it was first
 * served over them.  An overlay is worth nothing over other bytes, so a change is reported.
 *
 * The record is the note of the image's file (file/file_note.h), a text:
 *
 *	qedblk-backing 1				its version
 *	5d1a33c0 1048576 1764459000.123456789 131 9bd366ae -	a backing file, from the top down:
 *
 * CRC-32 of the name that the image above has for it, size in bytes, time of modification, inode
 * number, CRC-32 of its first 4 KiB, CRC-32 of what its protocol says of it ("-" where there is no
 * such value).  From the first name on that is not the one recorded, the chain was changed on
 * purpose and is recorded anew.
 */
#ifndef QEDBLK_BLOCK_BACKING_RECORD_H
#define QEDBLK_BLOCK_BACKING_RECORD_H

#include <stddef.h>

#include "file/file_identity.h"

struct blk_node;

/* What is different, the first of these that is. */
enum blk_backing_kind {
	BLK_BACKING_SAME,
	BLK_BACKING_SIZE,
	BLK_BACKING_TIME,
	BLK_BACKING_HEAD,
	BLK_BACKING_TAG,
	BLK_BACKING_UNNAMED,
};

/* A backing file. */
struct blk_backing {
	const struct blk_node *node; /* for comparing only */
	char *filename; /* heap */
	uint32_t name; /* CRC-32 of the name that the image above has for it */
	struct blk_file_identity recorded, seen; /* @seen: the latest */
	enum blk_backing_kind kind;
	char *change; /* heap, how @seen differs from @recorded; NULL: it does not, or no memory */
};

struct blk_backing_record {
	struct blk_backing *files; /* from the top down */
	size_t nr;
	bool stale; /* what is stored is not this record */
	bool foreign; /* the note that was found is about another inode, and was not used */
	int unread; /* why the files could not be compared with what is stored, an errno < 0 */
};

/*
 * Fill in @record for the chain below @top, whose requests have not begun: from the note of @top,
 * where there is one that is about this chain, and by a look at each file.  With @accept the files
 * are taken as they are.  Where the note or a file cannot be looked at, @record->unread is set, and
 * what is stored stays as it is.  The caller frees @record, also after an error.  Returns 0 or
 * -ENOMEM.  Coroutine; yields.
 */
int blk_backing_co_load(struct blk_backing_record *record, struct blk_node *top, bool accept);
void blk_backing_free(struct blk_backing_record *record);

/*
 * Store @record durably, if it is stale; it is not afterwards, also after an error.  Returns 0 or a
 * negative errno.  Coroutine; yields.
 */
int blk_backing_co_store(struct blk_backing_record *record, struct blk_node *top);

/*
 * Look at the files again, and call @changed(@arg, file) for each whose @kind is another now.
 * Reads no byte of them and waits for no file server.  The chain may lose images meanwhile.  One
 * coroutine at a time; yields.
 */
void blk_backing_co_look(struct blk_backing_record *record, struct blk_node *top,
			 void (*changed)(void *arg, const struct blk_backing *file), void *arg);

/*
 * Take images that left the chain of @top out of @record, which becomes stale.  May be called while
 * blk_backing_co_look() yields, by its thread.
 */
void blk_backing_follow(struct blk_backing_record *record, const struct blk_node *top);

/*
 * Add the images of the chain that are not in @record, as they are now; it becomes stale.  Not
 * while blk_backing_co_look() yields.  The chain may change meanwhile.  Returns 0 or a negative
 * errno, with @record as it was.  Coroutine; yields.
 */
int blk_backing_co_renew(struct blk_backing_record *record, struct blk_node *top);

#endif
