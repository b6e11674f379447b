// SPDX-License-Identifier: GPL-2.0
/*
 * Copying images: several coroutines each take one piece after another. A piece is data,
 * zeroes, or what the target already shows of its backing file or beyond that file's end. Reads
 * overlap; writes follow each other by offset unless any order is allowed, since files written
 * in order read faster afterwards.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "aio/lock.h"
#include "aio/timer.h"
#include "block/io.h"
#include "block/zero.h"
#include "cmdline/report.h"
#include "qed-img/convert.h"
#include "qed-img/progress.h"
#include "util/units.h"

/*
 * On a device, shorter runs of zeroes (in bytes) are written: write-zeroes would save
 * no space and take longer.
 */
#define DEVICE_MIN_SPARSE (64 * KiB)

/* Bytes copied between write-outs. */
#define WRITE_OUT_BYTES (16 * MiB)

enum piece_kind { PIECE_DATA, PIECE_ZERO, PIECE_BACKING };

struct piece {
	enum piece_kind kind;
	uint64_t start, bytes;
};

struct copier {
	const struct convert_job *job;
	uint64_t zero_from; /* bytes: from here on the target reads as zeroes unless written */
	uint64_t min_sparse; /* the shortest run of zeroes to skip, bytes; 0: write everything */
	struct co_mutex next_lock; /* protects @next and @source; finding a piece may yield */
	uint64_t next; /* start of the next piece */
	size_t source; /* index of the source that has @next */
	struct piece run; /* the source's last answer: a run of one kind around @next */

	pthread_mutex_t mutex; /* protects the fields below; uncontended on one loop */
	struct co_queue turn; /* waiting for @written, or for the last coroutine */
	uint64_t written; /* when writing in order: everything before it is written */
	uint64_t done, todo; /* bytes of data, for progress */
	unsigned int running;
	bool writing_out; /* a coroutine is writing out the target's dirty pages */
	uint64_t written_out; /* @done when it started */
	int ret;
	uint64_t started; /* ns */
	uint64_t limited; /* bytes counted against the rate */
};

/* Record the first error and print it. Returns @ret. */
static int fail(struct copier *c, int ret, const char *what, uint64_t offset)
{
	pthread_mutex_lock(&c->mutex);
	if (!c->ret) {
		c->ret = ret;
		report_error("error while %s %" PRIu64 ": %s", what, offset, strerror(-ret));
	}
	pthread_mutex_unlock(&c->mutex);
	return ret;
}

/* Return the offset in the source's image of byte @pos of the target. */
static uint64_t offset_in(const struct convert_source *src, uint64_t pos)
{
	return src->offset + pos - src->start;
}

/* Cut the run at @edge, or make it @kind if it starts at or after @edge. */
static void cut_at(struct piece *run, uint64_t edge, enum piece_kind kind)
{
	if (run->start >= edge)
		run->kind = kind;
	else
		run->bytes = min_u64(run->bytes, edge - run->start);
}

/*
 * The source shows its backing file in the run. The target may, too, up to @edge, the
 * end of its own backing file, and where an existing target has no data of its own.
 */
static int co_leave_to_backing(const struct convert_job *job, struct piece *run, uint64_t edge)
{
	struct blk_status st;
	int ret;

	run->kind = PIECE_BACKING;
	cut_at(run, edge, PIECE_DATA);
	if (run->kind == PIECE_DATA || job->target_is_new)
		return 0;
	ret = blk_co_status_above(job->target, job->target->backing, run->start, run->bytes, &st);
	if (ret < 0)
		return ret;
	run->bytes = st.bytes;
	if (st.kind != BLK_MAP_BACKING)
		run->kind = PIECE_DATA;
	return 0;
}

/* Look up the source's status from @pos on, and derive the run's kind. */
static int co_look_up(const struct copier *c, const struct convert_source *src, uint64_t pos,
		      struct piece *run)
{
	const struct convert_job *job = c->job;
	const struct blk_node *base = job->target_has_backing ? src->node->backing : NULL;
	struct blk_status st;
	uint64_t edge;
	int ret;

