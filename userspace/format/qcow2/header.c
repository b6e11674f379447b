// SPDX-License-Identifier: GPL-2.0
/*
 * The qcow2 header: decoding and validation.  Error messages are QEMU's where it
 * has one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/qcow2/bytes.h"
#include "format/qcow2/format.h"
#include "util/units.h"

/* Byte positions of the fields on disk. */
enum {
	POS_MAGIC = 0,
	POS_VERSION = 4,
	POS_BACKING_OFFSET = 8,
	POS_BACKING_SIZE = 16,
	POS_CLUSTER_BITS = 20,
	POS_SIZE = 24,
	POS_CRYPT_METHOD = 32,
	POS_L1_SIZE = 36,
	POS_L1_TABLE_OFFSET = 40,
	POS_REFCOUNT_TABLE_OFFSET = 48,
	POS_REFCOUNT_TABLE_CLUSTERS = 56,
	POS_NB_SNAPSHOTS = 60,
	POS_SNAPSHOTS_OFFSET = 64,
	/* Version 3. */
	POS_INCOMPATIBLE = 72,
	POS_COMPATIBLE = 80,
	POS_AUTOCLEAR = 88,
	POS_REFCOUNT_ORDER = 96,
	POS_HEADER_LENGTH = 100,
	POS_COMPRESSION_TYPE = 104,
};

bool qcow2_is_magic(const uint8_t *buf, size_t len)
{
	return len >= 4 && get_be32(buf) == QCOW2_MAGIC;
}

uint32_t qcow2_first_cluster_bytes(const uint8_t *buf)
{
	uint32_t bits = get_be32(buf + POS_CLUSTER_BITS);

	return bits < QCOW2_MIN_CLUSTER_BITS || bits > QCOW2_MAX_CLUSTER_BITS ? 0 : 1u << bits;
}

static void decode_v2(struct qcow2_header *h, const uint8_t *disk)
{
	*h = (struct qcow2_header){
		.version = get_be32(disk + POS_VERSION),
		.backing_offset = get_be64(disk + POS_BACKING_OFFSET),
		.backing_size = get_be32(disk + POS_BACKING_SIZE),
		.cluster_bits = get_be32(disk + POS_CLUSTER_BITS),
		.size = get_be64(disk + POS_SIZE),
		.crypt_method = get_be32(disk + POS_CRYPT_METHOD),
		.l1_size = get_be32(disk + POS_L1_SIZE),
		.l1_table_offset = get_be64(disk + POS_L1_TABLE_OFFSET),
		.refcount_table_offset = get_be64(disk + POS_REFCOUNT_TABLE_OFFSET),
		.refcount_table_clusters = get_be32(disk + POS_REFCOUNT_TABLE_CLUSTERS),
		.nb_snapshots = get_be32(disk + POS_NB_SNAPSHOTS),
		.snapshots_offset = get_be64(disk + POS_SNAPSHOTS_OFFSET),
		.refcount_order = 4,
		.header_length = QCOW2_V2_HEADER_BYTES,
	};
}

static void decode_v3(struct qcow2_header *h, const uint8_t *disk)
{
	h->incompatible = get_be64(disk + POS_INCOMPATIBLE);
	h->compatible = get_be64(disk + POS_COMPATIBLE);
	h->autoclear = get_be64(disk + POS_AUTOCLEAR);
	h->refcount_order = get_be32(disk + POS_REFCOUNT_ORDER);
	h->header_length = get_be32(disk + POS_HEADER_LENGTH);
}

/* Decode the header.  Validates only the fields that decoding depends on. */
static int decode(struct qcow2_header *h, const uint8_t *buf, size_t len, struct error *err)
{
	if (len < QCOW2_V2_HEADER_BYTES || !qcow2_is_magic(buf, len))
		return error_set(err, -EINVAL, "Image is not in qcow2 format");
	decode_v2(h, buf);
	if (h->version != 2 && h->version != 3)
		return error_set(err, -ENOTSUP, "Unsupported qcow2 version %" PRIu32, h->version);
	if (!qcow2_first_cluster_bytes(buf))
		return error_set(err, -EINVAL, "Unsupported cluster size: 2^%" PRIu32,
				 h->cluster_bits);
	if (h->version == 2)
		return 0;
	if (len < QCOW2_V3_HEADER_BYTES)
		return error_set(err, -EINVAL, "qcow2 header too short");
	decode_v3(h, buf);
	if (h->header_length < QCOW2_V3_HEADER_BYTES)
		return error_set(err, -EINVAL, "qcow2 header too short");
	if (h->header_length > 1u << h->cluster_bits || h->header_length > len)
		return error_set(err, -EINVAL, "qcow2 header exceeds cluster size");
	if (h->header_length > POS_COMPRESSION_TYPE)
		h->compression_type = buf[POS_COMPRESSION_TYPE];
	return 0;
}

/* ---- Features ---- */

/* A comma-separated list of words, cut where there is no more room. */
struct words {
	char text[256];
	size_t len;
};

static void add_word(struct words *words, const char *word, int max_len)
{
	int n = snprintf(words->text + words->len, sizeof(words->text) - words->len, "%s%.*s",
			 words->len ? ", " : "", max_len, word);

	words->len = min_u64(words->len + (n > 0 ? (size_t)n : 0), sizeof(words->text) - 1);
}

