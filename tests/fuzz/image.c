// SPDX-License-Identifier: GPL-2.0
/* An image of arbitrary bytes, in a file in memory, opened as programs do. */
#include <stdio.h>
#include <unistd.h>

#include "block/io.h"
#include "fuzz.h"
#include "util/units.h"

/* Limits of the work on one image, whatever size it claims. */
#define MAX_RUNS   200
#define MAX_READS  24
#define READ_BYTES (64 * KiB)

struct call {
	const char *format;
	const uint8_t *data;
	size_t size;
	bool write;
	bool check; /* open it for a check alone, which needs no readable data */
};

/* Walk the runs up to the limit; none may be empty, or extend beyond the end. */
static void walk_map(struct blk_node *node)
{
	uint64_t size = atomic_load(&node->size), pos = 0;
	struct blk_status status;

	for (int i = 0; i < MAX_RUNS && pos < size; i++) {
		if (blk_co_status(node, pos, size - pos, &status)) {
			pos += min_u64(size - pos, node->cluster_size ? node->cluster_size : 512);
			continue;
		}
		fuzz_require(status.bytes && status.bytes <= size - pos,
			     "a run has a wrong length");
		pos += status.bytes;
	}
}

/* Do reads spread over the image, of odd lengths and offsets; a damaged image may fail them. */
static void read_some(struct blk_node *node, uint8_t *buf)
{
	uint64_t size = atomic_load(&node->size);

	for (uint64_t i = 0; i < MAX_READS && size; i++) {
		uint64_t offset = i < 4 ? min_u64(i * 512, size - 1) : size / MAX_READS * i;
		uint64_t bytes = min_u64(size - offset, i & 1 ? READ_BYTES : 513);

		(void)blk_co_pread(node, offset, bytes, buf, 0);
	}
}

static void write_some(struct blk_node *node, uint8_t *buf)
{
	uint64_t size = atomic_load(&node->size);
	uint64_t bytes = min_u64(size, 4096), far = round_down(size - bytes, 4096);

	(void)blk_co_pwrite(node, 0, bytes, buf, 0);
	(void)blk_co_pwrite(node, far, bytes, buf, BLK_REQ_FUA);
	(void)blk_co_pwrite_zeroes(node, far / 2, bytes, BLK_REQ_MAY_UNMAP);
	(void)blk_co_pdiscard(node, 0, min_u64(size, 1 * MiB));
	(void)blk_co_flush(node);
}

static void use(struct blk_node *node, bool write)
{
	static uint8_t buf[READ_BYTES];
	struct blk_check_result result;
	struct error err = ERROR_INIT;
	struct blk_info info;

	(void)blk_co_info(node, &info);
	walk_map(node);
	read_some(node, buf);
	if (node->driver->co_check) {
		unsigned int fix = write ? BLK_FIX_LEAKS | BLK_FIX_ERRORS : 0;

		(void)blk_co_check(node, fix, NULL, NULL, &result, &err);
		error_free(&err);
	}
	if (write)
		write_some(node, buf);
}

static void count_lines(void *arg, const char *line)
{
	uint64_t *lines = arg;

	for (const char *p = line; *p; p++)
		fuzz_require(*p >= ' ' || *p < 0, "a control character in a line of a check");
	++*lines;
}

/* Every finding has a line. */
static void check(struct blk_node *node)
{
	struct blk_check_result result;
	struct error err = ERROR_INIT;
	uint64_t lines = 0;

	if (!blk_co_check(node, 0, count_lines, &lines, &result, &err))
		fuzz_require(lines >= result.corruptions + result.leaks + result.check_errors,
			     "a finding without a line");
	error_free(&err);
}

static void co_run(void *arg)
{
	const struct call *call = arg;
	struct blk_open_opts opts = {
		.format = call->format,
		.flags = BLK_O_NO_BACKING | BLK_O_NO_LOCK | BLK_O_CHECK |
			 (call->write ? BLK_O_RDWR : 0) | (call->check ? BLK_O_METADATA : 0),
		.l2_cache_size = 64 * KiB,
	};
	struct error err = ERROR_INIT;
	struct blk_node *node;
	char name[64];
	int fd = fuzz_memfd("image", call->data, call->size);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (!blk_co_open(&node, name, &opts, &err)) {
		if (call->check)
			check(node);
		else
			use(node, call->write);
		(void)blk_co_close(node);
	} else {
		fuzz_require(error_text(&err)[0], "an error without a line");
	}
	error_free(&err);
	close(fd);
}

static void run(const char *format, const uint8_t *data, size_t size, bool write)
{
	struct call call = { .format = format, .data = data, .size = size, .write = write };

	fuzz_run_co(co_run, &call);
}

void fuzz_read_image(const char *format, const uint8_t *data, size_t size)
{
	run(format, data, size, false);
}

void fuzz_check_image(const char *format, const uint8_t *data, size_t size)
{
	struct call call = { .format = format, .data = data, .size = size, .check = true };

	fuzz_run_co(co_run, &call);
}

void fuzz_write_image(const char *format, const uint8_t *data, size_t size)
{
	run(format, data, size, true);
}
