// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes: what the awaited and the asynchronous commands share.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/timer.h"
#include "block/io.h"
#include "qed-io/request.h"

int io_request_co_read(struct io_request *req)
{
	req->started = aio_now();
	return blk_co_pread(req->io->node, req->offset, req->bytes, req->buf, 0);
}

int io_request_co_write(struct io_request *req)
{
	unsigned int flags = req->flags | io_session_write_flags(req->io);

	req->started = aio_now();
	if (req->zeroes)
		return blk_co_pwrite_zeroes(req->io->node, req->offset, req->bytes, flags);
	return blk_co_pwrite(req->io->node, req->offset, req->bytes, req->buf, flags);
}

static bool matches(const struct io_request *req)
{
	const uint8_t *p = req->buf + req->verify_start;
	uint64_t i;

	for (i = 0; i < req->verify_bytes; i++)
		if (p[i] != req->pattern)
			return false;
	return true;
}

int io_request_show_read(const struct io_request *req)
{
	uint64_t ns = aio_now() - req->started;
	int ret = 0;

	if (req->verify && !matches(req)) {
		printf("Pattern verification failed at offset %" PRIu64 ", %" PRIu64 " bytes\n",
		       req->offset + req->verify_start, req->verify_bytes);
		ret = -EINVAL;
	}
	if (req->show.quiet)
		return ret;
	if (req->show.dump)
		io_print_dump(req->buf, req->bytes, req->offset);
	io_print_report("read", ns, req->offset, req->bytes, req->bytes, &req->show);
	return ret;
}

void io_request_show_write(const struct io_request *req)
{
	if (!req->show.quiet)
		io_print_report("wrote", aio_now() - req->started, req->offset, req->bytes,
				req->bytes, &req->show);
}

int io_request_start(const struct io_request *req, void (*fn)(void *req))
{
	struct io_request *copy = malloc(sizeof(*copy));
	int ret = -ENOMEM;

	if (copy) {
		*copy = *req;
		io_session_begin(req->io);
		ret = co_start(fn, copy);
		if (ret < 0)
			io_session_end(req->io);
	}
	if (ret < 0) {
		printf("%s\n", strerror(-ret));
		free(req->buf);
		free(copy);
	}
	return ret;
}

void io_request_free(struct io_request *req)
{
	io_session_end(req->io);
	free(req->buf);
	free(req);
}
