/* SPDX-License-Identifier: GPL-2.0 */
/* What the file_*.c files share. */
#ifndef QEDBLK_BLOCK_FILE_INTERNAL_H
#define QEDBLK_BLOCK_FILE_INTERNAL_H

#include "block/file.h"

/* The longest transfer in one operation, bytes: well below what results can carry. */
#define BLK_FILE_MAX_TRANSFER (1u << 30)

/* Open @file, of which name and writable are set, by the protocol that its name tells. */
int blk_file_co_open_remote(struct blk_file *file, unsigned int flags, struct error *err);

/* Writes through @file reached up to @end. */
void blk_file_grow(struct blk_file *file, uint64_t end);

#endif
