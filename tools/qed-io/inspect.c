// SPDX-License-Identifier: GPL-2.0
/* info, length, alloc, map: what an image is, and what is allocated in it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/io.h"
#include "qed-io/command.h"
#include "qed-io/text.h"
#include "util/units.h"

/* Return the scheme of an export's name: "nbd+unix" of "nbd+unix:///". */
static const char *scheme_of(const struct blk_node *node, int *len)
{
	const char *end = strstr(node->filename, "://");

	if (!node->file->protocol || !end)
		end = NULL;
	*len = end ? (int)(end - node->filename) : (int)strlen(node->protocol);
	return end ? node->filename : node->protocol;
}

static int co_info(const struct io_call *call)
{
	struct blk_node *node = call->io->node;
	struct blk_info info;
	const char *scheme;
	char text[64];
	int len, ret;

	printf("format name: %s\n", blk_node_format(node));
	/* QEMU's protocol drivers have two names. */
	if (node->protocol) {
		scheme = scheme_of(node, &len);
		printf("format name: %.*s\n", len, scheme);
	}
	/* QEMU has no further information on a raw export. */
	if (node->file->protocol && !node->cluster_size)
		return -ENOTSUP;
	ret = blk_co_info(node, &info);
	if (ret < 0) {
		io_error("%s: %s", node->filename, strerror(-ret));
		return ret;
	}
	printf("cluster size: %s\n",
	       io_format_bytes(text, sizeof(text), (double)info.cluster_size));
	printf("vm state offset: %s\n",
	       io_format_bytes(text, sizeof(text), (double)info.vm_state_offset));
	image_print_specific(&info);
	return 0;
}

const struct io_command io_info_command = {
	.name = "info",
	.altname = "i",
	.summary = "prints information about the current file",
	.flags = IO_LOOKS | IO_HOLDS,
	.co_run = co_info,
};

static int co_length(const struct io_call *call)
{
	char text[64];

	printf("%s\n", io_format_bytes(text, sizeof(text), (double)call->io->node->size));
	return 0;
}

const struct io_command io_length_command = {
	.name = "length",
	.altname = "l",
	.summary = "gets the length of the current file",
	.flags = IO_HOLDS,
	.co_run = co_length,
};

/*
 * Set *@here to whether the byte at @offset is allocated in @node itself (as data or
 * zeroes), and *@run to the number of bytes, at most @bytes, with the same status.
 */
static int co_is_allocated(struct blk_node *node, uint64_t offset, uint64_t bytes, bool *here,
			   uint64_t *run)
{
	struct blk_status st;
	int ret = blk_co_status(node, offset, bytes, &st);

	if (ret < 0)
		return ret;
	*here = st.depth == 0 && st.kind != BLK_MAP_BACKING;
	*run = st.bytes;
	return 0;
}

static int co_alloc(const struct io_call *call)
{
	struct blk_node *node = call->io->node;
	uint64_t offset, bytes = SECTOR_SIZE, pos, run, sum = 0;
	char text[64];
	bool here;
	int ret = io_parse_bytes(call->argv[1], &offset);

	if (ret == 0 && call->argc == 3)
		ret = io_parse_bytes(call->argv[2], &bytes);
	if (ret < 0)
		return ret;
	bytes = offset < node->size ? min_u64(bytes, node->size - offset) : 0;
	for (pos = 0; pos < bytes; pos += run) {
		ret = co_is_allocated(node, offset + pos, bytes - pos, &here, &run);
		if (ret < 0) {
			printf("is_allocated failed: %s\n", strerror(-ret));
			return ret;
		}
		sum += here ? run : 0;
	}
	printf("%" PRIu64 "/%" PRIu64 " bytes allocated at offset %s\n", sum, bytes,
	       io_format_bytes(text, sizeof(text), (double)offset));
	return 0;
}

const struct io_command io_alloc_command = {
	.name = "alloc",
	.altname = "a",
	.args = "offset [count]",
	.summary = "checks if offset is allocated in the file",
	.argmin = 1,
	.argmax = 2,
	.flags = IO_LOOKS | IO_HOLDS,
	.co_run = co_alloc,
};

static void print_run(uint64_t offset, uint64_t bytes, bool here)
{
	char size[64], where[64];

	printf("%s (0x%" PRIx64 ") bytes %s at offset %s (0x%" PRIx64 ")\n",
	       io_format_bytes(size, sizeof(size), (double)bytes), bytes,
	       here ? "    allocated" : "not allocated",
	       io_format_bytes(where, sizeof(where), (double)offset), offset);
}

static int co_map(const struct io_call *call)
{
	struct blk_node *node = call->io->node;
	uint64_t start = 0, pos = 0, end = node->size, run;
	bool here, last = false;
	int ret;

	for (; pos < end; pos += run) {
		ret = co_is_allocated(node, pos, end - pos, &here, &run);
		if (ret < 0) {
			io_error("Failed to get allocation status: %s", strerror(-ret));
			return ret;
		}
		if (pos > start && here != last) {
			print_run(start, pos - start, last);
			start = pos;
		}
		last = here;
	}
	if (end > start)
		print_run(start, end - start, last);
	return 0;
}

const struct io_command io_map_command = {
	.name = "map",
	.args = "",
	.summary = "prints the allocated areas of a file",
	.flags = IO_LOOKS | IO_HOLDS,
	.co_run = co_map,
};
