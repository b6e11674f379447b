// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img compare: do two images hold the same?
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "block/zero.h"
#include "common/image.h"
#include "qed-img/img.h"
#include "qed-img/progress.h"
#include "util/units.h"

/* Exit statuses, as scripts know them. */
enum compare_status {
	COMPARE_SAME = 0,
	COMPARE_DIFFERENT = 1,
	COMPARE_FAILED = 1, /* the command line, too */
	COMPARE_NO_OPEN = 2,
	COMPARE_NO_MAP = 3,
	COMPARE_NO_READ = 4,
};

/* How much is read of each at once, bytes. */
#define PIECE (2 * MiB)

struct side {
	const char *name, *format;
	struct blk_node *node;
	uint8_t *buf; /* PIECE bytes */
	/* What is at the offset at hand. */
	struct blk_status status;
	bool present; /* some image of the chain says what is there */
};

struct compare {
	struct side a, b;
	bool strict, quiet, progress;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	const char *cache;
	uint64_t total; /* bytes, of the larger one */
};

static int differ(const struct compare *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int differ(const struct compare *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!c->quiet)
		vprintf(fmt, ap);
	va_end(ap);
	return COMPARE_DIFFERENT;
}

static int co_look(struct side *side, uint64_t offset, uint64_t bytes)
{
	struct blk_status *st = &side->status;

	if (blk_co_status(side->node, offset, bytes, st)) {
		report_error("Sector allocation test failed for %s", side->name);
		return COMPARE_NO_MAP;
	}
	/* What a backing file is too short for belongs to nobody. */
	side->present = st->kind != BLK_MAP_BACKING && !(st->depth && offset >= st->node->size);
	return 0;
}

static bool is_zero(const struct side *side)
{
	return side->status.kind != BLK_MAP_DATA;
}

/* What --strict wants to be alike: the kind, who says so, and whether it has a place. */
static bool same_status(const struct side *a, const struct side *b)
{
	return is_zero(a) == is_zero(b) && a->present == b->present &&
	       !a->status.file == !b->status.file;
}

static int co_read(struct side *side, uint64_t offset, uint64_t bytes)
{
	int ret = blk_co_pread(side->node, offset, bytes, side->buf, 0);

	if (!ret)
		return 0;
	report_error("Error while reading offset %" PRIu64 " of %s: %s", offset, side->name,
		     strerror(-ret));
	return COMPARE_NO_READ;
}

/* The first sector of @bytes at which @a and @b (NULL: zeroes) differ, or @bytes. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t bytes)
{
	uint64_t pos, n;

	for (pos = 0; pos < bytes; pos += n) {
		n = min_u64(bytes - pos, SECTOR_SIZE);
		if (b ? memcmp(a + pos, b + pos, n) : !buffer_is_zero(a + pos, n))
			return pos;
	}
	return bytes;
}

/* Is there nothing but zeroes? */
static int co_check_zero(const struct compare *c, struct side *side, uint64_t offset,
			 uint64_t bytes)
{
	int status = co_read(side, offset, bytes);
	uint64_t pos;

	if (status)
		return status;
	if (buffer_is_zero(side->buf, bytes))
		return 0;
	pos = first_difference(side->buf, NULL, bytes);
	return differ(c, "Content mismatch at offset %" PRIu64 "!\n", offset + pos);
}

static int co_check_data(struct compare *c, uint64_t offset, uint64_t bytes)
{
	int status = co_read(&c->a, offset, bytes);
	uint64_t pos;

	if (!status)
		status = co_read(&c->b, offset, bytes);
	if (status || !memcmp(c->a.buf, c->b.buf, bytes))
		return status;
	pos = first_difference(c->a.buf, c->b.buf, bytes);
	return differ(c, "Content mismatch at offset %" PRIu64 "!\n", offset + pos);
}

/* What both have.  Nothing is read that is known to be zero. */
static int co_compare_common(struct compare *c, uint64_t end)
{
	uint64_t offset = 0, n;
	int status;

	while (offset < end) {
		status = co_look(&c->a, offset, end - offset);
		if (!status)
			status = co_look(&c->b, offset, end - offset);
		if (status)
			return status;
		n = min_u64(c->a.status.bytes, c->b.status.bytes);
		if (c->strict && !same_status(&c->a, &c->b))
			return differ(c, "Strict mode: Offset %" PRIu64 " block status mismatch!\n",
				      offset);
		if (!is_zero(&c->a) || !is_zero(&c->b)) {
			n = min_u64(n, PIECE);
			if (is_zero(&c->a))
				status = co_check_zero(c, &c->b, offset, n);
			else if (is_zero(&c->b))
				status = co_check_zero(c, &c->a, offset, n);
			else
				status = co_check_data(c, offset, n);
		}
		if (status)
			return status;
		offset += n;
		progress_update(offset, c->total);
	}
	return 0;
}

