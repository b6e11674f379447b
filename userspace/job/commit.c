// SPDX-License-Identifier: GPL-2.0
/*
 * Committing an image into a base of its backing chain.
 *
 *	1. The base is grown to the size of the image. The new part reads as zeroes,
 *	   as the image did there.
 *	2. The data of the image, and of the images between, is written to the base.
 *	   The image still hides it.
 *	3. The base is flushed.
 *	4. Only then may the image be emptied.
 *
 * So whatever state a crash leaves, the image reads the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "block/io.h"
#include "block/zero.h"
#include "file/file_note.h"
#include "job/commit.h"
#include "populate/populate.h"
#include "util/units.h"

enum { PIECE_DATA = 1, PIECE_ZERO };

/* The most zeroes written by one request, in bytes. */
#define ZERO_PIECE (64 * MiB)
/* A limited speed of a job is spread over at least this many pieces a second. */
#define PIECES_A_SECOND 20

static int read_error(const struct commit_copy *c, int ret, uint64_t offset, struct error *err)
{
	return error_set_errno(err, ret, "%s: reading at byte %" PRIu64, c->opts.top->filename,
			       offset);
}

/* With a job: wait before another try after the error @ret. Returns false to give up. */
static bool co_try_again(struct commit_copy *c, int ret, uint64_t offset, struct error *err)
{
	char what[64];

	snprintf(what, sizeof(what), "committing at offset %" PRIu64, offset);
	if (!ret || !c->opts.job || !job_co_back_off(c->opts.job, ret, what))
		return false;
	error_free(err);
	return true;
}

/* Look up the status of the chain at @offset, unless the last answer covers it. */
static int co_look(struct commit_copy *c, uint64_t offset, struct error *err)
{
	uint64_t size = atomic_load(&c->opts.top->size);
	struct blk_status status;
	int ret;

	if (c->start <= offset && offset < c->end)
		return 0;
	if (offset >= size) {
		c->start = offset;
		c->end = c->pieces.end;
		c->kind = PIECE_ZERO;
		return 0;
	}
	do
		ret = blk_co_status_above(c->opts.top, c->opts.base, offset, size - offset,
					  &status);
	while (co_try_again(c, ret, offset, err));
	if (ret)
		return read_error(c, ret, offset, err);
	c->start = offset;
	c->end = offset + status.bytes;
	if (status.node == c->opts.base)
		c->kind = PIECE_NOTHING;
	else
		c->kind = status.zero ? PIECE_ZERO : PIECE_DATA;
	return 0;
}

/*
 * Return the limit of a piece of data at @offset: pieces start at multiples of the buffer size,
 * where no job spreads them over time.
 */
static uint64_t data_limit(const struct commit_copy *c, uint64_t offset)
{
	uint64_t limit = round_down(offset + PIECES_BUF_BYTES, PIECES_BUF_BYTES);
	uint64_t speed = c->opts.job ? job_get_speed(c->opts.job) : 0;

	if (speed)
		limit = min_u64(limit,
				offset + max_u64(round_down(speed / PIECES_A_SECOND, c->unit),
						 c->unit));
	return limit;
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	struct commit_copy *c = container_of(p, struct commit_copy, pieces);
	uint64_t end = piece->offset, limit;
	int ret = co_look(c, end, err);

	if (ret)
		return ret;
	piece->kind = c->kind;
	piece->counts = c->kind == PIECE_DATA;
	limit = p->end;
	if (c->kind == PIECE_DATA)
		limit = min_u64(limit, data_limit(c, end));
	else if (c->kind == PIECE_ZERO)
		limit = min_u64(limit, end + ZERO_PIECE);
	/* Adjacent ranges of one kind form one piece, wherever they lie in the file. */
	do
		end = min_u64(c->end, limit);
	while (end < limit && !(ret = co_look(c, end, err)) && c->kind == piece->kind);
	piece->bytes = end - piece->offset;
	if (piece->kind == PIECE_ZERO && piece->offset >= c->zero_from)
		piece->kind = PIECE_NOTHING;
	return ret;
}

