/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The QED format as it is on disk, after QEMU's docs/interop/qed_spec.txt, and the
 * arithmetic of its geometry.  No I/O here.
 *
 * A file is a row of clusters.  All numbers are little-endian; offsets are in bytes from the
 * file's start, and those of tables and data clusters are multiples of the cluster size:
 *
 *	+--------+----------+----------+------+------+----------+------+---
 *	| header | L1 table | L2 table | data | data | L2 table | data | ...
 *	+--------+----------+----------+------+------+----------+------+---
 *	0        l1_table_offset: anywhere behind the header
 *
 * header_size clusters belong to the header; only its first 64 bytes have a fixed place.  L1 and
 * each L2 table have table_size clusters, in one run.  L2 tables and data clusters come in any
 * order.
 *
 *	    0           4              8             12            16
 *	  0 +-----------+--------------+-------------+-------------+
 *	    |   magic   | cluster_size | table_size  | header_size |
 *	 16 +-----------+--------------+-------------+-------------+
 *	    |         features         |      compat_features      |
 *	 32 +--------------------------+---------------------------+
 *	    |    autoclear_features    |      l1_table_offset      |
 *	 48 +--------------------------+-------------+-------------+
 *	    |        image_size        | backing_    | backing_    |
 *	    |                          | filename_   | filename_   |
 *	    |                          | offset      | size        |
 *	 64 +--------------------------+-------------+-------------+
 *	    The backing file's name, without a NUL at its end, is here or further on in the header.
 *
 * A table has n = table_size * cluster_size / 8 entries of 8 bytes.  A guest offset is looked up in
 * two steps:
 *
 *	 log2(n) bits  log2(n) bits  log2(cluster_size) bits
 *	+-------------+-------------+-------------------------+
 *	|  L1 index   |  L2 index   |   offset in a cluster   |
 *	+-------------+-------------+-------------------------+
 *
 *	L1 entry	0		no L2 table: the clusters below it are unallocated
 *			offset		of the L2 table
 *	L2 entry	0		unallocated: shows the backing file, zeroes behind its end
 *			1		reads as zeroes, and has no data cluster
 *			offset		of the data cluster
 *
 * The low 12 bits of an offset are reserved and 0.  What lies behind the file's last whole cluster
 * may be lost.
 */
#ifndef QEDBLK_FORMAT_QED_FORMAT_H
#define QEDBLK_FORMAT_QED_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define QED_MAGIC 0x00444551u /* the bytes "QED\0" */

/* cluster_size in bytes and table_size in clusters: powers of 2 in these ranges (the spec). */
#define QED_MIN_CLUSTER_SIZE (4u << 10)
#define QED_MAX_CLUSTER_SIZE (64u << 20)
#define QED_MIN_TABLE_SIZE   1u
#define QED_MAX_TABLE_SIZE   16u
/* Those of a new image, as of QEMU's. */
#define QED_DEFAULT_CLUSTER_SIZE (64u << 10)
#define QED_DEFAULT_TABLE_SIZE	 4u

#define QED_HEADER_BYTES     64u /* the header's fixed part */
#define QED_MAX_BACKING_NAME 1023u /* bytes; QEMU reads no more */

/*
 * features: an image with an unknown bit must not be opened.  (An unknown bit of compat_features
 * changes nothing for a reader or writer; the spec defines none.)
 */
#define QED_F_BACKING_FILE	      0x01u /* backing_filename_* are valid */
#define QED_F_NEED_CHECK	      0x02u /* tables may be inconsistent: check before use */
#define QED_F_BACKING_FORMAT_NO_PROBE 0x04u /* the backing file is raw, whatever it contains */
#define QED_F_KNOWN		      0x07u /* all of these */
/*
 * Our own bit, set while an image is being filled, so that no other program (QEMU's included)
 * opens an incomplete image.  Never set in a complete one.
 */
#define QED_F_INCOMPLETE (UINT64_C(1) << 63)

/*
 * autoclear_features: a writer clears the bits it does not know; the spec defines none.  Our own
 * bit: the file may hold leaked clusters, since the last writer did not finish its search for them.
 */
#define QED_AUTOCLEAR_LEAKS (UINT64_C(1) << 62)

/* L2 entries that are no offset. */
#define QED_L2_UNALLOCATED 0u
#define QED_L2_ZERO	   1u

/* The header in this machine's byte order; its layout is that of the disk. */
struct qed_header {
	uint32_t magic; /* QED_MAGIC; qed_header_encode() sets it */
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

/* Return the largest image_size (bytes, a multiple of 512) that a geometry can map. */
uint64_t qed_max_image_size(uint32_t cluster_size, uint32_t table_size);

/* Validate the geometry alone.  Returns 0, or -EINVAL with an error line. */
int qed_geometry_validate(uint32_t cluster_size, uint32_t table_size, uint64_t image_size,
			  struct error *err);

/* The same for an image size in bytes; @line is what QEMU's tools say where it is invalid. */
int qed_image_size_validate(uint32_t cluster_size, uint32_t table_size, uint64_t image_size,
			    const char *line, struct error *err);

#endif