/* What only the larger one has must be zero. */
static int co_compare_rest(struct compare *c, struct side *larger, uint64_t offset)
{
	uint64_t n;
	int status;

	if (offset == c->total)
		return 0;
	if (!c->quiet)
		printf("Warning: Image size mismatch!\n");
	for (; offset < c->total; offset += n) {
		status = co_look(larger, offset, c->total - offset);
		if (status)
			return status;
		n = larger->status.bytes;
		if (!is_zero(larger)) {
			n = min_u64(n, PIECE);
			status = co_check_zero(c, larger, offset, n);
		}
		if (status)
			return status;
		progress_update(offset + n, c->total);
	}
	return 0;
}

static int co_compare(struct compare *c)
{
	uint64_t size_a = c->a.node->size, size_b = c->b.node->size;
	uint64_t common = min_u64(size_a, size_b);
	int status;

	c->total = max_u64(size_a, size_b);
	if (c->strict && size_a != size_b)
		return differ(c, "Strict mode: Image size mismatch!\n");
	status = co_compare_common(c, common);
	if (!status)
		status = co_compare_rest(c, size_a > size_b ? &c->a : &c->b, common);
	if (!status && !c->quiet)
		printf("Images are identical.\n");
	return status;
}

static int co_open_side(struct side *side, unsigned int flags)
{
	side->node = img_co_open(side->name, side->format, flags);
	if (!side->node)
		return COMPARE_NO_OPEN;
	side->buf = aligned_alloc(4096, PIECE);
	return side->buf ? 0 : report_error("%s", strerror(ENOMEM));
}

static void co_close_side(struct side *side)
{
	free(side->buf);
	if (side->node)
		blk_co_close(side->node);
}

static int co_run_compare(struct compare *c, unsigned int flags)
{
	int status;

	progress_start(c->progress && !c->quiet);
	status = co_open_side(&c->a, flags);
	if (!status)
		status = co_open_side(&c->b, flags);
	if (!status)
		status = co_compare(c);
	co_close_side(&c->a);
	co_close_side(&c->b);
	progress_end();
	return status;
}

static int parse_letters(struct compare *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "force-share", no_argument, NULL, 'U' },
		IMG_SOURCE_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = img_getopt(argc, argv, "f:F:T:pqsU", options)) != -1) {
		switch (opt) {
		case 'f':
			c->a.format = optarg;
			break;
		case 'F':
			c->b.format = optarg;
			break;
		case 'T':
			c->cache = optarg;
			break;
		case 'p':
			c->progress = true;
			break;
		case 'q':
			c->quiet = true;
			break;
		case 's':
			c->strict = true;
			break;
		case 'U':
			c->source_flags |= BLK_O_NO_LOCK;
			break;
		case IMG_OPT_IMAGE_OPTS:
			c->source_flags |= IMG_O_IMAGE_OPTS;
			break;
		case IMG_OPT_BAD_OBJECT:
			return COMPARE_NO_OPEN;
		default:
			return COMPARE_FAILED;
		}
	}
	return 0;
}

static int run(int argc, char **argv)
{
	struct compare c = { .cache = "writeback" };
	struct image_cache mode;
	unsigned int flags;
	int status;

	status = parse_letters(&c, argc, argv);
	if (status)
		return status;
	if (optind != argc - 2)
		return img_usage("Expecting two image file names");
	c.a.name = argv[optind];
	c.b.name = argv[optind + 1];
	if (image_cache_parse(c.cache, &mode) < 0) {
		report_error("Invalid source cache option: %s", c.cache);
		return COMPARE_NO_OPEN;
	}
	flags = (mode.direct ? BLK_O_DIRECT : 0) | c.source_flags;
	return co_run_compare(&c, flags);
}

const struct verb img_compare_verb = {
	.name = "compare",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [-F FMT] [-T CACHE] [-p] [-q] [-s] [-U] FILE FILE",
	.summary = "tell whether two images hold the same",
	.run = run,
};
