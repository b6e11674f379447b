/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations for the file_*.c files only. */
#ifndef QEDBLK_FILE_FILE_INTERNAL_H
#define QEDBLK_FILE_FILE_INTERNAL_H

#include "file/file.h"

struct stat;

/* The longest transfer in one operation, bytes: well below what an int result can hold. */
#define BLK_FILE_MAX_TRANSFER (1u << 30)

/* Open @file, of which name and writable are set, by the protocol of its name.  Yields. */
int blk_file_co_open_remote(struct blk_file *file, unsigned int flags, struct error *err);

/*
 * Return 0 if a file of the type that @st says can be an image and is what @flags (BLK_FILE_*)
 * demand, else a negative errno with an error line.
 */
int blk_file_check_type(const char *name, const struct stat *st, unsigned int flags,
			struct error *err);

/*
 * Open @name for reading, or for both, if the file that it resolves to lies below folder @dir.
 * Blocks; for worker threads.  Returns a descriptor (with O_NONBLOCK), or a negative
 * errno with a line that names the file; -EPERM: the file lies elsewhere.
 */
int blk_file_open_below(const char *name, const char *dir, bool writable, struct error *err);

/* file_flush.c */
void blk_file_flushes_init(struct blk_file_flushes *flushes);
void blk_file_flushes_destroy(struct blk_file_flushes *flushes);
/*
 * Bracket a durable write and the handling of its failure: a flush whose fdatasync ends in between
 * waits for blk_file_durable_end(), which gets the result of blk_file_durable_begin().  In between
 * the caller may wait for I/O only.  Neither call yields.
 */
uint64_t blk_file_durable_begin(struct blk_file_flushes *flushes);
void blk_file_durable_end(struct blk_file_flushes *flushes, uint64_t epoch);

/* Raise @file->size to @end, bytes, where a write through @file ended.  Any thread. */
void blk_file_grow(struct blk_file *file, uint64_t end);

#endif
