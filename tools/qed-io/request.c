// SPDX-License-Identifier: GPL-2.0
/*
 * Running reads and writes, synchronously or asynchronously, and printing their
 * results.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/timer.h"
#include "block/io.h"
#include "qed-io/request.h"
#include "util/units.h"

/* The content of a buffer before a read. */
#define UNREAD_BYTE 0xab

static int co_read(struct io_request *req)
{
	if (req->vm_state) /* no format here has VM state */
		return -ENOTSUP;
	return blk_co_pread(req->io->node, req->offset, req->bytes, req->buf, 0);
}

static bool is_inside(const struct io_request *req)
{
	uint64_t size = req->io->node->size;

	return req->offset <= size && req->bytes <= size - req->offset;
}

static int co_write(struct io_request *req)
{
	struct blk_node *node = req->io->node;
	unsigned int flags = req->flags | io_session_write_flags(req->io);

	if (req->compressed && !req->vm_state && !is_inside(req))
		return -EIO;
	/* No format here stores VM state or compresses. */
	if (req->vm_state || (req->compressed && !req->zeroes))
		return -ENOTSUP;
	if (req->no_fallback && !node->driver->co_pwrite_zeroes)
		return -ENOTSUP;
	if (req->zeroes)
		return blk_co_pwrite_zeroes(node, req->offset, req->bytes, flags);
	return blk_co_pwrite(node, req->offset, req->bytes, req->buf, flags);
}

/* Execute the request. Returns 0 or a negative errno, and sets *@ns to the time taken. */
static int co_carry_out(struct io_request *req, uint64_t *ns)
{
	uint64_t started = aio_now();
	int ret = req->kind->write ? co_write(req) : co_read(req);

	*ns = aio_now() - started;
	if (ret == 0 && req->kind->write)
		req->io->written = true;
	return ret;
}

static bool has_pattern(const struct io_request *req)
{
	const uint8_t *p = req->buf + req->verify_start;
	uint64_t i;

	for (i = 0; i < req->verify_bytes; i++)
		if (p[i] != req->pattern)
			return false;
	return true;
}

/* Print the result. Returns @ret, or -EINVAL when the pattern differs. */
static int show(const struct io_request *req, int ret, uint64_t ns)
{
	bool write = req->kind->write;

	if (ret < 0) {
		printf("%s: %s\n", req->kind->failure, strerror(-ret));
		return ret;
	}
	if (!write && req->has_pattern && !has_pattern(req)) {
		printf("Pattern verification failed at offset %" PRIu64 ", %" PRIu64 " bytes\n",
		       req->offset + req->verify_start, req->verify_bytes);
		ret = -EINVAL;
	}
	if (req->show.quiet)
		return ret;
	if (req->show.dump)
		io_print_dump(req->buf, req->bytes, req->offset);
	io_print_report(write ? "wrote" : "read", ns, req->offset, req->bytes, req->bytes,
			&req->show);
	return ret;
}

static void co_beside(void *arg)
{
	struct io_request *req = arg;
	struct io_session *io = req->io;
	uint64_t ns;
	int ret = co_carry_out(req, &ns);

	io_session_co_wait_told(io, req->returned);
	show(req, ret, ns);
	io_buffer_free(io, req->buf);
	free(req);
	io_session_end(io);
}

/* Run @req asynchronously; takes ownership of its buffer. */
static int start_beside(const struct io_request *req)
{
	struct io_request *copy = malloc(sizeof(*copy));
	int ret = -ENOMEM;

	if (copy) {
		*copy = *req;
		io_session_begin(req->io);
		ret = co_start(co_beside, copy);
		if (ret == 0) {
			/* @copy still exists: its coroutine waits for @returned. */
			copy->returned = true;
			return 0;
		}
		io_session_end(req->io);
	}
	printf("%s: %s\n", req->kind->failure, strerror(-ret));
	io_buffer_free(req->io, req->buf);
	free(copy);
	return ret;
}

/* Fill @buf with the file's bytes, repeated. */
static int fill_from(const char *name, uint8_t *buf, uint64_t bytes)
{
	FILE *file = fopen(name, "r");
	bool failed = !file;
	uint64_t pos;
	size_t len = 0;

	if (file) {
		len = fread(buf, 1, bytes, file);
		failed = ferror(file);
	}
	if (failed)
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
	else if (!len)
		fprintf(stderr, "%s: file is empty\n", name);
	if (file)
		fclose(file);
	if (failed || !len)
		return -EINVAL;
	for (pos = len; pos < bytes; pos += len)
		memcpy(buf + pos, buf, min_u64(len, bytes - pos));
	return 0;
}

static int make_buffer(struct io_request *req)
{
	int ret = 0;

	if (req->zeroes)
		return 0;
	req->buf = io_buffer(req->io, req->bytes, req->kind->write ? req->pattern : UNREAD_BYTE);
	if (!req->buf)
		return -ENOMEM;
	if (req->source)
		ret = fill_from(req->source, req->buf, req->bytes);
	return ret;
}

int io_request_co_run(struct io_session *io, const struct io_command *command, int argc,
		      char **argv)
{
	const struct io_request_kind *kind = command->request;
	struct io_request req = { .io = io, .command = command, .kind = kind };
	uint64_t ns;
	int ret = io_request_parse(&req, argc, argv);

	if (ret < 0)
		return ret;
	if (req.invalid) {
		printf("injecting invalid %s request\n", kind->write ? "write" : "read");
		return 0;
	}
	ret = make_buffer(&req);
	if (ret == 0 && kind->async)
		return start_beside(&req);
	if (ret == 0) {
		ret = co_carry_out(&req, &ns);
		/*
		 * As in qemu-io, results of other requests are printed first, even if this one
		 * fails at once.
		 */
		if (kind->many_lengths)
			io_co_yield();
		ret = show(&req, ret, ns);
	}
	io_buffer_free(io, req.buf);
	return ret;
}