static int co_write(struct commit_copy *c, uint64_t offset, uint64_t bytes, const void *buf,
		    bool zero)
{
	unsigned int fua = c->opts.fua ? BLK_REQ_FUA : 0;

	if (!zero)
		return blk_co_pwrite(c->opts.base, offset, bytes, buf, fua);
	return blk_co_pwrite_zeroes(c->opts.base, offset, bytes, BLK_REQ_MAY_UNMAP | fua);
}

static int co_do_once(struct commit_copy *c, const struct piece *piece, uint8_t *buf,
		      struct error *err)
{
	uint64_t pos, n;
	bool zero = true;
	int ret = 0;

	if (piece->kind == PIECE_DATA)
		ret = blk_co_pread(c->opts.top, piece->offset, piece->bytes, buf, 0);
	if (ret)
		return read_error(c, ret, piece->offset, err);
	for (pos = 0; pos < piece->bytes; pos += n) {
		n = piece->bytes - pos;
		if (piece->kind == PIECE_DATA)
			n = buffer_zero_run(buf + pos, piece->offset + pos, n, c->unit, &zero);
		ret = co_write(c, piece->offset + pos, n, buf + pos, zero);
		if (ret)
			return error_set_errno(err, ret, "%s: writing at byte %" PRIu64,
					       c->opts.base->filename, piece->offset + pos);
	}
	return 0;
}

static int co_do(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	struct commit_copy *c = container_of(p, struct commit_copy, pieces);
	int ret;

	do
		ret = co_do_once(c, piece, buf, err);
	while (co_try_again(c, ret, piece->offset, err));
	if (ret)
		return ret;
	if (c->opts.job)
		job_went_well(c->opts.job);
	if (piece->kind == PIECE_DATA)
		c->written += piece->bytes;
	return 0;
}

/* With a job: requests of others on the images above come first. */
static bool is_busy(struct pieces *p)
{
	return p->job->node && populate_foreground_is_busy(p->job->node);
}

static int co_grow(const struct commit_copy *c, struct error *err)
{
	struct blk_node *base = c->opts.base;
	uint64_t size = atomic_load(&c->opts.top->size);

	if (atomic_load(&base->size) >= size)
		return 0;
	return blk_co_truncate(base, size, err);
}

void commit_copy_init(struct commit_copy *c, const struct commit_opts *opts)
{
	uint64_t base_end = atomic_load(&opts->base->size);
	uint64_t end = atomic_load(&opts->top->size);

	*c = (struct commit_copy){ .opts = *opts, .zero_from = base_end };
	if (opts->overlay)
		end = max_u64(end, min_u64(atomic_load(&opts->overlay->size), base_end));
	c->unit = opts->base->cluster_size ? opts->base->cluster_size : opts->top->cluster_size;
	if (!c->unit)
		c->unit = 64 * KiB;
	c->pieces = (struct pieces){ .end = end,
				     .buffers = 1,
				     .job = opts->job,
				     .speed = opts->speed,
				     .progress = opts->progress,
				     .co_cut = co_cut,
				     .co_do = co_do,
				     .is_busy = is_busy };
}

int commit_co_copy(struct commit_copy *c, struct error *err)
{
	int ret = co_grow(c, err);

	if (!ret)
		ret = pieces_co_run(&c->pieces, err);
	if (ret)
		return ret;
	ret = blk_co_sync(c->opts.base);
	return ret ? error_set_errno(err, ret, "%s: flush", c->opts.base->filename) : 0;
}

int commit_co_run(const struct commit_opts *opts, struct error *err)
{
	struct commit_copy copy;
	int ret;

	/* The backing files change on purpose: the next server records them anew. */
	(void)blk_file_co_set_note(opts->top->file, NULL);
	commit_copy_init(&copy, opts);
	ret = commit_co_copy(&copy, err);
	if (ret)
		return ret;
	return opts->empty ? blk_co_make_empty(opts->top, err) : 0;
}
