// SPDX-License-Identifier: GPL-2.0
/*
 * Converting images. A piece is data, zeroes, or what the target already shows of its
 * backing file or beyond that file's end. Reads overlap; writes follow each other by
 * offset unless any order is allowed, since files written in order read faster
 * afterwards.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "block/zero.h"
#include "job/convert.h"
#include "util/units.h"

/*
 * On a device, shorter runs of zeroes (in bytes) are written: write-zeroes would save
 * no space and take longer.
 */
#define DEVICE_MIN_SPARSE (64 * KiB)

/* Bytes copied between write-outs. */
#define WRITE_OUT_BYTES (16 * MiB)

enum { PIECE_DATA = 1, PIECE_ZERO };

struct convert_job {
	struct pieces pieces;
	const struct convert_opts *opts;
	uint64_t zero_from; /* bytes: from here on the target reads as zeroes unless written */
	uint64_t min_sparse; /* the shortest run of zeroes to skip, bytes; 0: write everything */
	size_t source; /* index of the source of the next piece */
	struct piece run; /* the last answer of that source: a run of one kind */
	uint64_t done, todo; /* bytes of data, for progress */
	bool writing_out; /* a coroutine is writing out the target's dirty pages */
	uint64_t written_out; /* @done when it started */
	struct co *waiter; /* for that coroutine, at the end */
};

static int fail(struct error *err, int ret, const char *what, uint64_t offset)
{
	return error_set_errno(err, ret, "error while %s %" PRIu64, what, offset);
}

/* Return the offset in the source's image of byte @pos of the target. */
static uint64_t offset_in(const struct convert_source *src, uint64_t pos)
{
	return src->offset + pos - src->start;
}

/* Cut the run at @edge, or make it @kind if it starts at or after @edge. */
static void cut_at(struct piece *run, uint64_t edge, int kind)
{
	if (run->offset >= edge)
		run->kind = kind;
	else
		run->bytes = min_u64(run->bytes, edge - run->offset);
}

/*
 * The source shows its backing file in the run. The target may, too, up to @edge, the
 * end of its own backing file, and where an existing target has no data of its own.
 */
static int co_leave_to_backing(const struct convert_opts *opts, struct piece *run, uint64_t edge)
{
	struct blk_status st;
	int ret;

	run->kind = PIECE_NOTHING;
	cut_at(run, edge, PIECE_DATA);
	if (run->kind == PIECE_DATA || opts->target_is_new)
		return 0;
	ret = blk_co_status_above(opts->target, opts->target->backing, run->offset, run->bytes,
				  &st);
	if (ret < 0)
		return ret;
	run->bytes = st.bytes;
	if (st.kind != BLK_MAP_BACKING)
		run->kind = PIECE_DATA;
	return 0;
}

/* Look up the source's status from @pos on, and derive the run's kind. */
static int co_look_up(const struct convert_job *c, const struct convert_source *src, uint64_t pos,
		      struct piece *run)
{
	const struct convert_opts *opts = c->opts;
	const struct blk_node *base = opts->target_has_backing ? src->node->backing : NULL;
	struct blk_status st;
	uint64_t edge;
	int ret;

	ret = blk_co_status_above(src->node, base, offset_in(src, pos),
				  src->start + src->size - pos, &st);
	if (ret < 0)
		return ret;
	*run = (struct piece){ pos, st.bytes, st.zero ? PIECE_ZERO : PIECE_DATA, false };
	if (!opts->target_has_backing)
		return 0;
	edge = atomic_load(&opts->target->backing->size);
	if (!st.zero && st.kind == BLK_MAP_BACKING)
		return co_leave_to_backing(opts, run, edge);
	/* Beyond the end of its backing file the target may already read as zeroes. */
	if (st.zero)
		cut_at(run, max_u64(edge, c->zero_from), PIECE_NOTHING);
	return 0;
}

/* Does the kind count for the speed and for progress? Other kinds take no time. */
static bool is_work(const struct convert_opts *opts, int kind)
{
	return kind == PIECE_DATA || (kind == PIECE_ZERO && !opts->min_sparse);
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	struct convert_job *c = container_of(p, struct convert_job, pieces);
	const struct convert_opts *opts = c->opts;
	const struct convert_source *src = &opts->sources[c->source];
	int ret;

	while (piece->offset >= src->start + src->size)
		src = &opts->sources[++c->source];
	if (piece->offset >= c->run.offset + c->run.bytes) {
		ret = co_look_up(c, src, piece->offset, &c->run);
		if (ret < 0 && !opts->salvage)
			return fail(err, ret, "reading block status at offset",
				    offset_in(src, piece->offset));
		if (ret < 0)
			c->run = (struct piece){ piece->offset, SECTOR_SIZE, PIECE_DATA, false };
	}
	piece->kind = c->run.kind;
	piece->counts = is_work(opts, piece->kind);
	piece->bytes = c->run.offset + c->run.bytes - piece->offset;
	if (piece->counts)
		piece->bytes = min_u64(piece->bytes, PIECES_BUF_BYTES);
	return 0;
}

static const struct convert_source *source_of(const struct convert_opts *opts, uint64_t pos)
{
	size_t i = 0;

	while (pos >= opts->sources[i].start + opts->sources[i].size)
		i++;
	return &opts->sources[i];
}

