// SPDX-License-Identifier: GPL-2.0
/*
 * qcow2 images: header, extensions, tables and compressed clusters; for a check also reference
 * counts, snapshots and bitmaps.
 */
#include <stdbool.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_read_image("qcow2", data, size);
	fuzz_check_image("qcow2", data, size);
	return 0;
}

/* The properties of a seed. */
struct kind {
	unsigned int cluster_bits, version;
	uint64_t incompatible;
	bool compressed;
};

static const struct kind kinds[] = {
	{ 9, 2, 0, false },  { 9, 3, 0, false }, { 12, 3, 0, true }, { 12, 3, 8, true },
	{ 14, 3, 16, true }, { 9, 3, 0, true },	 { 9, 3, 4, false },
};

#define COPIED (1ULL << 63)
#define PACKED (1ULL << 62)

static void put_header(uint8_t *image, const struct kind *kind, uint64_t size, uint64_t l1)
{
	memcpy(image, "QFI\xfb", 4);
	fuzz_put_be32(image + 4, kind->version);
	fuzz_put_be32(image + 20, kind->cluster_bits);
	fuzz_put_be64(image + 24, size);
	fuzz_put_be32(image + 36, 4); /* L1 entries */
	fuzz_put_be64(image + 40, l1);
	if (kind->version < 3)
		return;
	fuzz_put_be64(image + 72, kind->incompatible);
	fuzz_put_be32(image + 96, 4);
	fuzz_put_be32(image + 100, 112);
	image[104] = kind->incompatible & 8 ? 1 : 0;
	/* Two extensions: the backing file's format, and the name of a feature. */
	fuzz_put_be32(image + 112, 0xe2792aca);
	fuzz_put_be32(image + 116, 3);
	memcpy(image + 120, "raw", 3);
	fuzz_put_be32(image + 128, 0x6803f857);
	fuzz_put_be32(image + 132, 48);
	memcpy(image + 136, "\0\5feature", 9);
}

/* Compress a cluster of @bytes to @to; return the length. */
static size_t pack(uint8_t *to, size_t room, size_t bytes, bool zstd)
{
	static uint8_t content[1 << 14];
	z_stream z = { .next_in = content, .avail_in = bytes, .next_out = to, .avail_out = room };

	for (size_t i = 0; i < bytes; i++)
		content[i] = i * i >> 3;
	if (zstd)
		return ZSTD_compress(to, room, content, bytes, 3);
	deflateInit2(&z, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return z.total_out;
}

/*
 * Add what only a check reads, from @at on, and return its end: refcount table, a block in which
 * all clusters are used once, and from version 3 on a snapshot and a bitmap.  One cluster each.
 */
static size_t put_counts(uint8_t *buf, const struct kind *kind, size_t at)
{
	size_t cluster = 1UL << kind->cluster_bits, end = at + 2 * cluster;
	uint8_t *entry = buf + end;

	fuzz_put_be64(buf + 48, at);
	fuzz_put_be32(buf + 56, 1);
	fuzz_put_be64(buf + at, at + cluster);
	if (kind->version == 3) {
		fuzz_put_be32(buf + 60, 1);
		fuzz_put_be64(buf + 64, end);
		fuzz_put_be64(entry, cluster); /* L1, which is the active one, too */
		fuzz_put_be32(entry + 8, 4);
		fuzz_put_be32(entry + 12, 1 << 16 | 1);
		fuzz_put_be32(entry + 36, 16);
		memcpy(entry + 56, "1s", 2);
		/* The extension, the directory, and the bitmap's table, which has no bits. */
		fuzz_put_be64(buf + 88, 1);
		fuzz_put_be32(buf + 184, 0x23852875);
		fuzz_put_be32(buf + 188, 24);
		fuzz_put_be32(buf + 192, 1);
		fuzz_put_be64(buf + 200, 32);
		fuzz_put_be64(buf + 208, end + cluster);
		entry += cluster;
		fuzz_put_be64(entry, end + 2 * cluster);
		fuzz_put_be32(entry + 8, 1);
		fuzz_put_be32(entry + 16, 1 << 24 | 16 << 16 | 1);
		entry[24] = 'b';
		end += 3 * cluster;
	}
	for (size_t i = 0; i < end / cluster && i < cluster / 2; i++)
		buf[at + cluster + 2 * i + 1] = 1;
	return end;
}

/* Header, L1, one L2 table, data and optionally a compressed cluster: one cluster each. */
size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	const struct kind *kind = &kinds[n];
	unsigned int step, bits;
	uint64_t cluster, l2, packed;
	size_t end;

	if (n >= sizeof(kinds) / sizeof(kinds[0]))
		return 0;
	bits = kind->cluster_bits;
	cluster = 1ULL << bits;
	step = kind->incompatible & 16 ? 16 : 8;
	l2 = 2 * cluster;
	packed = 5 * cluster;
	end = packed;
	memset(buf, 0, FUZZ_MAX_BYTES);
	/* The size that three tables can map. */
	put_header(buf, kind, 3 * (cluster / step) * cluster, cluster);
	fuzz_put_be64(buf + cluster, COPIED | l2);
	fuzz_put_be64(buf + l2, COPIED | 3 * cluster);
	fuzz_put_be64(buf + l2 + step, COPIED | 4 * cluster);
	if (kind->version == 3 && step == 8)
		fuzz_put_be64(buf + l2 + 3 * step, 1);
	if (step == 16) {
		fuzz_put_be64(buf + l2 + 8, 0xffff0000ULL);
		fuzz_put_be64(buf + l2 + step + 8, 0x0000ffff00ff0000ULL);
		fuzz_put_be64(buf + l2 + 3 * step + 8, 0xffffffff00000000ULL);
	}
	memset(buf + 3 * cluster, 0x55, 2 * cluster);
	if (kind->compressed) {
		size_t length = pack(buf + packed, 2 * cluster, cluster, kind->incompatible & 8);
		uint64_t sectors = (length + 511) / 512 - 1;

		fuzz_put_be64(buf + l2 + 2 * step, PACKED | sectors << (62 - (bits - 8)) | packed);
		end = packed + length;
	}
	packed = (end + cluster - 1) & ~(cluster - 1);
	return packed + 5 * cluster <= FUZZ_MAX_BYTES ? put_counts(buf, kind, packed) : end;
}
