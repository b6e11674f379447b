// SPDX-License-Identifier: GPL-2.0
/*
 * The speed of streaming an image, its CPU time, and the latency of reads meanwhile.
 *
 *	bench_stream GOLDEN OVERLAY [--format raw|qed|qcow2] [--buffered] [--speed BYTES]
 *		     [--reads beside|alone]
 *
 * Make OVERLAY, a QED image over the file GOLDEN, stream it to the end, and print the elapsed
 * seconds and the seconds of CPU time.  With --reads, do random reads of 4 KiB, one at a time, for
 * two seconds, beside the stream or without one, and print their latency instead.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "block/io.h"
#include "job/stream.h"
#include "populate/populate.h"
#include "util/units.h"

#define READ_BYTES 4096u
#define READ_NS	   (2 * 1000000000ULL)
#define MAX_READS  1000000u

struct bench {
	const char *golden, *overlay, *format;
	const char *reads; /* "beside", "alone", or NULL */
	uint64_t speed; /* bytes per second, 0: unlimited */
	bool buffered, failed;
};

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int co_make(struct bench *b, struct blk_node **node, struct error *err)
{
	struct blk_open_opts look = { .format = b->format };
	struct blk_create_opts create = { .filename = b->overlay,
					  .format = "qed",
					  .backing_file = b->golden,
					  .backing_format = b->format };
	struct blk_open_opts opts = { .format = "qed",
				      .backing_format = b->format,
				      .flags = BLK_O_RDWR | (b->buffered ? 0 : BLK_O_DIRECT) };
	int ret = blk_co_open(node, b->golden, &look, err);

	if (ret)
		return ret;
	create.size = round_up((*node)->size, SECTOR_SIZE);
	ret = blk_co_close(*node);
	if (!ret)
		ret = blk_co_create(&create, err);
	if (!ret)
		ret = blk_co_open(node, b->overlay, &opts, err);
	return ret ? ret : populate_co_attach(*node, false, err);
}

static int co_stream(struct bench *b, struct blk_node *node, struct error *err)
{
	struct stream_opts opts = { .speed = b->speed };
	struct stream_status status;
	uint64_t begin = aio_now();
	double cpu = cpu_seconds();
	struct stream *stream;
	int ret = stream_co_start(&stream, node, &opts, err);

	if (ret)
		return ret;
	job_co_wait_end(&stream->job);
	stream_get_status(stream, &status);
	stream_co_free(stream);
	if (status.state != JOB_DONE)
		return error_set(err, -EIO, "%s", status.error);
	printf("stream: %.2f s, %.2f s of a processor, %llu bytes read\n",
	       (double)(aio_now() - begin) / 1e9, cpu_seconds() - cpu,
	       (unsigned long long)status.source_bytes);
	return 0;
}

/* ---- Reads ---- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Read until the time is over, or until *@stream, if not NULL, has ended. */
static int co_read_on(struct blk_node *node, struct stream *stream, uint64_t *took, size_t *n)
{
	uint64_t end = aio_now() + READ_NS, blocks = node->size / READ_BYTES;
	void *buf = aligned_alloc(READ_BYTES, READ_BYTES);
	struct stream_status status;
	int ret = buf ? 0 : -ENOMEM;

	*n = 0;
	while (!ret && *n < MAX_READS && aio_now() < end) {
		uint64_t begin = aio_now();

		if (stream)
			stream_get_status(stream, &status);
		if (stream && job_state_is_last(status.state))
			break;
		ret = blk_co_pread(node, (uint64_t)random() % blocks * READ_BYTES, READ_BYTES, buf,
				   0);
		took[(*n)++] = aio_now() - begin;
	}
	free(buf);
	return ret;
}

static int co_time_reads(struct bench *b, struct blk_node *node, struct error *err)
{
	uint64_t *took = calloc(MAX_READS, sizeof(*took));
	struct stream_opts opts = { 0 };
	struct stream *stream = NULL;
	size_t n = 0;
	int ret = took ? 0 : error_set_errno(err, -ENOMEM, "reads");

	if (!ret && !strcmp(b->reads, "beside"))
		ret = stream_co_start(&stream, node, &opts, err);
	if (!ret) {
		ret = co_read_on(node, stream, took, &n);
		if (ret || !n)
			ret = error_set_errno(err, ret ? ret : -EIO, "%s: reading", b->overlay);
	}
	if (!ret) {
		qsort(took, n, sizeof(*took), compare_u64);
		printf("reads: %zu, median %.1f us, p99 %.1f us\n", n, (double)took[n / 2] / 1000,
		       (double)took[n * 99 / 100] / 1000);
	}
	if (stream) {
		job_cancel(&stream->job);
		job_co_wait_end(&stream->job);
		stream_co_free(stream);
	}
	free(took);
	return ret;
}

static void run(void *arg)
{
	struct bench *b = arg;
	struct error err = ERROR_INIT;
	struct blk_node *node;
	int ret = co_make(b, &node, &err);

	if (!ret) {
		ret = b->reads ? co_time_reads(b, node, &err) : co_stream(b, node, &err);
		if (blk_co_close(node) && !ret)
			ret = error_set(&err, -EIO, "%s: closing", b->overlay);
	}
	if (ret)
		fprintf(stderr, "bench_stream: %s\n", error_text(&err));
	error_free(&err);
	b->failed = ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "format", required_argument, NULL, 'f' },
						 { "buffered", no_argument, NULL, 'b' },
						 { "speed", required_argument, NULL, 's' },
						 { "reads", required_argument, NULL, 'r' },
						 { NULL, 0, NULL, 0 } };
	struct bench b = { .format = "raw" };
	struct aio_loop *loop;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 1;
		if (opt == 'f')
			b.format = optarg;
		if (opt == 's')
			b.speed = strtoull(optarg, NULL, 10);
		if (opt == 'r')
			b.reads = optarg;
		b.buffered |= opt == 'b';
	}
	if (argc - optind != 2) {
		/* `make bench` runs all benchmarks without arguments. */
		printf("bench_stream: needs GOLDEN and OVERLAY\n");
		return 0;
	}
	b.golden = argv[optind];
	b.overlay = argv[optind + 1];
	if (aio_loop_create(&loop, 64, NULL))
		return 1;
	b.failed |= aio_loop_run_co(loop, run, &b) != 0;
	aio_loop_destroy(loop);
	return b.failed;
}
