// SPDX-License-Identifier: GPL-2.0
/*
 * Comparing images: several coroutines each take one piece after another. The common part is
 * cut, in order, into pieces with a uniform status on each side; parts known to be zero are
 * not read. Pieces are read concurrently and end in any order, but the result is the
 * difference or error at the lowest offset: once one is found no more pieces are cut, those
 * before it finish, and the lowest offset is reported.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "aio/lock.h"
#include "block/io.h"
#include "block/zero.h"
#include "cmdline/report.h"
#include "qed-img/compare.h"
#include "qed-img/progress.h"
#include "util/units.h"

/* Bytes read from each image at once, and the number of coroutines. */
#define PIECE	(2 * MiB)
#define WORKERS 8

/* The status of one side, uniform from the offset it was looked up at to @end. */
struct run {
	struct blk_status status;
	bool present; /* an image of the chain has data or zeroes there */
	uint64_t end;
};

/* A range in both images, or in the larger one. */
struct piece {
	uint64_t start, bytes;
	bool read[2]; /* read this side; else it is zero */
};

struct comparer {
	const struct compare_side *sides;
	bool strict;
	uint64_t total; /* bytes of the larger one, for progress */

	struct co_mutex next_lock; /* protects @next and @runs; looking up a status may yield */
	uint64_t next, end; /* the range left to cut */
	struct run runs[2];

	/* Protects the fields below; uncontended on one loop. */
	pthread_mutex_t mutex;
	struct co_queue idle; /* waiting for the last worker */
	unsigned int running;
	uint64_t done; /* bytes */
	/* The lowest offset of a difference or error; UINT64_MAX: none. */
	uint64_t found;
	int found_status;
	bool found_failure; /* an error; else a difference */
	char found_line[400];
};

static void find(struct comparer *c, uint64_t offset, bool failure, int status, const char *fmt,
		 va_list ap)
{
	pthread_mutex_lock(&c->mutex);
	if (offset < c->found) {
		c->found = offset;
		c->found_failure = failure;
		c->found_status = status;
		vsnprintf(c->found_line, sizeof(c->found_line), fmt, ap);
	}
	pthread_mutex_unlock(&c->mutex);
}

