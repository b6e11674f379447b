// SPDX-License-Identifier: GPL-2.0
/* Files that are no disk images: what begins like one of them is not taken for raw unasked. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "device/foreign.h"
#include "util/units.h"

/* Only a file below this size is looked at for being a text: a checksum, an error page. */
#define TEXT_MAX (64 * KiB)

static const struct {
	const char *bytes;
	size_t len, offset;
	const char *what;
} signs[] = {
	{ "\x1f\x8b", 2, 0, "gzip data" },
	{ "\xfd"
	  "7zXZ",
	  6, 0, "xz data" },
	{ "\x28\xb5\x2f\xfd", 4, 0, "zstd data" },
	{ "BZh", 3, 0, "bzip2 data" },
	{ "\x04\x22\x4d\x18", 4, 0, "lz4 data" },
	{ "PK\x03\x04", 4, 0, "a zip archive" },
	{ "7z\xbc\xaf\x27\x1c", 6, 0, "a 7z archive" },
	{ "ustar", 5, 257, "a tar archive" },
};

static bool is_text(const uint8_t *head, size_t len)
{
	/* The last sector is filled with zeroes. */
	while (len && !head[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		if (!isprint(head[i]) && !isspace(head[i]))
			return false;
	return memchr(head, '\n', len);
}

static const char *find(const uint8_t *head, size_t len, uint64_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (signs[i].offset + signs[i].len <= len &&
		    !memcmp(head + signs[i].offset, signs[i].bytes, signs[i].len))
			return signs[i].what;
	return size < TEXT_MAX && is_text(head, len) ? "a text" : NULL;
}

int foreign_co_refuse(struct blk_node *node, const char *option, struct error *err)
{
	uint8_t head[SECTOR_SIZE];
	size_t len = min_u64(node->size, sizeof(head));
	const char *what;
	int ret;

	if (!node->probed || !node->driver->is_fallback)
		return 0;
	ret = blk_co_pread(node, 0, len, head, 0);
	if (ret)
		return error_set_errno(err, ret, "%s", node->filename);
	what = find(head, len, node->size);
	if (!what)
		return 0;
	return error_set(err, -EINVAL,
			 "%s: is %s, not a disk image; %s raw takes its bytes as they are",
			 node->filename, what, option);
}
