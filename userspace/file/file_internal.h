/* SPDX-License-Identifier: GPL-2.0 */
/* What the file_*.c files share. */
#ifndef QEDBLK_FILE_FILE_INTERNAL_H
#define QEDBLK_FILE_FILE_INTERNAL_H

#include <sys/types.h>

#include "file/file.h"

/* The longest transfer in one operation, bytes: well below what results can carry. */
#define BLK_FILE_MAX_TRANSFER (1u << 30)

/* Open @file, of which name and writable are set, by the protocol that its name tells. */
int blk_file_co_open_remote(struct blk_file *file, unsigned int flags, struct error *err);

/* 0, or an error line: a file of type @mode is no image. */
int blk_file_check_type(const char *name, mode_t mode, struct error *err);

/*
 * Open @name for reading if what it leads to lies below folder @dir.  Blocks;
 * for worker threads.  Returns a descriptor (with O_NONBLOCK), or a negative errno
 * with a line that names the file; -EPERM: it lies elsewhere.
 */
int blk_file_open_below(const char *name, const char *dir, struct error *err);

/* file_flush.c */
void blk_file_flushes_init(struct blk_file_flushes *flushes);
void blk_file_flushes_destroy(struct blk_file_flushes *flushes);
/*
 * Around a durable write and what it leads to: a flush whose fdatasync ends in between waits for
 * the second call, which takes what the first returned.  The caller waits for I/O only in between.
 */
uint64_t blk_file_durable_begin(struct blk_file_flushes *flushes);
void blk_file_durable_end(struct blk_file_flushes *flushes, uint64_t epoch);

/* Writes through @file reached up to @end. */
void blk_file_grow(struct blk_file *file, uint64_t end);

#endif