	ret = blk_co_status_above(src->node, base, offset_in(src, pos),
				  src->start + src->size - pos, &st);
	if (ret < 0)
		return ret;
	*run = (struct piece){ st.zero ? PIECE_ZERO : PIECE_DATA, pos, st.bytes };
	if (!job->target_has_backing)
		return 0;
	edge = atomic_load(&job->target->backing->size);
	if (!st.zero && st.kind == BLK_MAP_BACKING)
		return co_leave_to_backing(job, run, edge);
	/* Beyond the end of its backing file the target may already read as zeroes. */
	if (st.zero)
		cut_at(run, max_u64(edge, c->zero_from), PIECE_BACKING);
	return 0;
}

/* Does the kind count for progress? Other kinds take no time. */
static bool is_work(const struct convert_job *job, enum piece_kind kind)
{
	return kind == PIECE_DATA || (kind == PIECE_ZERO && !job->min_sparse);
}

/* Cut the next piece; leaves @piece alone at the end. With next_lock held. */
static int co_cut(struct copier *c, struct piece *piece)
{
	const struct convert_job *job = c->job;
	const struct convert_source *src;
	int ret;

	if (c->next >= job->total)
		return 0;
	src = &job->sources[c->source];
	while (c->next >= src->start + src->size)
		src = &job->sources[++c->source];
	if (c->next >= c->run.start + c->run.bytes) {
		ret = co_look_up(c, src, c->next, &c->run);
		if (ret < 0 && !job->salvage)
			return fail(c, ret, "reading block status at offset",
				    offset_in(src, c->next));
		if (ret < 0)
			c->run = (struct piece){ PIECE_DATA, c->next, SECTOR_SIZE };
	}
	piece->kind = c->run.kind;
	piece->start = c->next;
	piece->bytes = c->run.start + c->run.bytes - c->next;
	if (is_work(job, piece->kind))
		piece->bytes = min_u64(piece->bytes, CONVERT_PIECE);
	c->next += piece->bytes;
	return 0;
}

static const struct convert_source *source_of(const struct convert_job *job, uint64_t pos)
{
	size_t i = 0;

	while (pos >= job->sources[i].start + job->sources[i].size)
		i++;
	return &job->sources[i];
}

/* Read a piece sector by sector, with zeroes for unreadable ones. */
static void co_salvage(const struct convert_source *src, const struct piece *piece, char *buf)
{
	uint64_t offset = offset_in(src, piece->start), pos, len;

	for (pos = 0; pos < piece->bytes; pos += len) {
		len = min_u64(piece->bytes - pos, SECTOR_SIZE);
		if (blk_co_pread(src->node, offset + pos, len, buf + pos, 0) == 0)
			continue;
		report_error("warning: error while reading offset %" PRIu64, offset + pos);
		memset(buf + pos, 0, len);
	}
}

static int co_read(struct copier *c, const struct piece *piece, char *buf)
{
	const struct convert_job *job = c->job;
	const struct convert_source *src = source_of(job, piece->start);
	int ret;

	if (piece->kind == PIECE_ZERO) {
		memset(buf, 0, piece->bytes);
		return 0;
	}
	ret = blk_co_pread(src->node, offset_in(src, piece->start), piece->bytes, buf, 0);
	if (ret < 0 && job->salvage) {
		co_salvage(src, piece, buf);
		return 0;
	}
	return ret < 0 ? fail(c, ret, "reading at byte", offset_in(src, piece->start)) : 0;
}

static int co_write_zeroes(const struct copier *c, uint64_t start, uint64_t bytes)
{
	if (start >= c->zero_from)
		return 0;
	return blk_co_pwrite_zeroes(c->job->target, start, min_u64(bytes, c->zero_from - start),
				    BLK_REQ_MAY_UNMAP | c->job->write_flags);
}

