/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The qcow2 format as it is on disk (QEMU's interop document of that name),
 * versions 2 and 3, for reading.  No I/O here.  All numbers are big-endian.
 */
#ifndef QEDBLK_FORMAT_QCOW2_FORMAT_H
#define QEDBLK_FORMAT_QCOW2_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_CLUSTER_SIZE (1u << QCOW2_MAX_CLUSTER_BITS)

#define QCOW2_V2_HEADER_BYTES  72u
#define QCOW2_V3_HEADER_BYTES  104u
#define QCOW2_MAX_L1_BYTES     (32u << 20) /* what QEMU opens at most */
#define QCOW2_MAX_BACKING_NAME 1023u /* bytes; the same */
#define QCOW2_MAX_FORMAT_NAME  63u

/* Incompatible features: an unknown bit means that the image cannot be opened. */
#define QCOW2_INCOMPAT_DIRTY	   0x01u /* refcounts may be wrong; readers need none */
#define QCOW2_INCOMPAT_CORRUPT	   0x02u
#define QCOW2_INCOMPAT_DATA_FILE   0x04u
#define QCOW2_INCOMPAT_COMPRESSION 0x08u /* compression_type is not zlib */
#define QCOW2_INCOMPAT_EXTENDED_L2 0x10u
#define QCOW2_INCOMPAT_KNOWN	   0x1fu

#define QCOW2_COMPAT_LAZY_REFCOUNTS 0x01u

enum qcow2_compression { QCOW2_ZLIB = 0, QCOW2_ZSTD = 1 };

/* L1 and L2 entries. */
#define QCOW2_ENTRY_OFFSET  0x00fffffffffffe00ULL
#define QCOW2_L2_COMPRESSED (1ULL << 62)
#define QCOW2_L2_ZERO	    1ULL /* version 3, without extended entries */
#define QCOW2_SUBCLUSTERS   32u /* of a cluster, with extended entries */

/* The header in this machine's byte order. */
struct qcow2_header {
	uint32_t version;
	uint64_t backing_offset; /* bytes; 0: no backing file */
	uint32_t backing_size; /* bytes */
	uint32_t cluster_bits;
	uint64_t size; /* bytes, what the guest sees */
	uint32_t crypt_method;
	uint32_t l1_size; /* entries */
	uint64_t l1_table_offset; /* bytes */
	uint64_t refcount_table_offset; /* bytes */
	uint32_t refcount_table_clusters;
	uint32_t nb_snapshots;
	uint64_t snapshots_offset; /* bytes */
	uint64_t incompatible, compatible, autoclear; /* features */
	uint32_t refcount_order; /* 2 to this power bits a reference count */
	uint32_t header_length; /* bytes */
	uint8_t compression_type; /* enum qcow2_compression */
};

/* The texts that a header and its extensions name; heap, or NULL. */
struct qcow2_names {
	char *backing_file;
	char *backing_format;
	char *data_file;
};

/* Is @buf (@len bytes) the start of a qcow2 image, of whatever version? */
bool qcow2_is_magic(const uint8_t *buf, size_t len);

/*
 * How many bytes of the file qcow2_parse() wants: the first cluster.  @buf holds
 * the file's first QCOW2_V2_HEADER_BYTES bytes.  0: there is no such cluster size.
 */
uint32_t qcow2_first_cluster_bytes(const uint8_t *buf);

/*
 * Decode and judge what the first cluster says: @buf holds the first @len bytes
 * of the file, at most a cluster.  Unknown features are named as the image's
 * own table names them.  Returns 0, -EINVAL (not a legal header), -ENOTSUP
 * (something that we do not have) or -ENOMEM, with one line; on an error
 * nothing of @names is left to free.
 */
int qcow2_parse(const uint8_t *buf, size_t len, struct qcow2_header *h, struct qcow2_names *names,
		struct error *err);
void qcow2_names_free(struct qcow2_names *names);

/* How many L1 entries the image's size needs. */
uint64_t qcow2_l1_entries_needed(const struct qcow2_header *h);

static inline uint32_t qcow2_l2_entry_bytes(const struct qcow2_header *h)
{
	return h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2 ? 16 : 8;
}

/* What an L2 entry says of a piece of the image. */
enum qcow2_kind {
	QCOW2_UNALLOCATED, /* the backing file's */
	QCOW2_ZERO, /* reads as zeroes; may have a place */
	QCOW2_DATA,
	QCOW2_PACKED, /* compressed, with the rest of its cluster */
};

/* A run of subclusters that are alike; without extended entries a cluster is one. */
struct qcow2_extent {
	enum qcow2_kind kind;
	unsigned int subclusters;
	bool has_place; /* in the file, as is: DATA always, UNALLOCATED and ZERO may have one */
	uint64_t host_offset; /* that of the first; bytes */
};

/*
 * Read the entry (@entry, and @bitmap where entries are extended) of a cluster
 * from subcluster @sub on.  Returns 0, or -EIO: not a legal entry.
 */
int qcow2_classify(const struct qcow2_header *h, uint64_t entry, uint64_t bitmap, unsigned int sub,
		   struct qcow2_extent *extent);

/* Where the bytes of a compressed cluster are, and how many at most. */
void qcow2_packed_place(const struct qcow2_header *h, uint64_t entry, uint64_t *offset,
			uint32_t *bytes);

#endif
