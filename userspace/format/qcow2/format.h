/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The qcow2 format as it is on disk (QEMU's docs/interop/qcow2), versions 2 and 3,
 * for reading.  No I/O here.  All numbers on disk are big-endian.
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
#define QCOW2_MAX_L1_BYTES     (32u << 20) /* QEMU opens no more */
#define QCOW2_MAX_BACKING_NAME 1023u /* bytes; QEMU reads no more */
#define QCOW2_MAX_FORMAT_NAME  63u

/* The rest is QEMU's limits for what only a check, or a measurement, reads. */
#define QCOW2_MAX_REFCOUNT_TABLE_BYTES (8u << 20)
#define QCOW2_MAX_SNAPSHOTS	       65536u
#define QCOW2_MAX_SNAPSHOT_EXTRA       1024u /* bytes of an entry of the snapshot table */
#define QCOW2_MAX_SNAPSHOT_TABLE_BYTES (64u << 20)
#define QCOW2_MAX_BITMAPS	       65535u
#define QCOW2_MAX_BITMAP_DIR_BYTES     (QCOW2_MAX_BITMAPS * 1024u)

/* Incompatible features: an image with an unknown bit cannot be opened. */
#define QCOW2_INCOMPAT_DIRTY	   0x01u /* refcounts may be wrong; a reader needs none */
#define QCOW2_INCOMPAT_CORRUPT	   0x02u
#define QCOW2_INCOMPAT_DATA_FILE   0x04u
#define QCOW2_INCOMPAT_COMPRESSION 0x08u /* compression_type is not zlib */
#define QCOW2_INCOMPAT_EXTENDED_L2 0x10u
#define QCOW2_INCOMPAT_KNOWN	   0x1fu

#define QCOW2_COMPAT_LAZY_REFCOUNTS 0x01u

#define QCOW2_AUTOCLEAR_BITMAPS	      0x01u /* the bitmaps are those of the image as it is */
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW 0x02u

/* Lengths of two header extensions. */
#define QCOW2_CRYPTO_EXT_BYTES	16u
#define QCOW2_BITMAPS_EXT_BYTES 24u

enum qcow2_crypt { QCOW2_CRYPT_NONE = 0, QCOW2_CRYPT_AES = 1, QCOW2_CRYPT_LUKS = 2 };
enum qcow2_compression { QCOW2_ZLIB = 0, QCOW2_ZSTD = 1 };

/* L1 and L2 entries. */
#define QCOW2_ENTRY_OFFSET  0x00fffffffffffe00ULL
#define QCOW2_ENTRY_COPIED  (1ULL << 63) /* the reference count of what it refers to is 1 */
#define QCOW2_L1_RESERVED   0x7f000000000001ffULL
#define QCOW2_L2_RESERVED   0x3f000000000001feULL /* of an entry that is not compressed */
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
	uint32_t crypt_method; /* enum qcow2_crypt */
	uint32_t l1_size; /* entries */
	uint64_t l1_table_offset; /* bytes */
	uint64_t refcount_table_offset; /* bytes */
	uint32_t refcount_table_clusters;
	uint32_t nb_snapshots;
	uint64_t snapshots_offset; /* bytes */
	uint64_t incompatible, compatible, autoclear; /* features */
	uint32_t refcount_order; /* a reference count has 2 to this power bits */
	uint32_t header_length; /* bytes */
	uint8_t compression_type; /* enum qcow2_compression */
	/* Of header extensions; not validated, zeroes where there are none. */
	uint32_t crypto_ext_bytes, bitmaps_ext_bytes; /* their lengths */
	uint64_t crypto_offset, crypto_bytes; /* the header of LUKS */
	uint32_t nb_bitmaps, bitmaps_reserved;
	uint64_t bitmap_dir_offset, bitmap_dir_bytes;
};

/* The strings in a header and its extensions; heap, or NULL. */
struct qcow2_names {
	char *backing_file;
	char *backing_format;
	char *data_file;
};

/* Is @buf (@len bytes) the start of a qcow2 image, of any version? */
bool qcow2_is_magic(const uint8_t *buf, size_t len);

/*
 * Return how many bytes of the file qcow2_parse() needs: the first cluster.  @buf holds
 * the file's first QCOW2_V2_HEADER_BYTES bytes.  0: the cluster size is not valid.
 */
uint32_t qcow2_first_cluster_bytes(const uint8_t *buf);

/*
 * Decode and validate the first cluster: @buf holds the first @len bytes of the file,
 * of which at most a cluster is read.  Unknown features are named as in the image's
 * feature name table.  Returns 0, -EINVAL (not a valid header), -EFBIG, -ENOTSUP
 * (unsupported) or -ENOMEM, with an error line.  On success the caller owns @names; on
 * an error there is nothing to free.
 */
int qcow2_parse(const uint8_t *buf, size_t len, struct qcow2_header *h, struct qcow2_names *names,
		struct error *err);

/* Return how many L1 entries the image's size needs. */
uint64_t qcow2_l1_entries_needed(const struct qcow2_header *h);

static inline uint32_t qcow2_l2_entry_bytes(const struct qcow2_header *h)
{
	return h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2 ? 16 : 8;
}

/* What an L2 entry maps a subcluster to. */
enum qcow2_kind {
	QCOW2_UNALLOCATED, /* the backing file's bytes */
	QCOW2_ZERO, /* reads as zeroes; may be allocated in the file */
	QCOW2_DATA,
	QCOW2_PACKED, /* compressed, as all of its cluster */
};

/* A run of subclusters of one kind; without extended entries a cluster is one subcluster. */
struct qcow2_extent {
	enum qcow2_kind kind;
	unsigned int subclusters;
	/* It has uncompressed space in the file.  DATA always has; UNALLOCATED and ZERO may. */
	bool has_place;
	uint64_t host_offset; /* file offset of the first subcluster, bytes */
};

/*
 * Decode the entry of a cluster (@entry, and @bitmap if entries are extended), from
 * subcluster @sub on.  Returns 0, or -EIO: not a valid entry.
 */
int qcow2_classify(const struct qcow2_header *h, uint64_t entry, uint64_t bitmap, unsigned int sub,
		   struct qcow2_extent *extent);

/* Decode a compressed cluster's entry: its file offset, and at most how many bytes it has there. */
void qcow2_packed_place(const struct qcow2_header *h, uint64_t entry, uint64_t *offset,
			uint32_t *bytes);

#endif
