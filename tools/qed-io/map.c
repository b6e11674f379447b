// SPDX-License-Identifier: GPL-2.0
/* map: print which ranges are allocated in the image itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/allocated.h"
#include "qed-io/io.h"

static void print_run(uint64_t offset, uint64_t bytes, bool here)
{
	char size[64], where[64];

	printf("%s (0x%" PRIx64 ") bytes %s at offset %s (0x%" PRIx64 ")\n",
	       io_format_bytes(size, sizeof(size), (double)bytes), bytes,
	       here ? "    allocated" : "not allocated",
	       io_format_bytes(where, sizeof(where), (double)offset), offset);
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	uint64_t start = 0, pos = 0, end = io->node->size, run;
	bool here, last = false;
	int ret;

	(void)argc;
	(void)argv;
	for (; pos < end; pos += run) {
		ret = io_co_is_allocated(io->node, pos, end - pos, &here, &run);
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
	.co_run = co_run,
};
