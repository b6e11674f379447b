// SPDX-License-Identifier: GPL-2.0
/*
 * How fast an image is streamed, and what that takes of a processor.
 *
 *	bench_stream GOLDEN OVERLAY [--format raw|qed|qcow2] [--buffered]
 *
 * Makes OVERLAY, a QED image over the file GOLDEN, streams it to the end, and
 * prints the seconds and the seconds of a processor that this took.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "job/stream.h"
#include "util/units.h"

struct bench {
	const char *golden, *overlay, *format;
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
	return ret ? ret : blk_co_open(node, b->overlay, &opts, err);
}

static int co_stream(struct blk_node *node, struct error *err)
{
	struct stream_opts opts = { 0 };
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

static void run(void *arg)
{
	struct bench *b = arg;
	struct error err = ERROR_INIT;
	struct blk_node *node;
	int ret = co_make(b, &node, &err);

	if (!ret) {
		ret = co_stream(node, &err);
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
						 { NULL, 0, NULL, 0 } };
	struct bench b = { .format = "raw" };
	struct aio_loop *loop;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return 1;
		if (opt == 'f')
			b.format = optarg;
		b.buffered |= opt == 'b';
	}
	if (argc - optind != 2) {
		/* `make bench` runs all without arguments. */
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
