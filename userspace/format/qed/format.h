/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The QED format as it is on disk (QEMU's docs/interop/qed_spec), and the
 * arithmetic of its geometry.  No I/O here.
 */
#ifndef QEDBLK_FORMAT_QED_FORMAT_H
#define QEDBLK_FORMAT_QED_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define QED_MAGIC 0x00444551u /* "QED\0", little-endian */

#define QED_MIN_CLUSTER_SIZE	 (4u << 10)
#define QED_MAX_CLUSTER_SIZE	 (64u << 20)
#define QED_DEFAULT_CLUSTER_SIZE (64u << 10)
#define QED_MIN_TABLE_SIZE	 1u /* clusters */
#define QED_MAX_TABLE_SIZE	 16u
#define QED_DEFAULT_TABLE_SIZE	 4u

#define QED_HEADER_BYTES     64u /* the fixed part, which says where the backing file's name is */
#define QED_MAX_BACKING_NAME 1023u /* bytes; QEMU reads no more */

/* features: an image with an unknown bit cannot be opened. */
#define QED_F_BACKING_FILE	      0x01u
#define QED_F_NEED_CHECK	      0x02u
#define QED_F_BACKING_FORMAT_NO_PROBE 0x04u
#define QED_F_KNOWN		      0x07u /* all of these */
/*
 * Our own bit, set while an image is being filled, so that no other program (QEMU's included)
 * opens an incomplete image.  Never set in a complete one.
 */
#define QED_F_INCOMPLETE (UINT64_C(1) << 63)

/*
 * autoclear_features: a writer clears the bits it does not know.  Our own bit: the file may hold
 * leaked clusters, since the last writer did not finish its search for them.
 */
#define QED_AUTOCLEAR_LEAKS (UINT64_C(1) << 62)

/* L2 entries below the first cluster. */
#define QED_L2_UNALLOCATED 0u
#define QED_L2_ZERO	   1u

/* The header in this machine's byte order. */
struct qed_header {
	uint32_t cluster_size; /* bytes */
	uint32_t table_size; /* clusters a table */
	uint32_t header_size; /* clusters */
	uint64_t features; /* QED_F_* */
	uint64_t compat_features;
	uint64_t autoclear_features;
	uint64_t l1_table_offset; /* bytes */
	uint64_t image_size; /* bytes, what the guest sees */
	uint32_t backing_filename_offset; /* bytes, from the file's start */
	uint32_t backing_filename_size; /* bytes */
};

/* Is @buf (at least 4 bytes) the start of a QED image? */
bool qed_is_magic(const uint8_t *buf, size_t len);

/* Convert between the QED_HEADER_BYTES bytes on disk and struct qed_header.  No validation. */
void qed_header_decode(struct qed_header *h, const uint8_t *disk);
void qed_header_encode(const struct qed_header *h, uint8_t *disk);

/*
 * Validate every field against the specification and the file's size in bytes.
 * Returns 0, -EINVAL (not a valid header) or -ENOTSUP (unknown features), with an
 * error line about the first field that is wrong.
 */
int qed_header_validate(const struct qed_header *h, uint64_t file_size, struct error *err);

/* Validate the geometry alone.  Returns 0, or -EINVAL with an error line. */
int qed_geometry_validate(uint32_t cluster_size, uint32_t table_size, uint64_t image_size,
			  struct error *err);

#endif
