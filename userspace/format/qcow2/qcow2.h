/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An open qcow2 image: the declarations that the files of this driver share.
 *
 * The image is only read, so its state in memory never changes: neither the header
 * and the L1 table once it is open, nor a cached slice of an L2 table or an inflated
 * cluster once it is published.  Look-ups take no lock (cache.c).
 *
 * The file is not trusted: header.c and extensions.c validate the header, l1.c the
 * offsets of tables, entry.c and map.c each entry when it is used.  Reference counts,
 * snapshots and bitmaps are read by a check (check.h), the counts by holes.c, too, and not
 * by readers of data.
 */
#ifndef QEDBLK_FORMAT_QCOW2_QCOW2_H
#define QEDBLK_FORMAT_QCOW2_QCOW2_H

#include "aio/bufpool.h"
#include "block/node.h"
#include "format/qcow2/cache.h"
#include "format/qcow2/format.h"

struct qcow2_image {
	struct blk_node *node;
	struct blk_file *file;
	struct qcow2_header header;
	char *data_file; /* the name of the external data file (heap), or NULL */
	uint32_t cluster_size; /* bytes */
	uint32_t subcluster_size; /* bytes; the cluster size if entries are not extended */
	uint32_t l2_entry_bytes; /* 8 or 16 */
	uint32_t l2_entries; /* per table */
	uint64_t *l1; /* entries as on disk, in this machine's byte order */
	uint64_t l1_entries; /* as many as the image's size needs */

	uint32_t slice_entries; /* L2 entries in an item of @l2 */
	struct qcow2_cache l2; /* by guest cluster / slice_entries */
	struct qcow2_cache inflated; /* by guest cluster */
	/*
	 * Buffers that compressed clusters are read into.  A coroutine that holds one waits only
	 * for I/O and for a worker thread; it may take a buffer of the file's bounce pool, but
	 * not the other way round.
	 */
	struct bufpool *packed;
	struct inflater *inflater;
	uint64_t check_bytes; /* of memory for the counts of a check; 0: as many as it likes */
	/* Holes of the file below data clusters; guessed when it is first asked for. */
	_Atomic(int) holes;
};

enum qcow2_holes { QCOW2_HOLES_UNKNOWN, QCOW2_NO_HOLES, QCOW2_HOLES };

/* header_io.c: read the first cluster, and qcow2_parse() it.  Yields. */
int qcow2_co_read_header(struct blk_file *file, struct qcow2_header *h, struct qcow2_names *names,
			 struct error *err);

/* l1.c: read the part of L1 that the image's size needs.  Yields. */
int qcow2_co_l1_load(struct qcow2_image *img, struct error *err);
/* Get the table offset, in bytes, of @l1_entry (0: no table).  Returns 0, or -EIO: not valid. */
int qcow2_table_offset(const struct qcow2_image *img, uint64_t l1_entry, uint64_t *offset);

/* map.c: see struct blk_driver. */
int qcow2_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
int qcow2_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
/* Get the L2 entry of guest cluster @cluster, whose table must exist.  Yields. */
int qcow2_co_entry(struct qcow2_image *img, uint64_t cluster, uint64_t *entry);
/* Log that guest cluster @cluster cannot be read, because of @what, and return -EIO. */
int qcow2_bad(struct qcow2_image *img, uint64_t cluster, const char *what, uint64_t value);

/*
 * check.c: see struct blk_driver.  Memory is bounded, whatever the image says: tables are read in
 * pieces, and more reference counts than fit are compared in several passes.
 */
int qcow2_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		   void *report_arg, struct blk_check_result *result, struct error *err);
/* Validate what only a check needs of the header.  Yields.  The error line is QEMU's. */
int qcow2_co_check_header(struct qcow2_image *img, struct error *err);

/* measure.c: see struct blk_driver. */
extern const struct blk_option_row qcow2_create_options[];
int qcow2_check_create(const struct blk_create_opts *opts, struct error *err);
int qcow2_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		     struct blk_measure *result, struct error *err);

/* holes.c: see struct blk_driver. */
bool qcow2_co_may_have_holes(struct blk_node *node);

/* read.c: see struct blk_driver. */
int qcow2_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/* packed.c */
int qcow2_packed_init(struct qcow2_image *img);
void qcow2_packed_destroy(struct qcow2_image *img);
/* Read [offset, offset + bytes), which lies in one compressed cluster.  Yields. */
int qcow2_co_read_packed(struct qcow2_image *img, uint64_t offset, uint64_t bytes, void *buf);

#endif
