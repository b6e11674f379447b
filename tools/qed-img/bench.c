// SPDX-License-Identifier: GPL-2.0
/* qed-img bench: measure the time of many requests to an image. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "populate/populate.h"
#include "image/image.h"
#include "image/size.h"
#include "qed-img/bench.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

#define DEFAULT_COUNT 75000
#define DEFAULT_DEPTH 64
#define DEFAULT_BYTES 4096

struct bench_options {
	const char *filename, *format;
	struct bench_job job;
	struct image_cache cache;
	bool native_aio, no_drain, copy_on_read;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
};

/* Parse a number in C notation, from 0 to @max. Returns 0, or 1 after an error message. */
static int parse_number(const char *what, const char *text, unsigned long max, unsigned int *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || value > max || strchr(text, '-'))
		return report_error("Invalid %s specified", what);
	*number = (unsigned int)value;
	return 0;
}

/* Like img_parse_size(), for values that QEMU stores in an int. */
static int parse_int_size(const char *what, const char *text, uint64_t *bytes)
{
	int ret = image_parse_size(text, bytes);

	if (ret == -EINVAL)
		return img_parse_size(what, text, bytes);
	if (ret || *bytes > INT_MAX)
		return report_error("Invalid %s specified. Must be between 0 and %d.", what,
				    INT_MAX);
	return 0;
}

/* QEMU's modes are accepted and ignored: a loop has the best engine that there is. */
static int parse_aio(struct bench_options *o, const char *text)
{
	bool native = !strcmp(text, "native");

	if (!native && strcmp(text, "threads") && strcmp(text, "io_uring"))
		return report_error("Invalid aio option: %s", text);
	o->native_aio |= native; /* a later mode does not clear it */
	return 0;
}

static int parse_value(void *verb, const struct verb_option *option, const char *value)
{
	struct bench_options *o = verb;
	struct bench_job *job = &o->job;

	switch (option->letter) {
	case 'c':
		return parse_number("request count", value, INT_MAX, &job->count);
	case 'd':
		if (parse_number("queue depth", value, INT_MAX, &job->depth))
			return 1;
		/* A depth of 0 would never finish. */
		return job->depth ? 0 : report_error("Invalid queue depth specified");
	case 'i':
		return parse_aio(o, value);
	case 's':
		return parse_int_size("buffer size", value, &job->bytes);
	case 'S':
		return parse_int_size("step_size", value, &job->step);
	case 't':
		if (image_cache_parse(value, &o->cache) < 0)
			return report_error("Invalid cache mode");
		return 0;
	default:
		return parse_number("flush interval", value, INT_MAX, &job->flush_interval);
	}
}

static int parse_pattern(void *verb, const struct verb_option *option, const char *value)
{
	struct bench_options *o = verb;
	unsigned int pattern;

	(void)option;
	if (parse_number("pattern byte", value, UINT8_MAX, &pattern))
		return 1;
	o->job.pattern = (uint8_t)pattern;
	return 0;
}

static const struct verb_option options[] = {
	IMG_IMAGE_OPTS(struct bench_options, source_flags),
	IMG_FORCE_SHARE(struct bench_options, source_flags),
	OPT_CALL_VALUE('c', NULL, parse_value),
	OPT_CALL_VALUE('d', NULL, parse_value),
	OPT_TEXT('f', NULL, struct bench_options, format),
	OPT_CALL_VALUE('i', NULL, parse_value),
	OPT_SWITCH('n', NULL, struct bench_options, native_aio),
	IMG_SIZE('o', NULL, struct bench_options, job.offset, "offset"),
	OPT_IGNORED('q', NULL), /* qemu-img accepts it, and prints anyway */
	OPT_CALL_VALUE('s', NULL, parse_value),
	OPT_CALL_VALUE('S', NULL, parse_value),
	OPT_CALL_VALUE('t', NULL, parse_value),
	OPT_SWITCH('w', NULL, struct bench_options, job.write),
	OPT_CALL_VALUE(0, "pattern", parse_pattern),
	OPT_CALL_VALUE(0, "flush-interval", parse_value),
	OPT_SWITCH(0, "no-drain", struct bench_options, no_drain),
	OPT_SWITCH(0, "copy-on-read", struct bench_options, copy_on_read),
	IMG_OPTIONS_END,
};