/*
 * Return the length of the run at the start of @buf that is all zero or all data, in
 * units of @unit aligned by @start.
 */
static uint64_t alike(const char *buf, uint64_t start, uint64_t bytes, uint64_t unit, bool *zero)
{
	uint64_t len = 0, step;
	bool step_zero;

	while (len < bytes) {
		step = min_u64(bytes - len, unit - (start + len) % unit);
		step_zero = buffer_is_zero(buf + len, step);
		if (len && step_zero != *zero)
			break;
		*zero = step_zero;
		len += step;
	}
	return len;
}

static int co_write_data(const struct copier *c, const struct piece *piece, const char *buf)
{
	uint64_t pos, len;
	bool zero = false;
	int ret;

	for (pos = 0; pos < piece->bytes; pos += len) {
		len = piece->bytes - pos;
		if (c->min_sparse)
			len = alike(buf + pos, piece->start + pos, len, c->min_sparse, &zero);
		if (zero)
			ret = co_write_zeroes(c, piece->start + pos, len);
		else
			ret = blk_co_pwrite(c->job->target, piece->start + pos, len, buf + pos,
					    c->job->write_flags);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int co_write(struct copier *c, const struct piece *piece, const char *buf)
{
	int ret = 0;

	if (is_work(c->job, piece->kind))
		ret = co_write_data(c, piece, buf);
	else if (piece->kind == PIECE_ZERO)
		ret = co_write_zeroes(c, piece->start, piece->bytes);
	return ret < 0 ? fail(c, ret, "writing at byte", piece->start) : 0;
}

/* Yield until the pieces before this one are written. Returns 0, or the error of one of them. */
static int co_await_turn(struct copier *c, const struct piece *piece)
{
	int ret;

	pthread_mutex_lock(&c->mutex);
	while (!c->job->any_order && !c->ret && c->written != piece->start)
		co_queue_wait(&c->turn, &c->mutex);
	ret = c->ret;
	pthread_mutex_unlock(&c->mutex);
	return ret;
}

static void co_write_out(void *arg)
{
	struct copier *c = arg;

	blk_co_write_out(c->job->target);
	pthread_mutex_lock(&c->mutex);
	c->writing_out = false;
	c->running--;
	co_queue_wake_all(&c->turn);
	pthread_mutex_unlock(&c->mutex);
}

/*
 * Start writing out the target's dirty pages from time to time: else all of them would
 * be written at the end, with nothing to overlap. With the mutex held.
 */
static bool wants_write_out(struct copier *c)
{
	if (!c->job->flush || c->writing_out || c->done - c->written_out < WRITE_OUT_BYTES)
		return false;
	c->writing_out = true;
	c->written_out = c->done;
	c->running++;
	return true;
}

static void finish_piece(struct copier *c, const struct piece *piece)
{
	bool write_out;

	pthread_mutex_lock(&c->mutex);
	c->written = piece->start + piece->bytes;
	if (is_work(c->job, piece->kind))
		c->done += piece->bytes;
	write_out = wants_write_out(c);
	co_queue_wake_all(&c->turn);
	pthread_mutex_unlock(&c->mutex);
	/* If the coroutine cannot be started, the final flush writes the pages. */
	if (write_out && co_start(co_write_out, c) < 0) {
		pthread_mutex_lock(&c->mutex);
		c->running--;
		pthread_mutex_unlock(&c->mutex);
	}
	if (is_work(c->job, piece->kind))
		progress_update(c->done, c->todo);
}

/* Sleep until the bytes copied so far are within the rate. */
static void co_keep_rate(struct copier *c, const struct piece *piece)
{
	uint64_t due, now;

	if (!c->job->rate || !is_work(c->job, piece->kind))
		return;
	c->limited += piece->bytes;
	due = c->started + (uint64_t)((double)c->limited * 1e9 / (double)c->job->rate);
	now = aio_now();
	if (due > now)
		aio_co_sleep(due - now);
}

/* Copy the next piece. Returns 1 after a piece, 0 at the end, or a negative errno. */
static int co_copy_piece(struct copier *c, char *buf)
{
	struct piece piece = { .bytes = 0 };
	int ret;

	co_mutex_lock(&c->next_lock);
	ret = c->ret ? c->ret : co_cut(c, &piece);
	co_mutex_unlock(&c->next_lock);
	if (ret < 0 || !piece.bytes)
		return ret;
	if (is_work(c->job, piece.kind))
		ret = co_read(c, &piece, buf);
	if (ret < 0)
		return ret;
	ret = co_await_turn(c, &piece);
	if (ret == 0)
		ret = co_write(c, &piece, buf);
	if (ret < 0)
		return ret;
	finish_piece(c, &piece);
	co_keep_rate(c, &piece);
	return 1;
}

static void co_worker(void *arg)
{
	struct copier *c = arg;
	void *buf;
	int ret;

	if (posix_memalign(&buf, 4096, CONVERT_PIECE) == 0) {
		do
			ret = co_copy_piece(c, buf);
		while (ret > 0);
		free(buf);
	} else {
		ret = fail(c, -ENOMEM, "copying from byte", c->next);
	}
	pthread_mutex_lock(&c->mutex);
	if (ret < 0 && !c->ret)
		c->ret = ret;
	c->running--;
	co_queue_wake_all(&c->turn);
	pthread_mutex_unlock(&c->mutex);
}

/* Compute the total for progress. Errors will recur while copying. */
static void co_measure(struct copier *c)
{
	struct piece piece = { .bytes = 0 };

	for (; co_cut(c, &piece) == 0 && piece.bytes; piece.bytes = 0)
		if (is_work(c->job, piece.kind))
			c->todo += piece.bytes;
	c->next = 0;
	c->source = 0;
	c->run = (struct piece){ .bytes = 0 };
}

static void co_run_workers(struct copier *c)
{
	unsigned int started = 0;
	int ret = 0;

	/* Fewer coroutines than requested suffice. */
	for (unsigned int i = 0; i < c->job->coroutines && !ret; i++) {
		pthread_mutex_lock(&c->mutex);
		c->running++;
		pthread_mutex_unlock(&c->mutex);
		ret = co_start(co_worker, c);
		if (ret) {
			pthread_mutex_lock(&c->mutex);
			c->running--;
			pthread_mutex_unlock(&c->mutex);
		}
		started += !ret;
	}
	if (!started)
		fail(c, ret, "copying from byte", 0);
	pthread_mutex_lock(&c->mutex);
	while (c->running)
		co_queue_wait(&c->turn, &c->mutex);
	pthread_mutex_unlock(&c->mutex);
}

int convert_co_copy(const struct convert_job *job)
{
	struct copier c = { .job = job, .started = aio_now() };
	int ret;

	co_mutex_init(&c.next_lock);
	pthread_mutex_init(&c.mutex, NULL);
	co_queue_init(&c.turn);
	c.zero_from = job->target_is_zero ? 0 : blk_co_zero_from(job->target, job->total);
	c.min_sparse = job->min_sparse;
	if (c.min_sparse && c.zero_from && job->target->file->is_device)
		c.min_sparse = max_u64(c.min_sparse, DEVICE_MIN_SPARSE);
	co_measure(&c);
	co_run_workers(&c);
	ret = c.ret;
	pthread_mutex_destroy(&c.mutex);
	co_mutex_destroy(&c.next_lock);
	if (ret == 0 && job->target_is_new)
		ret = blk_co_set_complete(job->target);
	else if (ret == 0 && job->flush)
		ret = blk_co_flush(job->target);
	if (ret < 0 && !c.ret)
		report_error("error while flushing: %s", strerror(-ret));
	if (ret == 0)
		progress_update(1, 1);
	return ret;
}
