// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of copy-on-read for a reader: 4 KiB random reads, 16 in flight, of a new overlay over a
 * golden file, with and without it, alternately.
 *
 *	bench_copy_on_read [--ops N] [--size MIB] [--rounds N] [--buffered]
 *
 * No block is read twice.  Files are in $TMPDIR.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "block/io.h"
#include "populate/populate.h"
#include "util/units.h"

#define BLOCK	   4096u
#define DEPTH	   16u
#define MAX_ROUNDS 99u

struct bench {
	char dir[256], golden[300], overlay[300];
	uint64_t size, ops;
	unsigned int rounds;
	bool buffered, failed;

	bool copy_on_read; /* of the current run */
	struct blk_node *node;
	uint64_t next, left;
	uint64_t *blocks; /* in random order */
	uint64_t *latency; /* ns, by operation */
	struct co *waiter;

	double rate[2][MAX_ROUNDS], p99[2][MAX_ROUNDS], drain[MAX_ROUNDS];
};

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare_double);
	return values[n / 2];
}

static bool make_golden(struct bench *b)
{
	uint64_t seed = 88172645463325252ULL, *buf = malloc(MiB);
	int fd = open(b->golden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && buf;

	for (uint64_t pos = 0; ok && pos < b->size; pos += MiB) {
		for (unsigned int i = 0; i < MiB / 8; i++)
			buf[i] = next_random(&seed);
		ok = pwrite(fd, buf, MiB, (off_t)pos) == (ssize_t)MiB;
	}
	ok = ok && !fsync(fd);
	if (fd >= 0)
		close(fd);
	free(buf);
	return ok;
}

static void reader(void *arg)
{
	struct bench *b = arg;
	void *buf = aligned_alloc(BLOCK, BLOCK);

	while (buf && b->next < b->ops) {
		uint64_t op = b->next++, start = aio_now();

		if (blk_co_pread(b->node, b->blocks[op] * BLOCK, BLOCK, buf, 0))
			b->failed = true;
		b->latency[op] = aio_now() - start;
	}
	b->failed |= !buf;
	free(buf);
	if (!--b->left)
		co_wake(b->waiter);
}

static void shuffle(struct bench *b, uint64_t seed)
{
	uint64_t n = b->size / BLOCK;

	for (uint64_t i = 0; i < n; i++)
		b->blocks[i] = i;
	for (uint64_t i = n - 1; i; i--) {
		uint64_t j = next_random(&seed) % (i + 1), block = b->blocks[i];

		b->blocks[i] = b->blocks[j];
		b->blocks[j] = block;
	}
}

static bool open_overlay(struct bench *b)
{
	struct blk_create_opts create = { .filename = b->overlay,
					  .format = "qed",
					  .size = b->size,
					  .backing_file = b->golden,
					  .backing_format = "raw" };
	struct blk_open_opts opts = { .format = "qed",
				      .flags = BLK_O_RDWR | (b->buffered ? 0 : BLK_O_DIRECT) };
	struct error err = ERROR_INIT;

	if (!blk_co_create(&create, &err) && !blk_co_open(&b->node, b->overlay, &opts, &err) &&
	    !populate_co_attach(b->node, b->copy_on_read, &err))
		return true;
	fprintf(stderr, "bench_copy_on_read: %s\n", error_text(&err));
	error_free(&err);
	return false;
}

static void run_readers(struct bench *b)
{
	b->next = 0;
	b->left = DEPTH;
	b->waiter = co_self();
	for (unsigned int i = 0; i < DEPTH; i++)
		if (co_start(reader, b)) {
			b->failed = true;
			b->left--;
		}
	if (b->left)
		co_park();
}

static void one_run(void *arg)
{
	struct bench *b = arg;
	unsigned int which = b->copy_on_read, round = b->rounds;
	uint64_t start;

	if (!open_overlay(b)) {
		b->failed = true;
		return;
	}
	start = aio_now();
	run_readers(b);
	b->rate[which][round] = (double)b->ops * 1e9 / (double)(aio_now() - start);
	qsort(b->latency, b->ops, sizeof(*b->latency), compare_u64);
	b->p99[which][round] = (double)b->latency[b->ops * 99 / 100] / 1000;
	start = aio_now();
	populate_co_drain(b->node);
	if (which)
		b->drain[round] = (double)(aio_now() - start) / 1e9;
	if (blk_co_close(b->node))
		b->failed = true;
}

static bool run_all(struct bench *b, unsigned int rounds)
{
	struct aio_loop *loop;
	struct error err = ERROR_INIT;

	if (aio_loop_create(&loop, 128, &err)) {
		fprintf(stderr, "bench_copy_on_read: %s\n", error_text(&err));
		return false;
	}
	for (b->rounds = 0; b->rounds < rounds && !b->failed; b->rounds++) {
		shuffle(b, 99 + b->rounds);
		for (unsigned int i = 0; i < 2 && !b->failed; i++) {
			b->copy_on_read = (i + b->rounds) % 2;
			if (aio_loop_run_co(loop, one_run, b))
				b->failed = true;
		}
	}
	aio_loop_destroy(loop);
	return !b->failed;
}

static void report(struct bench *b, unsigned int rounds)
{
	double rate[2], p99[2];

	for (unsigned int i = 0; i < 2; i++) {
		rate[i] = median(b->rate[i], rounds);
		p99[i] = median(b->p99[i], rounds);
		printf("copy-on-read %-3s  %8.0f reads/s  p99 %8.0f us\n", i ? "on" : "off",
		       rate[i], p99[i]);
	}
	printf("on / off: rate %.2f, p99 %.2f; kept %.2f s after the last read\n",
	       rate[1] / rate[0], p99[1] / p99[0], median(b->drain, rounds));
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "ops", required_argument, NULL, 'o' },
						 { "size", required_argument, NULL, 's' },
						 { "rounds", required_argument, NULL, 'r' },
						 { "buffered", no_argument, NULL, 'b' },
						 { NULL, 0, NULL, 0 } };
	struct bench b = { .size = 1024 * MiB, .ops = 10000 };
	const char *tmp = getenv("TMPDIR");
	unsigned int rounds = 3;
	bool ok;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'o')
			b.ops = strtoull(optarg, NULL, 10);
		else if (opt == 's')
			b.size = strtoull(optarg, NULL, 10) * MiB;
		else if (opt == 'r')
			rounds = (unsigned int)min_u64(strtoul(optarg, NULL, 10), MAX_ROUNDS);
		else if (opt == 'b')
			b.buffered = true;
		else
			return 1;
	}
	b.ops = min_u64(b.ops, b.size / BLOCK);
	snprintf(b.dir, sizeof(b.dir), "%s/bench-cor-XXXXXX", tmp ? tmp : "/var/tmp");
	b.blocks = calloc(b.size / BLOCK + 1, sizeof(*b.blocks));
	b.latency = calloc(b.ops + 1, sizeof(*b.latency));
	if (!b.blocks || !b.latency || !b.ops || !rounds || !mkdtemp(b.dir)) {
		fprintf(stderr, "bench_copy_on_read: %s\n", strerror(errno ? errno : EINVAL));
		return 1;
	}
	snprintf(b.golden, sizeof(b.golden), "%s/golden", b.dir);
	snprintf(b.overlay, sizeof(b.overlay), "%s/overlay", b.dir);
	ok = make_golden(&b) && run_all(&b, rounds);
	if (ok)
		report(&b, rounds);
	(void)unlink(b.overlay);
	(void)unlink(b.golden);
	(void)rmdir(b.dir);
	free(b.blocks);
	free(b.latency);
	return !ok;
}
