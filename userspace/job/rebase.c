// SPDX-License-Identifier: GPL-2.0
/*
 * Rebasing an image: what it shows of the old backing file, and would not show of
 * the new one, is written to it.
 *
 * Both chains are asked what they have before anything is read.  Nothing has to
 * be done where both have zeroes, and where both leave the answer to an image
 * that is in both chains: so between images of one family only what differs is
 * looked at.  Where the old one has zeroes, zero clusters are written, whatever
 * the new one has.  All else is read and compared, cluster by cluster.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "block/zero.h"
#include "job/rebase.h"
#include "util/units.h"

enum {
	PIECE_ZERO = 1, /* becomes zero clusters */
	PIECE_OLD, /* of the old one; the new one has zeroes */
	PIECE_BOTH, /* to be read of both */
};

/* Zero clusters that are written at once, at most, in bytes. */
#define ZERO_PIECE (1 * GiB)

enum side_kind {
	SIDE_COMMON, /* what the image that both chains have says */
	SIDE_ZERO,
	SIDE_DATA,
};

/* The old backing file, or the new one, with what it said last. */
struct side {
	struct blk_node *node; /* NULL: none */
	const struct blk_node *common; /* an image of its chain that is in the other's, or NULL */
	enum side_kind kind;
	uint64_t start, end;
};

struct rebase {
	struct pieces pieces;
	struct blk_node *top;
	struct side old, new;
	uint64_t cluster; /* bytes */
	/* Around the last piece: does the image show its backing file? */
	bool shown;
	uint64_t start, end;
};

/* ---- What both chains have ---- */

static bool same_image(const struct blk_node *a, const struct blk_node *b)
{
	return blk_file_is_same(a->file, b->file) && a->driver == b->driver &&
	       a->file_start == b->file_start && atomic_load(&a->size) == atomic_load(&b->size);
}

/* The same down to the bottom: a name may lead elsewhere by another way. */
static bool same_chain(const struct blk_node *a, const struct blk_node *b)
{
	while (a && b && same_image(a, b)) {
		a = a->backing;
		b = b->backing;
	}
	return !a && !b;
}

/* Find the highest image of the old chain that is in the new one, too. */
static void find_common(struct side *old, struct side *new)
{
	for (const struct blk_node *a = old->node; a; a = a->backing)
		for (const struct blk_node *b = new->node; b; b = b->backing)
			if (same_chain(a, b)) {
				old->common = a;
				new->common = b;
				return;
			}
}

/* ---- Looking ---- */

/* Ask what @side has from @offset on, where @bytes are of interest. */
static int co_look(struct side *side, uint64_t offset, uint64_t bytes, struct error *err)
{
	struct blk_status status;
	uint64_t size;
	int ret;

	if (side->start <= offset && offset < side->end)
		return 0;
	size = side->node ? atomic_load(&side->node->size) : 0;
	side->start = offset;
	side->end = offset + bytes;
	side->kind = SIDE_ZERO;
	if (offset >= size)
		return 0;
	if (side->node == side->common) {
		side->kind = SIDE_COMMON;
		side->end = min_u64(side->end, size);
		return 0;
	}
	ret = blk_co_status_above(side->node, side->common, offset, min_u64(bytes, size - offset),
				  &status);
	if (ret)
		return error_set_errno(err, ret, "%s: reading metadata for byte %" PRIu64,
				       side->node->filename, offset);
	side->end = offset + status.bytes;
	if (!status.zero)
		side->kind = status.node == side->common ? SIDE_COMMON : SIDE_DATA;
	return 0;
}

/*
 * How far @side is alike from @offset on: to *@end, in whole clusters or to @limit, which is
 * the end of some cluster; to @offset itself if it changes inside of its cluster.
 */
static int co_look_far(const struct rebase *r, struct side *side, uint64_t offset, uint64_t limit,
		       uint64_t *end, struct error *err)
{
	int ret = co_look(side, offset, limit - offset, err);

	*end = side->end >= limit ? limit : round_down(side->end, r->cluster);
	*end = max_u64(*end, offset);
	return ret;
}

static int co_look_at_top(struct rebase *r, uint64_t offset, struct error *err)
{
	struct blk_status status;
	int ret;

	if (r->start <= offset && offset < r->end)
		return 0;
	ret = blk_co_status_above(r->top, r->top->backing, offset, r->pieces.end - offset, &status);
	if (ret)
		return error_set_errno(err, ret, "%s: reading metadata for byte %" PRIu64,
				       r->top->filename, offset);
	r->start = offset;
	r->end = offset + status.bytes;
	r->shown = status.kind == BLK_MAP_BACKING;
	return 0;
}

/* ---- Cutting ---- */

/* What has to be done where both sides are alike over whole clusters. */
static int kind_of(enum side_kind old, enum side_kind new)
{
	if (old == SIDE_ZERO)
		return new == SIDE_ZERO ? PIECE_NOTHING : PIECE_ZERO;
	if (old == SIDE_COMMON && new == SIDE_COMMON)
		return PIECE_NOTHING;
	return new == SIDE_ZERO ? PIECE_OLD : PIECE_BOTH;
}

/* What is read at once: not more than a buffer, and pieces begin on even places. */
static uint64_t read_limit(const struct rebase *r, uint64_t offset)
{
	uint64_t unit = r->cluster < PIECES_BUF_BYTES ? r->cluster : PIECES_BUF_BYTES;

	return max_u64(round_down(offset + PIECES_BUF_BYTES, PIECES_BUF_BYTES),
		       round_down(offset, unit) + unit);
}

