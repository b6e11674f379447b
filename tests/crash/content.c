// SPDX-License-Identifier: GPL-2.0
/*
 * Self-describing content: each guest sector has its number and the version of its
 * write, and every word of it depends on both.
 */
#include <string.h>

#include "block/zero.h"
#include "crash.h"

#define WORDS (SECTOR_SIZE / 8)

/* Return word @i, after the two with the sector and the version. */
static uint64_t word(uint64_t sector, uint32_t version, unsigned int i)
{
	return (sector << 24 ^ version) * 0x9e3779b97f4a7c15ULL + i * 0xbf58476d1ce4e5b9ULL;
}

void sector_fill(void *buf, uint64_t sector, uint32_t version)
{
	uint64_t *words = buf;

	if (version == VERSION_ZERO) {
		memset(buf, 0, SECTOR_SIZE);
		return;
	}
	words[0] = sector;
	words[1] = version;
	for (unsigned int i = 2; i < WORDS; i++)
		words[i] = word(sector, version, i);
}

uint32_t sector_identify(const void *buf, uint64_t *sector)
{
	const uint64_t *words = buf;
	uint64_t wrong = 0;

	if (!words[1])
		return buffer_is_zero(buf, SECTOR_SIZE) ? VERSION_ZERO : VERSION_GARBAGE;
	*sector = words[0];
	if (words[1] >= VERSION_GARBAGE)
		return VERSION_GARBAGE;
	for (unsigned int i = 2; i < WORDS; i++)
		wrong |= words[i] ^ word(words[0], (uint32_t)words[1], i);
	return wrong ? VERSION_GARBAGE : (uint32_t)words[1];
}

uint32_t backing_version(const struct geometry *geo, uint64_t sector)
{
	uint64_t cluster = sector * SECTOR_SIZE / geo->cluster_size;

	if (sector * SECTOR_SIZE >= geo->backing_bytes)
		return VERSION_ZERO;
	/* Some clusters are zero, and some partly zero. */
	if (mix64(cluster) % 4 == 0 || (mix64(cluster) % 4 == 1 && sector % 16 < 8))
		return VERSION_ZERO;
	return VERSION_BACKING;
}
