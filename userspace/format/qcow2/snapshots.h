/* SPDX-License-Identifier: GPL-2.0 */
/* The table of internal snapshots. */
#ifndef QEDBLK_FORMAT_QCOW2_SNAPSHOTS_H
#define QEDBLK_FORMAT_QCOW2_SNAPSHOTS_H

#include <stdint.h>

#include "util/error.h"

struct qcow2_image;

/* An entry.  Its strings are read by qcow2_co_snapshot_text(). */
struct qcow2_snapshot {
	uint64_t l1_offset; /* bytes */
	uint32_t l1_size; /* entries */
	uint32_t extra_bytes;
	uint64_t id_offset; /* bytes, in the file; the name follows the ID */
	uint16_t id_bytes, name_bytes;
};

/* An error ends the walk.  May yield. */
typedef int qcow2_snapshot_fn(void *arg, unsigned int index, const struct qcow2_snapshot *snapshot);

/*
 * Call @fn (may be NULL) for each snapshot; *@bytes is the table's length.  Returns 0, the error of
 * @fn or of a read, or -EFBIG or -EINVAL with an error line (no valid table).  Yields.
 */
int qcow2_co_walk_snapshots(struct qcow2_image *img, qcow2_snapshot_fn *fn, void *arg,
			    uint64_t *bytes, struct error *err);

/*
 * Read ID and name of @snapshot (heap, ended by a NUL byte).  Returns 0, -ENOMEM or the error of a
 * read, with nothing to free.  Yields.
 */
int qcow2_co_snapshot_text(struct qcow2_image *img, const struct qcow2_snapshot *snapshot,
			   char **id, char **name);

#endif
