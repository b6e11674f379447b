// SPDX-License-Identifier: GPL-2.0
/*
 * Framed images, the example of a format: a header, and behind it the disk's bytes.
 *
 *	byte  0   8 bytes  "QEDframe"
 *	      8   8        size of the header in bytes: a power of 2, 512 to 1 MiB
 *	     16   8        size of the disk in bytes
 *	header's size      the disk
 *
 * Numbers are little-endian. All of the disk's space is in the file from the beginning, so a
 * request goes straight to the file, and its holes read as zeroes.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "block/node.h"
#include "util/units.h"

#define MAGIC		"QEDframe"
#define MIN_HEADER_SIZE SECTOR_SIZE
#define MAX_HEADER_SIZE MiB

struct header {
	char magic[8];
	uint64_t header_size, disk_size; /* bytes, little-endian */
};

static int framed_probe(const uint8_t *buf, size_t len)
{
	return len >= sizeof(struct header) && !memcmp(buf, MAGIC, strlen(MAGIC)) ? 100 : 0;
}

static bool is_valid(uint64_t header_size, uint64_t disk_size, uint64_t file_size)
{
	return is_power_of_2(header_size) && header_size >= MIN_HEADER_SIZE &&
	       header_size <= MAX_HEADER_SIZE && disk_size % SECTOR_SIZE == 0 &&
	       header_size <= file_size && disk_size <= file_size - header_size;
}

static int framed_co_open(struct blk_node *node, const struct blk_open_opts *opts,
			  struct error *err)
{
	struct header h;
	int ret = blk_file_co_pread(node->file, &h, sizeof(h), 0);

	(void)opts;
	if (ret)
		return error_set_errno(err, ret, "header");
	if (memcmp(h.magic, MAGIC, strlen(MAGIC)))
		return error_set(err, -EINVAL, "Image not in framed format");
	if (!is_valid(le64toh(h.header_size), le64toh(h.disk_size), atomic_load(&node->file->size)))
		return error_set(err, -EINVAL, "the header is damaged");
	node->file_start = le64toh(h.header_size);
	atomic_store(&node->size, le64toh(h.disk_size));
	return 0;
}

static int framed_co_flush(struct blk_node *node)
{
	return blk_file_co_flush(node->file);
}

static const struct blk_option_row create_options[] = {
	{ .name = "header_size",
	  .help = "Size of the header (in bytes)",
	  .type = BLK_OPTION_SIZE,
	  .preset = MIN_HEADER_SIZE,
	  .title = "framed header size",
	  .min = MIN_HEADER_SIZE,
	  .max = MAX_HEADER_SIZE },
	{ 0 },
};

static int framed_co_create(struct blk_file *file, const struct blk_create_opts *opts,
			    struct error *err)
{
	uint64_t header_size = blk_create_number(opts, "header_size");
	struct header h = { MAGIC, htole64(header_size), htole64(opts->size) };
	int ret = blk_file_co_truncate(file, header_size + opts->size);

	if (!ret)
		ret = blk_file_co_pwrite(file, &h, sizeof(h), 0);
	if (!ret)
		ret = blk_file_co_flush(file);
	return ret ? error_set_errno(err, ret, "cannot be written") : 0;
}

static int framed_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
			     struct blk_measure *result, struct error *err)
{
	uint64_t bytes = blk_create_number(opts, "header_size") + opts->size;

	(void)source;
	(void)err;
	*result = (struct blk_measure){ .required = bytes, .fully_allocated = bytes };
	return 0;
}

static int framed_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	*map = (struct blk_map){ BLK_MAP_DATA, bytes, node->file, node->file_start + offset };
	return 0;
}

static int framed_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes,
			 struct blk_map *map)
{
	int data = blk_file_co_is_data(node->file, node->file_start + offset, bytes, &bytes);

	framed_map(node, offset, bytes, map);
	if (!data)
		map->kind = BLK_MAP_ZERO;
	return data < 0 ? data : 0;
}

static int framed_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	return blk_file_co_pread(node->file, buf, bytes, node->file_start + offset);
}

static int framed_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			    unsigned int flags)
{
	/* All bytes are in the file already. */
	if (flags & BLK_REQ_POPULATE)
		return 0;
	return blk_file_co_pwrite(node->file, buf, bytes, node->file_start + offset);
}

const struct blk_driver blk_driver_framed = {
	.name = "framed",
	.probe = framed_probe,
	.co_open = framed_co_open,
	.co_close = framed_co_flush,
	.create_options = create_options,
	.co_create = framed_co_create,
	.co_measure = framed_co_measure,
	.map = framed_map,
	.co_map = framed_co_map,
	.co_pread = framed_co_pread,
	.co_pwrite = framed_co_pwrite,
	.co_flush = framed_co_flush,
};