/* The image shows its backing file from @piece's start to @limit. */
static int co_cut_shown(struct rebase *r, struct piece *piece, uint64_t limit, struct error *err)
{
	uint64_t offset = piece->offset, old_end, new_end, end;
	int ret = co_look_far(r, &r->old, offset, limit, &old_end, err);

	if (!ret)
		ret = co_look_far(r, &r->new, offset, limit, &new_end, err);
	if (ret)
		return ret;
	end = min_u64(old_end, new_end);
	if (end > offset) {
		piece->kind = kind_of(r->old.kind, r->new.kind);
	} else if (r->old.kind == SIDE_ZERO && old_end > offset) {
		/* Whatever the new one has in this cluster. */
		piece->kind = PIECE_ZERO;
		end = min_u64(limit, round_down(offset, r->cluster) + r->cluster);
	} else {
		piece->kind = PIECE_BOTH;
		end = min_u64(limit, round_down(offset, r->cluster) + r->cluster);
	}
	if (piece->kind == PIECE_ZERO)
		end = min_u64(end, round_down(offset, ZERO_PIECE) + ZERO_PIECE);
	else if (piece->kind != PIECE_NOTHING)
		end = min_u64(end, read_limit(r, offset));
	piece->bytes = end - offset;
	return 0;
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	struct rebase *r = container_of(p, struct rebase, pieces);
	int ret = co_look_at_top(r, piece->offset, err);

	if (ret)
		return ret;
	if (r->shown)
		return co_cut_shown(r, piece, r->end, err);
	piece->bytes = r->end - piece->offset;
	return 0;
}

/* ---- Doing ---- */

static int co_read(const struct side *side, uint64_t offset, uint64_t bytes, uint8_t *buf,
		   struct error *err)
{
	uint64_t size = side->node ? atomic_load(&side->node->size) : 0;
	uint64_t there = offset < size ? min_u64(bytes, size - offset) : 0;
	int ret = there ? blk_co_pread(side->node, offset, there, buf, 0) : 0;

	if (ret)
		return error_set_errno(err, ret, "%s: reading at byte %" PRIu64,
				       side->node->filename, offset);
	memset(buf + there, 0, bytes - there);
	return 0;
}

/*
 * Only what still shows the backing file is written: of a cluster that is larger than a
 * piece the first piece that differs has all of it copied.
 */
static int co_write(struct rebase *r, uint64_t offset, uint64_t bytes, const void *buf,
		    struct error *err)
{
	int ret = buf ? blk_co_pwrite(r->top, offset, bytes, buf, BLK_REQ_POPULATE) :
			blk_co_pwrite_zeroes(r->top, offset, bytes, BLK_REQ_POPULATE);

	return ret ? error_set_errno(err, ret, "%s: writing at byte %" PRIu64, r->top->filename,
				     offset) :
		     0;
}

enum difference { SAME, DIFFERENT_ZERO, DIFFERENT_DATA };

/* @new NULL: zeroes. */
static enum difference compare(const uint8_t *old, const uint8_t *new, uint64_t bytes)
{
	bool zero = buffer_is_zero(old, bytes);

	if (!new)
		return zero ? SAME : DIFFERENT_DATA;
	if (!memcmp(old, new, bytes))
		return SAME;
	return zero ? DIFFERENT_ZERO : DIFFERENT_DATA;
}

/* Write the clusters of @old in which @new differs. */
static int co_write_different(struct rebase *r, uint64_t offset, uint64_t bytes, const uint8_t *old,
			      const uint8_t *new, struct error *err)
{
	enum difference run = SAME, next;
	uint64_t start = 0, pos, n;
	int ret = 0;

	for (pos = 0; !ret && pos < bytes; pos += n) {
		n = min_u64(bytes - pos, r->cluster);
		next = compare(old + pos, new ? new + pos : NULL, n);
		/* Zeroes in a part of a cluster that has none of a backing file change nothing. */
		if (next == DIFFERENT_ZERO && r->cluster > PIECES_BUF_BYTES)
			next = DIFFERENT_DATA;
		if (pos && next != run && run != SAME)
			ret = co_write(r, offset + start, pos - start,
				       run == DIFFERENT_DATA ? old + start : NULL, err);
		if (next != run)
			start = pos;
		run = next;
	}
	if (!ret && run != SAME)
		ret = co_write(r, offset + start, bytes - start,
			       run == DIFFERENT_DATA ? old + start : NULL, err);
	return ret;
}

static int co_do(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	struct rebase *r = container_of(p, struct rebase, pieces);
	uint8_t *new = piece->kind == PIECE_BOTH ? buf + PIECES_BUF_BYTES : NULL;
	int ret;

	if (piece->kind == PIECE_ZERO)
		return co_write(r, piece->offset, piece->bytes, NULL, err);
	ret = co_read(&r->old, piece->offset, piece->bytes, buf, err);
	if (!ret && new)
		ret = co_read(&r->new, piece->offset, piece->bytes, new, err);
	if (ret)
		return ret;
	return co_write_different(r, piece->offset, piece->bytes, buf, new, err);
}

int rebase_co_copy(struct blk_node *top, struct blk_node *base, pieces_progress_fn *progress,
		   struct error *err)
{
	struct rebase r = {
		.top = top,
		.old.node = top->backing,
		.new.node = base,
		.cluster = top->cluster_size,
		.pieces = { .end = atomic_load(&top->size),
			    .buffers = 2,
			    .progress = progress,
			    .co_cut = co_cut,
			    .co_do = co_do },
	};

	find_common(&r.old, &r.new);
	return pieces_co_run(&r.pieces, err);
}
