/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An open qcow2 image: what the files of this driver share.
 *
 * The image is only read, so what is known of it never changes: the header and
 * the L1 table once it is open, and each cached piece of an L2 table or
 * inflated cluster from the moment that it is published.  Look-ups take no
 * lock (cache.c).
 *
 * Nothing that the file says is believed: header.c and extensions.c judge the
 * header, l1.c where tables are, entry.c and map.c each entry when it is used.
 * Reference counts are not looked at; a reader has no use for them.
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
	uint32_t cluster_size; /* bytes */
	uint32_t subcluster_size; /* bytes; a cluster's, without extended entries */
	uint32_t l2_entry_bytes; /* 8 or 16 */
	uint32_t l2_entries; /* a table */
	uint64_t *l1; /* entries as on disk, in this machine's byte order */
	uint64_t l1_entries; /* as many as the image's size needs */

	uint32_t slice_entries; /* L2 entries in an item of @l2 */
	struct qcow2_cache l2; /* by guest cluster / slice_entries */
	struct qcow2_cache inflated; /* by guest cluster */
	/*
	 * What a compressed cluster is read into.  Who holds one waits for I/O and a
	 * worker only; it ranks above the file's bounce pool.
	 */
	struct bufpool *packed;
	struct inflater *inflater;
};

/* header_io.c */
int qcow2_co_read_header(struct blk_file *file, struct qcow2_header *h, struct qcow2_names *names,
			 struct error *err);

/* l1.c: read the part of L1 that is needed; judge where a table is. */
int qcow2_co_l1_load(struct qcow2_image *img, struct error *err);
/* The offset of the table in @l1_entry (0: none), or -EIO: none can be there. */
int qcow2_table_offset(const struct qcow2_image *img, uint64_t l1_entry, uint64_t *offset);

/* map.c */
int qcow2_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
int qcow2_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
/* The L2 entry of @cluster.  Parks. */
int qcow2_co_entry(struct qcow2_image *img, uint64_t cluster, uint64_t *entry);
/* Count, log and return -EIO: guest cluster @cluster cannot be read, because of @what. */
int qcow2_bad(struct qcow2_image *img, uint64_t cluster, const char *what, uint64_t value);

/* read.c */
int qcow2_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/* packed.c: a part of one compressed cluster */
int qcow2_packed_init(struct qcow2_image *img);
void qcow2_packed_destroy(struct qcow2_image *img);
int qcow2_co_read_packed(struct qcow2_image *img, uint64_t offset, uint64_t bytes, void *buf);

#endif