/* Read a piece sector by sector, with zeroes for unreadable ones. */
static void co_salvage(const struct convert_opts *opts, const struct convert_source *src,
		       const struct piece *piece, uint8_t *buf)
{
	uint64_t offset = offset_in(src, piece->offset), pos, len;

	for (pos = 0; pos < piece->bytes; pos += len) {
		len = min_u64(piece->bytes - pos, SECTOR_SIZE);
		if (blk_co_pread(src->node, offset + pos, len, buf + pos, 0) == 0)
			continue;
		if (opts->unreadable)
			opts->unreadable(offset + pos);
		memset(buf + pos, 0, len);
	}
}

static int co_read(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	const struct convert_opts *opts = container_of(p, struct convert_job, pieces)->opts;
	const struct convert_source *src = source_of(opts, piece->offset);
	int ret;

	if (!piece->counts)
		return 0;
	if (piece->kind == PIECE_ZERO) {
		memset(buf, 0, piece->bytes);
		return 0;
	}
	ret = blk_co_pread(src->node, offset_in(src, piece->offset), piece->bytes, buf, 0);
	if (ret < 0 && opts->salvage) {
		co_salvage(opts, src, piece, buf);
		return 0;
	}
	return ret < 0 ? fail(err, ret, "reading at byte", offset_in(src, piece->offset)) : 0;
}

static int co_write_zeroes(const struct convert_job *c, uint64_t start, uint64_t bytes)
{
	if (start >= c->zero_from)
		return 0;
	return blk_co_pwrite_zeroes(c->opts->target, start, min_u64(bytes, c->zero_from - start),
				    BLK_REQ_MAY_UNMAP | c->opts->write_flags);
}

static int co_write_data(const struct convert_job *c, const struct piece *piece, const uint8_t *buf)
{
	uint64_t pos, len;
	bool zero = false;
	int ret;

	for (pos = 0; pos < piece->bytes; pos += len) {
		len = piece->bytes - pos;
		if (c->min_sparse)
			len = buffer_zero_run(buf + pos, piece->offset + pos, len, c->min_sparse,
					      &zero);
		if (zero)
			ret = co_write_zeroes(c, piece->offset + pos, len);
		else
			ret = blk_co_pwrite(c->opts->target, piece->offset + pos, len, buf + pos,
					    c->opts->write_flags);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static void co_write_out(void *arg)
{
	struct convert_job *c = arg;

	blk_co_write_out(c->opts->target);
	c->writing_out = false;
	if (c->waiter)
		co_wake(c->waiter);
}

/*
 * Count a piece of data. Start writing out the target's dirty pages from time to time:
 * else all of them would be written at the end, with nothing to overlap.
 */
static void count(struct convert_job *c, uint64_t bytes)
{
	c->done += bytes;
	if (c->opts->flush && !c->writing_out && c->done - c->written_out >= WRITE_OUT_BYTES) {
		c->written_out = c->done;
		/* If the coroutine cannot be started, the final flush writes the pages. */
		c->writing_out = true;
		if (co_start(co_write_out, c) < 0)
			c->writing_out = false;
	}
	if (c->opts->progress)
		c->opts->progress(c->done, c->todo);
}

static int co_write(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	struct convert_job *c = container_of(p, struct convert_job, pieces);
	int ret = 0;

	if (piece->counts)
		ret = co_write_data(c, piece, buf);
	else if (piece->kind == PIECE_ZERO)
		ret = co_write_zeroes(c, piece->offset, piece->bytes);
	if (ret < 0)
		return fail(err, ret, "writing at byte", piece->offset);
	if (piece->counts)
		count(c, piece->bytes);
	return 0;
}

/* Compute the total for progress. Errors will recur while copying. */
static void co_measure(struct convert_job *c)
{
	struct piece piece = { 0 };

	for (; piece.offset < c->opts->total && !co_cut(&c->pieces, &piece, NULL);
	     piece.offset += piece.bytes)
		if (piece.counts)
			c->todo += piece.bytes;
	c->source = 0;
	c->run = (struct piece){ 0 };
}

static int co_finish(const struct convert_opts *opts, struct error *err)
{
	int ret = 0;

	if (opts->target_is_new)
		ret = blk_co_set_complete(opts->target);
	else if (opts->flush)
		ret = blk_co_sync(opts->target);
	return ret ? error_set_errno(err, ret, "error while flushing") : 0;
}

int convert_co_copy(const struct convert_opts *opts, struct error *err)
{
	struct convert_job c = {
		.opts = opts,
		.min_sparse = opts->min_sparse,
		.pieces = { .speed = opts->speed,
			    .end = opts->total,
			    .buffers = 1,
			    .workers = opts->workers,
			    .in_order = !opts->any_order,
			    .co_cut = co_cut,
			    .co_do = co_read,
			    .co_end = co_write },
	};
	int ret;

	c.zero_from = opts->target_is_zero ? 0 : blk_co_zero_from(opts->target, opts->total);
	if (c.min_sparse && c.zero_from && opts->target->file->is_device)
		c.min_sparse = max_u64(c.min_sparse, DEVICE_MIN_SPARSE);
	co_measure(&c);
	ret = pieces_co_run(&c.pieces, err);
	if (c.writing_out) {
		c.waiter = co_self();
		co_park();
	}
	return ret ? ret : co_finish(opts, err);
}