/* Record a difference at @offset. */
static void differ(struct comparer *c, uint64_t offset, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void differ(struct comparer *c, uint64_t offset, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	find(c, offset, false, COMPARE_DIFFERENT, fmt, ap);
	va_end(ap);
}

/* Record an error at @offset. */
static void fail(struct comparer *c, uint64_t offset, int status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void fail(struct comparer *c, uint64_t offset, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	find(c, offset, true, status, fmt, ap);
	va_end(ap);
}

/* ---- Cutting ---- */

/*
 * Look up the run of side @i at c->next, unless the last one covers it. Returns 0 or a
 * negative errno.
 */
static int co_look(struct comparer *c, size_t i)
{
	struct blk_node *node = c->sides[i].node;
	uint64_t size = atomic_load(&node->size);
	struct run *run = &c->runs[i];
	struct blk_status *st = &run->status;
	int ret;

	if (c->next < run->end)
		return 0;
	ret = blk_co_status(node, c->next, min_u64(c->end, size) - c->next, st);
	if (ret)
		return ret;
	/* Beyond the end of a backing file no image has data. */
	run->present = st->kind != BLK_MAP_BACKING &&
		       !(st->depth && c->next >= atomic_load(&st->node->size));
	run->end = c->next + st->bytes;
	return 0;
}

static bool is_zero(const struct run *run)
{
	return run->status.zero;
}

/* Compare for --strict: the kind, the depth in the chain, and whether it has an offset. */
static bool same_status(const struct run *a, const struct run *b)
{
	return is_zero(a) == is_zero(b) && a->present == b->present &&
	       !a->status.file == !b->status.file;
}

/* Is c->next inside side @i? */
static bool is_inside(const struct comparer *c, size_t i)
{
	return c->next < atomic_load(&c->sides[i].node->size);
}

/* Cut a piece with uniform status from c->next on, at least one byte. Returns false on an error. */
static bool co_cut_run(struct comparer *c, struct piece *piece)
{
	uint64_t end = c->end;

	*piece = (struct piece){ .start = c->next };
	for (size_t i = 0; i < 2; i++) {
		if (!is_inside(c, i))
			continue;
		if (co_look(c, i)) {
			fail(c, c->next, COMPARE_NO_MAP, "Sector allocation test failed for %s",
			     c->sides[i].name);
			return false;
		}
		piece->read[i] = !is_zero(&c->runs[i]);
		end = min_u64(end, c->runs[i].end);
	}
	if (c->strict && !same_status(&c->runs[0], &c->runs[1])) {
		differ(c, c->next, "Strict mode: Offset %" PRIu64 " block status mismatch!",
		       c->next);
		return false;
	}
	if (piece->read[0] || piece->read[1])
		end = min_u64(end, c->next + PIECE);
	piece->bytes = end - c->next;
	c->next = end;
	return true;
}

static void count(struct comparer *c, uint64_t bytes)
{
	pthread_mutex_lock(&c->mutex);
	c->done += bytes;
	pthread_mutex_unlock(&c->mutex);
	progress_update(c->done, c->total);
}

/* Find the next piece to read. Returns false when there is none. */
static bool co_next_piece(struct comparer *c, struct piece *piece)
{
	bool got = false;

	co_mutex_lock(&c->next_lock);
	while (!got && c->next < c->end && c->found == UINT64_MAX && co_cut_run(c, piece)) {
		got = piece->read[0] || piece->read[1];
		if (!got)
			count(c, piece->bytes);
	}
	co_mutex_unlock(&c->next_lock);
	return got;
}

/* ---- Reading ---- */

/* Return the offset of the first sector in which @a and @b (NULL: zeroes) differ, or @bytes. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t bytes)
{
	uint64_t pos, n;

	if (b ? !memcmp(a, b, bytes) : buffer_is_zero(a, bytes))
		return bytes;
	for (pos = 0; pos < bytes; pos += n) {
		n = min_u64(bytes - pos, SECTOR_SIZE);
		if (b ? memcmp(a + pos, b + pos, n) : !buffer_is_zero(a + pos, n))
			break;
	}
	return pos;
}

static void co_compare_piece(struct comparer *c, const struct piece *piece, uint8_t *const bufs[2])
{
	const uint8_t *have[2] = { NULL, NULL };
	uint64_t pos;
	int ret;

	for (size_t i = 0; i < 2; i++) {
		if (!piece->read[i])
			continue;
		ret = blk_co_pread(c->sides[i].node, piece->start, piece->bytes, bufs[i], 0);
		if (ret) {
			fail(c, piece->start, COMPARE_NO_READ,
			     "Error while reading offset %" PRIu64 " of %s: %s", piece->start,
			     c->sides[i].name, strerror(-ret));
			return;
		}
		have[i] = bufs[i];
	}
	pos = first_difference(have[0] ? have[0] : have[1], have[0] ? have[1] : NULL, piece->bytes);
	if (pos < piece->bytes)
		differ(c, piece->start + pos, "Content mismatch at offset %" PRIu64 "!",
		       piece->start + pos);
	else
		count(c, piece->bytes);
}

static void co_work(void *arg)
{
	struct comparer *c = arg;
	uint8_t *bufs[2] = { aligned_alloc(4096, PIECE), aligned_alloc(4096, PIECE) };
	struct piece piece = { 0 };

	/* Offset 0 is the lowest, so this ends all workers. */
	if (!bufs[0] || !bufs[1])
		fail(c, 0, COMPARE_FAILED, "%s", strerror(ENOMEM));
	while (co_next_piece(c, &piece))
		co_compare_piece(c, &piece, bufs);
	free(bufs[0]);
	free(bufs[1]);
	pthread_mutex_lock(&c->mutex);
	c->running--;
	co_queue_wake_all(&c->idle);
	pthread_mutex_unlock(&c->mutex);
}

/* Compare up to @end. */
static void co_compare_to(struct comparer *c, uint64_t end)
{
	int ret = 0;

	c->end = end;
	c->running = WORKERS;
	for (unsigned int i = 0; i < WORKERS; i++) {
		if (!ret)
			ret = co_start(co_work, c);
		if (!ret)
			continue;
		fail(c, 0, COMPARE_FAILED, "%s", strerror(-ret));
		c->running--;
	}
	pthread_mutex_lock(&c->mutex);
	while (c->running)
		co_queue_wait(&c->idle, &c->mutex);
	pthread_mutex_unlock(&c->mutex);
}

/* ---- The whole images ---- */

/* Print a difference on standard output, an error on standard error. */
static int tell(const struct comparer *c, bool quiet)
{
	if (c->found_failure)
		report_error("%s", c->found_line);
	else if (!quiet)
		printf("%s\n", c->found_line);
	return c->found_status;
}

static int co_run(struct comparer *c, bool quiet)
{
	uint64_t size[2] = { c->sides[0].node->size, c->sides[1].node->size };
	uint64_t common = min_u64(size[0], size[1]);

	c->total = max_u64(size[0], size[1]);
	if (c->strict && size[0] != size[1]) {
		if (!quiet)
			printf("Strict mode: Image size mismatch!\n");
		return COMPARE_DIFFERENT;
	}
	co_compare_to(c, common);
	if (c->found != UINT64_MAX)
		return tell(c, quiet);
	/* The part that only the larger image has must be zero. */
	if (common < c->total) {
		if (!quiet)
			printf("Warning: Image size mismatch!\n");
		co_compare_to(c, c->total);
	}
	if (c->found != UINT64_MAX)
		return tell(c, quiet);
	if (!quiet)
		printf("Images are identical.\n");
	return COMPARE_SAME;
}

int compare_co_run(const struct compare_side sides[2], bool strict, bool quiet)
{
	struct comparer c = { .sides = sides, .strict = strict, .found = UINT64_MAX };
	int status;

	co_mutex_init(&c.next_lock);
	pthread_mutex_init(&c.mutex, NULL);
	co_queue_init(&c.idle);
	status = co_run(&c, quiet);
	pthread_mutex_destroy(&c.mutex);
	co_mutex_destroy(&c.next_lock);
	return status;
}
