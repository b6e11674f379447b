// SPDX-License-Identifier: GPL-2.0
/*
 * read, readv, aio_read, write, writev, aio_write: running the request, synchronously or
 * asynchronously, and printing its result.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/timer.h"
#include "block/io.h"
#include "qed-io/read_write.h"
#include "util/units.h"

/* The content of a buffer before a read. */
#define UNREAD_BYTE 0xab

#define ALIGNMENT	4096
#define MISALIGN_OFFSET 16

/* ---- Buffers, aligned for direct I/O, or with -m misaligned ---- */

static size_t skipped(const struct io_session *io)
{
	return io->misalign ? MISALIGN_OFFSET : 0;
}

static void free_buffer(const struct io_request *req)
{
	if (req->buf)
		free(req->buf - skipped(req->io));
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
	size_t skip = skipped(req->io);
	void *buf;

	if (req->zeroes)
		return 0;
	if (posix_memalign(&buf, ALIGNMENT, req->bytes + skip + !req->bytes)) {
		printf("%s\n", strerror(ENOMEM));
		return -ENOMEM;
	}
	req->buf = (uint8_t *)buf + skip;
	memset(req->buf, req->kind->write ? req->pattern : UNREAD_BYTE, req->bytes);
	return req->source ? fill_from(req->source, req->buf, req->bytes) : 0;
}

/* ---- Requests ---- */

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
	unsigned int flags = req->flags;

	if (req->io->open.cache.writethrough)
		flags |= BLK_REQ_FUA;
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

/* Print @buf in hexadecimal, with offsets from @offset on. */
static void print_dump(const uint8_t *buf, uint64_t len, uint64_t offset)
{
	uint64_t row, i, n;

	for (row = 0; row < len; row += 16) {
		n = min_u64(len - row, 16);
		printf("%08" PRIx64 ":  ", offset + row);
		for (i = 0; i < n; i++)
			printf("%02x ", buf[row + i]);
		putchar(' ');
		for (i = 0; i < n; i++)
			putchar(isascii(buf[row + i]) && isalnum(buf[row + i]) ? buf[row + i] :
										 '.');
		putchar('\n');
	}
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
		print_dump(req->buf, req->bytes, req->offset);
	io_print_report(write ? "wrote" : "read", ns, req->offset, req->bytes, &req->show);
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
	free_buffer(req);
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
	free_buffer(req);
	free(copy);
	return ret;
}

static int co_run(const struct io_call *call)
{
	const struct io_request_kind *kind = call->command->request;
	struct io_request req = { .io = call->io, .kind = kind };
	uint64_t ns;
	int ret = io_request_parse(&req, call);

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
	free_buffer(&req);
	return ret;
}

/* ---- The commands ---- */

static const struct io_request_kind read_kind = {
	.letters = "bCl:pP:qs:v",
	.failure = "read failed",
};

static const struct io_request_kind readv_kind = {
	.letters = "CP:qv",
	.failure = "readv failed",
	.many_lengths = true,
};

static const struct io_request_kind aio_read_kind = {
	.letters = "CP:iqv",
	.failure = "readv failed",
	.many_lengths = true,
	.async = true,
};

static const struct io_request_kind write_kind = {
	.letters = "bcCfnpP:qs:uz",
	.failure = "write failed",
	.write = true,
};

static const struct io_request_kind writev_kind = {
	.letters = "CfqP:",
	.failure = "writev failed",
	.write = true,
	.many_lengths = true,
};

static const struct io_request_kind aio_write_kind = {
	.letters = "CfiqP:uz",
	.failure = "aio_write failed",
	.write = true,
	.many_lengths = true,
	.async = true,
};

#define READ_TEXT                                               \
	" -C   print figures alone, separated by commas\n"      \
	" -P   print an error if a byte differs from PATTERN\n" \
	" -q   print nothing but errors\n"                      \
	" -v   print the bytes too\n"
#define WRITE_TEXT                                         \
	" -P   of this value; 0xcd without it\n"           \
	" -f   durable when it is done\n"                  \
	" -C   print figures alone, separated by commas\n" \
	" -q   print nothing but errors\n"
#define ZERO_TEXT                                   \
	" -z   zeroes, as a write-zeroes request\n" \
	" -u   which may free space (with -z)\n"
#define LENGTHS_TEXT " Several lengths are added up.\n"
#define AIO_TEXT                                                                      \
	" Several lengths are added up.  aio_flush waits for the result; a failure\n" \
	" is printed, but is no failure of this command.\n"

const struct io_command io_read_command = {
	.name = "read",
	.altname = "r",
	.args = "[-abCqv] [-P pattern [-s off] [-l len]] off len",
	.summary = "reads a number of bytes at a specified offset",
	.text = READ_TEXT " -s   check them from this offset of what was read on (with -P)\n"
			  " -l   check this many (with -P)\n"
			  " -b   read the VM state, which no format here gives out\n"
			  " -p   accepted, without effect\n"
			  " -a   refused, as in qemu-io\n",
	.example = "read -v 512 1k",
	.argmin = 2,
	.argmax = -1,
	.request = &read_kind,
	.co_run = co_run,
};

const struct io_command io_readv_command = {
	.name = "readv",
	.args = "[-Cqv] [-P pattern] off len [len..]",
	.summary = "reads a number of bytes at a specified offset",
	.text = LENGTHS_TEXT READ_TEXT,
	.example = "readv -v 512 1k 1k",
	.argmin = 2,
	.argmax = -1,
	.request = &readv_kind,
	.co_run = co_run,
};

const struct io_command io_aio_read_command = {
	.name = "aio_read",
	.args = "[-Ciqv] [-P pattern] off len [len..]",
	.summary = "asynchronously reads a number of bytes",
	.text = AIO_TEXT READ_TEXT " -i   an invalid request: nothing is read\n",
	.example = "aio_read -P 7 0 64k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_HOLDS,
	.request = &aio_read_kind,
	.co_run = co_run,
};

const struct io_command io_write_command = {
	.name = "write",
	.altname = "w",
	.args = "[-bcCfnquz] [-P pattern | -s source_file] off len",
	.summary = "writes a number of bytes at a specified offset",
	.text = WRITE_TEXT " -s   of this file's bytes, again and again\n" ZERO_TEXT
			   " -n   which may not be carried out as a write (with -z)\n"
			   " -b   to the VM state, which no format here has\n"
			   " -c   compressed, which no format here can write\n"
			   " -p   accepted, without effect\n",
	.example = "write -P 0x41 512 1k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.request = &write_kind,
	.co_run = co_run,
};

const struct io_command io_writev_command = {
	.name = "writev",
	.args = "[-Cfq] [-P pattern] off len [len..]",
	.summary = "writes a number of bytes at a specified offset",
	.text = LENGTHS_TEXT WRITE_TEXT,
	.example = "writev 512 1k 1k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.request = &writev_kind,
	.co_run = co_run,
};

const struct io_command io_aio_write_command = {
	.name = "aio_write",
	.args = "[-Cfiquz] [-P pattern] off len [len..]",
	.summary = "asynchronously writes a number of bytes",
	.text = AIO_TEXT WRITE_TEXT ZERO_TEXT " -i   an invalid request: nothing is written\n",
	.example = "aio_write -z 1M 64k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE | IO_HOLDS,
	.request = &aio_write_kind,
	.co_run = co_run,
};