static int parse_options(struct bench_options *o, int argc, char **argv)
{
	if (img_parse_options(argc, argv, options, o))
		return 1;
	o->job.drain = !o->no_drain;
	o->filename = img_one_filename(argc, argv);
	if (!o->filename)
		return 1;
	if (o->job.flush_interval && !o->job.write)
		return report_error("--flush-interval is only available in write tests");
	if (o->job.flush_interval && o->job.flush_interval < o->job.depth)
		return report_error("Flush interval can't be smaller than depth");
	if (o->native_aio && !o->cache.direct)
		return report_error("Could not open '%s': aio=native was specified, but it "
				    "requires cache.direct=on, which was not specified.",
				    o->filename);
	return 0;
}

static struct blk_node *co_open(const struct bench_options *o)
{
	unsigned int flags = o->source_flags;
	struct error err = ERROR_INIT;
	struct blk_node *node;

	if (o->job.write || o->copy_on_read)
		flags |= BLK_O_RDWR;
	if (o->cache.direct)
		flags |= BLK_O_DIRECT;
	node = img_co_open(o->filename, o->format, flags);
	if (node && o->copy_on_read && populate_co_attach(node, true, &err)) {
		report_fail(&err);
		(void)blk_co_close(node); /* nothing was written */
		return NULL;
	}
	return node;
}

static void print_plan(const struct bench_job *job)
{
	printf("Sending %u %s requests, %" PRIu64 " bytes each, %u in parallel "
	       "(starting at offset %" PRIu64 ", step size %" PRIu64 ")\n",
	       job->count, job->write ? "write" : "read", job->bytes, job->depth, job->offset,
	       job->step);
	if (job->flush_interval)
		printf("Sending flush every %u requests\n", job->flush_interval);
	/* A reader of a pipe sees it now; and it is not part of the measurement. */
	fflush(stdout);
}

static int co_bench(struct bench_options *o)
{
	struct bench_job *job = &o->job;
	double seconds;
	int ret, closed;

	job->node = co_open(o);
	if (!job->node)
		return 1;
	if (!job->step)
		job->step = job->bytes;
	if (job->write && o->cache.writethrough)
		job->write_flags = BLK_REQ_FUA;
	print_plan(job);
	if (o->cache.no_flush)
		job->flush_interval = 0;
	ret = bench_co_run(job, &seconds);
	if (ret < 0)
		report_error("Failed request: %s", strerror(-ret));
	else
		printf("Run completed in %3.3f seconds.\n", seconds);
	/* Closing would drop clusters that copy-on-read has not kept yet. */
	if (o->copy_on_read)
		populate_co_drain(job->node);
	closed = blk_co_close(job->node);
	if (closed < 0 && !ret)
		return report_error("%s: %s", o->filename, strerror(-closed));
	return ret < 0;
}

static int run(int argc, char **argv)
{
	struct bench_options o = {
		.job = {
			.count = DEFAULT_COUNT,
			.depth = DEFAULT_DEPTH,
			.bytes = DEFAULT_BYTES,
		},
	};

	if (parse_options(&o, argc, argv))
		return 1;
	return co_bench(&o);
}

const struct verb img_bench_verb = {
	.name = "bench",
	.synopsis = "[--image-opts] "
		    "[-c COUNT] [-d DEPTH] [-f FMT] [-i AIO] [-n] [-o OFFSET] [-q] [-s BYTES] "
		    "[-S STEP] [-t CACHE] [-w] [--flush-interval=COUNT] [--no-drain] "
		    "[--pattern=BYTE] [--copy-on-read] [-U] FILE",
	.summary = "tell how long many requests to an image take",
	.options =
		"  --image-opts            as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -c COUNT                requests in all (75000)\n"
		"  -d DEPTH                requests in flight at once (64)\n"
		"  -f FMT                  format of the image; probed otherwise\n"
		"  -i AIO                  threads, native or io_uring: taken, without effect\n"
		"  -n                      as -i native; with -t none or directsync\n"
		"  -o OFFSET               where the first request begins (0)\n"
		"  -q                      taken, without effect\n"
		"  -s BYTES                bytes of a request (4096)\n"
		"  -S STEP                 bytes from one request to the next (as -s)\n"
		"  -t CACHE                cache mode (writeback)\n"
		"  -w                      write instead of reading\n"
		"  --pattern=BYTE          what is written (0)\n"
		"  --flush-interval=COUNT  with -w: a flush after so many requests\n"
		"  --no-drain              nobody waits for these flushes\n"
		"  --copy-on-read          keep in the image what is read from its backing file\n"
		"  -U, --force-share       also when another process writes to the image\n",
	.example = "qed-img bench -c 10000 -d 32 -t none vm1.qed",
	.run = run,
};
