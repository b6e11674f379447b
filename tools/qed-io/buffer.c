// SPDX-License-Identifier: GPL-2.0
/* Buffers of requests, aligned for direct I/O, or with -m misaligned. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qed-io/io.h"

#define ALIGNMENT	4096
#define MISALIGN_OFFSET 16

static size_t skipped(const struct io_session *io)
{
	return io->misalign ? MISALIGN_OFFSET : 0;
}

void *io_buffer(const struct io_session *io, uint64_t bytes, int fill)
{
	size_t skip = skipped(io);
	void *buf;

	if (posix_memalign(&buf, ALIGNMENT, bytes + skip + !bytes)) {
		printf("%s\n", strerror(ENOMEM));
		return NULL;
	}
	buf = (uint8_t *)buf + skip;
	memset(buf, fill, bytes);
	return buf;
}

void io_buffer_free(const struct io_session *io, void *buf)
{
	if (buf)
		free((uint8_t *)buf - skipped(io));
}