/* Add a name from the image; only printable ASCII of it may reach a terminal. */
static void add_feature_name(struct words *words, const uint8_t *name)
{
	char text[QCOW2_FEATURE_NAME + 1] = { 0 };

	memcpy(text, name, QCOW2_FEATURE_NAME);
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	add_word(words, text, QCOW2_FEATURE_NAME);
}

int qcow2_refuse_features(const struct qcow2_header *h, const uint8_t *table, size_t len,
			  struct error *err)
{
	uint64_t unknown = h->incompatible & ~(uint64_t)QCOW2_INCOMPAT_KNOWN;
	struct words words = { .len = 0 };
	char number[48];

	if (!unknown)
		return 0;
	for (; len >= QCOW2_FEATURE_BYTES;
	     table += QCOW2_FEATURE_BYTES, len -= QCOW2_FEATURE_BYTES) {
		uint64_t bit = table[1] < 64 ? 1ULL << table[1] : 0;

		if (table[0] != QCOW2_FEATURE_INCOMPATIBLE || !(unknown & bit) || !table[2])
			continue;
		add_feature_name(&words, table + 2);
		unknown &= ~bit;
	}
	if (unknown) {
		snprintf(number, sizeof(number), "Unknown incompatible feature: %" PRIx64, unknown);
		add_word(&words, number, sizeof(number));
	}
	return error_set(err, -ENOTSUP, "Unsupported qcow2 feature(s): %s", words.text);
}

/* ---- Validation ---- */

static int check_compression(const struct qcow2_header *h, struct error *err)
{
	bool other = h->incompatible & QCOW2_INCOMPAT_COMPRESSION;

	if (h->compression_type > QCOW2_ZSTD)
		return error_set(err, -ENOTSUP, "qcow2: unknown compression type: %u",
				 h->compression_type);
	if (other != (h->compression_type != QCOW2_ZLIB))
		return error_set(err, -EINVAL,
				 "qcow2: Compression type incompatible feature bit must %sbe set",
				 other ? "not " : "");
	return 0;
}

static int check_geometry(const struct qcow2_header *h, struct error *err)
{
	if (h->refcount_order > 6)
		return error_set(err, -EINVAL,
				 "Reference count entry width too large; may not exceed 64 bits");
	if ((h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2) &&
	    h->cluster_bits < QCOW2_MIN_EXTENDED_CLUSTER_BITS)
		return error_set(err, -EINVAL,
				 "Extended L2 entries are only supported with cluster sizes of at "
				 "least %u bytes",
				 1u << QCOW2_MIN_EXTENDED_CLUSTER_BITS);
	if (h->size > INT64_MAX)
		return error_set(err, -EFBIG, "Image size must be less than 8 EiB");
	return 0;
}

static int check_l1(const struct qcow2_header *h, struct error *err)
{
	if (h->l1_size > QCOW2_MAX_L1_BYTES / 8)
		return error_set(err, -EFBIG, "Active L1 table too large");
	if (h->l1_table_offset & ((1u << h->cluster_bits) - 1) ||
	    h->l1_table_offset > INT64_MAX - QCOW2_MAX_L1_BYTES)
		return error_set(err, -EINVAL, "Active L1 table offset invalid");
	if (h->l1_size < qcow2_l1_entries_needed(h))
		return error_set(err, -EINVAL, "L1 table is too small");
	return 0;
}

uint64_t qcow2_l1_entries_needed(const struct qcow2_header *h)
{
	unsigned int l2_bits = h->cluster_bits - (qcow2_l2_entry_bytes(h) == 16 ? 4 : 3);

	return div_round_up(h->size, 1ULL << (h->cluster_bits + l2_bits));
}

static int check_header(const struct qcow2_header *h, struct error *err)
{
	int ret;

	ret = check_compression(h, err);
	if (!ret)
		ret = check_geometry(h, err);
	return ret ? ret : check_l1(h, err);
}

/* ---- The backing file's name ---- */

static int read_backing_name(const struct qcow2_header *h, const uint8_t *buf, size_t len,
			     struct qcow2_names *names, struct error *err)
{
	if (!h->backing_offset)
		return 0;
	if (h->backing_offset < h->header_length || h->backing_offset > len)
		return error_set(err, -EINVAL, "Invalid backing file offset");
	if (h->backing_size > QCOW2_MAX_BACKING_NAME || h->backing_size > len - h->backing_offset)
		return error_set(err, -EINVAL, "Backing file name too long");
	return qcow2_copy_name(&names->backing_file, buf + h->backing_offset, h->backing_size, err);
}

static void free_names(struct qcow2_names *names)
{
	free(names->backing_file);
	free(names->backing_format);
	free(names->data_file);
	*names = (struct qcow2_names){ 0 };
}

int qcow2_parse(const uint8_t *buf, size_t len, struct qcow2_header *h, struct qcow2_names *names,
		struct error *err)
{
	int ret;

	*names = (struct qcow2_names){ 0 };
	len = min_u64(len, QCOW2_MAX_CLUSTER_SIZE);
	ret = decode(h, buf, len, err);
	if (ret)
		return ret;
	len = min_u64(len, 1u << h->cluster_bits);
	ret = qcow2_read_extensions(h, buf, len, names, err);
	if (!ret)
		ret = check_header(h, err);
	if (!ret)
		ret = read_backing_name(h, buf, len, names, err);
	if (ret)
		free_names(names);
	return ret;
}
