// SPDX-License-Identifier: GPL-2.0
/*
 * Resizing and preallocation. Space is allocated through the node, which knows where
 * in its file the disk lies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "image/resize.h"
#include "util/units.h"

/* Bytes of zeroes per write. */
#define PIECE_BYTES MiB

static const char *const modes[] = { "off", "metadata", "falloc", "full" };

enum prealloc prealloc_named(const char *name)
{
	enum prealloc mode = 0;

	while (mode < PREALLOC_COUNT && strcmp(name, modes[mode]))
		mode++;
	return mode;
}

/* Check that the image supports the mode: only raw images can be preallocated. */
static int check_mode(const struct blk_node *node, enum prealloc mode, uint64_t size,
		      struct error *err)
{
	if (mode == PREALLOC_OFF)
		return 0;
	if (strcmp(node->driver->name, "raw"))
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode '%s'", modes[mode]);
	if (size < node->size)
		return error_set(err, -EINVAL, "Cannot use preallocation for shrinking files");
	if (mode == PREALLOC_METADATA)
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode: %s", modes[mode]);
	return 0;
}

/* The disk ends where its file does, but need not start at offset 0. */
static int co_take_space(struct blk_node *node, uint64_t old, uint64_t size)
{
	uint64_t end = atomic_load(&node->file->size);
	uint64_t gain = round_up(end, SECTOR_SIZE) - end + size - old;

	return node->file->ops->co_fallocate(node->file, 0, end, gain);
}

static int co_write_zeroes(struct blk_node *node, uint64_t start, uint64_t end)
{
	void *zeroes = aligned_alloc(4096, PIECE_BYTES);
	uint64_t pos, len;
	int ret = zeroes ? 0 : -ENOMEM;

	if (zeroes)
		memset(zeroes, 0, PIECE_BYTES);
	for (pos = start; ret == 0 && pos < end; pos += len) {
		len = min_u64(end - pos, PIECE_BYTES);
		ret = blk_co_pwrite(node, pos, len, zeroes, 0);
	}
	free(zeroes);
	return ret;
}

int image_co_resize(struct blk_node *node, enum prealloc mode, uint64_t size, struct error *err)
{
	uint64_t old = atomic_load(&node->size);
	const char *failure = NULL;
	int ret = check_mode(node, mode, size, err);

	if (ret < 0)
		return ret;
	if (mode == PREALLOC_FALLOC && size > old) {
		ret = co_take_space(node, old, size);
		failure = "preallocate";
	}
	if (ret == 0) {
		ret = blk_co_truncate(node, size, err);
		if (ret < 0)
			return ret;
	}
	if (ret == 0 && mode == PREALLOC_FULL && size > old) {
		ret = co_write_zeroes(node, old, size);
		failure = "write zeros to";
	}
	if (ret == 0)
		return 0;
	(void)blk_co_truncate(node, old, NULL);
	return error_set(err, ret, "Could not %s new data: %s", failure, strerror(-ret));
}
