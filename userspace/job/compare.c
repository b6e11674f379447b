// SPDX-License-Identifier: GPL-2.0
/*
 * Comparing images. They are cut into pieces with a uniform status on each side; parts
 * known to be zero are not read. A finding ends the work like an error does, so that the
 * one at the lowest offset is reported.
 */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/zero.h"
#include "job/compare.h"
#include "util/units.h"

/* A piece is of one of these kinds, or both. */
enum { PIECE_READ_0 = 1, PIECE_READ_1 = 2 };

/* What a worker returns after a finding; no other failure of the engine has it. */
#define FOUND (-EBADMSG)

/* The last answer of one side, uniform to @end. */
struct compare_run {
	struct blk_status status;
	bool present; /* an image of the chain has data or zeroes there */
	uint64_t end;
};

struct compare_job {
	struct pieces pieces;
	const struct compare_opts *opts;
	struct compare_run runs[2];
	struct compare_finding *finding;
};

static int found(const struct compare_job *c, struct compare_finding finding)
{
	if (!c->finding->what || finding.offset < c->finding->offset)
		*c->finding = finding;
	return FOUND;
}

static uint64_t size_of(const struct compare_job *c, unsigned int side)
{
	return atomic_load(&c->opts->sides[side]->size);
}

/* ---- Cutting ---- */

/*
 * Look up the run of a side at @offset, unless the last one covers it. Returns 0 or a
 * negative errno.
 */
static int co_look(struct compare_job *c, unsigned int side, uint64_t offset)
{
	uint64_t end = min_u64(c->pieces.end, size_of(c, side));
	struct compare_run *run = &c->runs[side];
	struct blk_status *st = &run->status;
	int ret;

	if (offset < run->end)
		return 0;
	ret = blk_co_status(c->opts->sides[side], offset, end - offset, st);
	if (ret)
		return ret;
	/* Beyond the end of a backing file no image has data. */
	run->present = st->kind != BLK_MAP_BACKING &&
		       !(st->depth && offset >= atomic_load(&st->node->size));
	run->end = offset + st->bytes;
	return 0;
}

/* Compare for @strict: zero, in an image of the chain, and with an offset in a file. */
static bool same_status(const struct compare_run *a, const struct compare_run *b)
{
	return a->status.zero == b->status.zero && a->present == b->present &&
	       !a->status.file == !b->status.file;
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	struct compare_job *c = container_of(p, struct compare_job, pieces);
	uint64_t end = p->end;

	(void)err;
	for (unsigned int i = 0; i < 2; i++) {
		int ret;

		if (piece->offset >= size_of(c, i))
			continue;
		ret = co_look(c, i, piece->offset);
		if (ret)
			return found(c, (struct compare_finding){ COMPARE_NO_STATUS, piece->offset,
								  i, ret });
		if (!c->runs[i].status.zero)
			piece->kind |= i ? PIECE_READ_1 : PIECE_READ_0;
		end = min_u64(end, c->runs[i].end);
	}
	if (c->opts->strict && !same_status(&c->runs[0], &c->runs[1]))
		return found(c, (struct compare_finding){ COMPARE_STATUS, piece->offset, 0, 0 });
	if (piece->kind != PIECE_NOTHING)
		end = min_u64(end, piece->offset + PIECES_BUF_BYTES);
	piece->bytes = end - piece->offset;
	return 0;
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

static int co_do(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	struct compare_job *c = container_of(p, struct compare_job, pieces);
	const uint8_t *have[2] = { NULL, NULL };
	uint64_t pos;

	(void)err;
	for (unsigned int i = 0; i < 2; i++, buf += PIECES_BUF_BYTES) {
		int ret;

		if (!(piece->kind & (i ? PIECE_READ_1 : PIECE_READ_0)))
			continue;
		ret = blk_co_pread(c->opts->sides[i], piece->offset, piece->bytes, buf, 0);
		if (ret)
			return found(c, (struct compare_finding){ COMPARE_NO_READ, piece->offset, i,
								  ret });
		have[i] = buf;
	}
	pos = first_difference(have[0] ? have[0] : have[1], have[0] ? have[1] : NULL, piece->bytes);
	if (pos == piece->bytes)
		return 0;
	return found(c, (struct compare_finding){ COMPARE_CONTENT, piece->offset + pos, 0, 0 });
}

int compare_co_run(const struct compare_opts *opts, struct compare_finding *finding,
		   struct error *err)
{
	struct compare_job c = {
		.opts = opts,
		.finding = finding,
		.pieces = { .start = opts->start,
			    .end = opts->end,
			    .total = opts->total,
			    .buffers = 2,
			    .progress = opts->progress,
			    .co_cut = co_cut,
			    .co_do = co_do },
	};
	int ret;

	*finding = (struct compare_finding){ 0 };
	ret = pieces_co_run(&c.pieces, err);
	return ret == FOUND ? 0 : ret;
}
