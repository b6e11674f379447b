// SPDX-License-Identifier: GPL-2.0
/* alloc: print how much of a range is allocated in the image itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/allocated.h"
#include "qed-io/io.h"
#include "util/units.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	uint64_t offset, bytes = SECTOR_SIZE, pos, run, sum = 0;
	char text[64];
	bool here;
	int ret;

	ret = io_parse_bytes(argv[1], &offset);
	if (ret == 0 && argc == 3)
		ret = io_parse_bytes(argv[2], &bytes);
	if (ret < 0)
		return ret;
	bytes = offset < io->node->size ? min_u64(bytes, io->node->size - offset) : 0;
	for (pos = 0; pos < bytes; pos += run) {
		ret = io_co_is_allocated(io->node, offset + pos, bytes - pos, &here, &run);
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
	.co_run = co_run,
};
