// SPDX-License-Identifier: GPL-2.0
/*
 * Rebasing an image: the data that it shows of the old backing file, and that differs
 * in the new one, is written to the image.
 *
 * The status of both chains is looked up before any data is read. Nothing has to be
 * done where both read as zeroes, or where both defer to an image that is in both
 * chains: between images that share a base, only what differs is read. Where the old
 * one reads as zeroes, zero clusters are written, whatever the new one has. All other
 * data is read and compared, cluster by cluster.
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
	PIECE_OLD, /* read the old one; the new one has zeroes */
	PIECE_BOTH, /* read both */
};

/* The most bytes of zero clusters written by one request. */
#define ZERO_PIECE (1 * GiB)

enum side_kind {
	SIDE_COMMON, /* decided by the image that is in both chains */
	SIDE_ZERO,
	SIDE_DATA,
};

/* The old or the new backing file, with its last answer: [start, end) is of @kind. */
struct side {
	struct blk_node *node; /* NULL: none */
	/* The highest image of its chain that is also in the other one, or NULL. */
	const struct blk_node *common;
	enum side_kind kind;
	uint64_t start, end;
};

struct rebase_job {
	struct pieces pieces;
	struct blk_node *top;
	struct side old, new;
	uint64_t cluster; /* bytes */
	bool join; /* see rebase_co_copy() */
	/* The image's last answer: does it show its backing file in [start, end)? */
	bool shown;
	uint64_t start, end;
};

/* ---- Images in both chains ---- */

static bool same_image(const struct blk_node *a, const struct blk_node *b)
{
	return blk_file_is_same(a->file, b->file) && a->driver == b->driver &&
	       a->file_start == b->file_start && atomic_load(&a->size) == atomic_load(&b->size);
}

/*
 * Compare down to the bottom: the same file can have another backing file in each
 * chain, since a relative name depends on the path it was opened by.
 */
static bool same_chain(const struct blk_node *a, const struct blk_node *b)
{
	while (a && b && same_image(a, b)) {
		a = a->backing;
		b = b->backing;
	}
	return !a && !b;
}

/* Find the highest image of the old chain that is also in the new one. */
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

/* ---- Status ---- */

/*
 * Look up the status of @side in [@offset, @offset + @bytes), unless the last answer
 * covers @offset.
 */
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
 * Set *@end to where the status of @side changes after @offset: rounded down to whole
 * clusters, at most @limit, which is the end of a cluster; @offset itself if the
 * status changes within its cluster.
 */
static int co_look_far(const struct rebase_job *r, struct side *side, uint64_t offset,
		       uint64_t limit, uint64_t *end, struct error *err)
{
	int ret = co_look(side, offset, limit - offset, err);

	*end = side->end >= limit ? limit : round_down(side->end, r->cluster);
	*end = max_u64(*end, offset);
	return ret;
}

static int co_look_at_top(struct rebase_job *r, uint64_t offset, struct error *err)
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

/* Return the kind of a piece over whole clusters with one status on either side. */
static int kind_of(enum side_kind old, enum side_kind new)
{
	if (old == SIDE_ZERO)
		return new == SIDE_ZERO ? PIECE_NOTHING : PIECE_ZERO;
	if (old == SIDE_COMMON && new == SIDE_COMMON)
		return PIECE_NOTHING;
	return new == SIDE_ZERO ? PIECE_OLD : PIECE_BOTH;
}

/*
 * Return the limit of a piece to read at @offset: at most a buffer, and pieces start
 * at multiples of the buffer size or of a smaller cluster.
 */
static uint64_t read_limit(const struct rebase_job *r, uint64_t offset)
{
	uint64_t unit = r->cluster < PIECES_BUF_BYTES ? r->cluster : PIECES_BUF_BYTES;

	return max_u64(round_down(offset + PIECES_BUF_BYTES, PIECES_BUF_BYTES),
		       round_down(offset, unit) + unit);
}

/* Add one zero cluster of the old one that follows @piece, which is read, to it. */
static int co_join(struct rebase_job *r, struct piece *piece, uint64_t limit, struct error *err)
{
	uint64_t offset = piece->offset + piece->bytes, end;
	int ret;

	if (!r->join || offset >= limit || offset + r->cluster > read_limit(r, piece->offset))
		return 0;
	ret = co_look_far(r, &r->old, offset, limit, &end, err);
	if (!ret && r->old.kind == SIDE_ZERO && end == offset + r->cluster) {
		piece->kind = PIECE_BOTH;
		piece->bytes += r->cluster;
	}
	return ret;
}

/* Cut a piece where the image shows its backing file from piece->offset to @limit. */
static int co_cut_shown(struct rebase_job *r, struct piece *piece, uint64_t limit,
			struct error *err)
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
		/* The new one changes within this cluster, which does not matter. */
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
	if (piece->kind == PIECE_OLD || piece->kind == PIECE_BOTH)
		return co_join(r, piece, limit, err);
	return 0;
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	struct rebase_job *r = container_of(p, struct rebase_job, pieces);
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
 * Write zeroes when @buf is NULL. BLK_REQ_POPULATE writes only clusters that still
 * show the backing file: of a cluster larger than a piece, the first piece that
 * differs copies all of it.
 */
static int co_write(struct rebase_job *r, uint64_t offset, uint64_t bytes, const void *buf,
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

/* Is the cluster at @pos, of @bytes bytes at @buf, all zeroes? */
static bool is_zero_at(const struct rebase_job *r, const uint8_t *buf, uint64_t pos, uint64_t bytes)
{
	return pos < bytes && buffer_is_zero(buf + pos, min_u64(bytes - pos, r->cluster));
}

/* Write the clusters of @old that differ from @new (NULL: zeroes). */
static int co_write_different(struct rebase_job *r, uint64_t offset, uint64_t bytes,
			      const uint8_t *old, const uint8_t *new, struct error *err)
{
	enum difference run = SAME, next;
	uint64_t start = 0, pos, n;
	int ret = 0;

	for (pos = 0; !ret && pos < bytes; pos += n) {
		n = min_u64(bytes - pos, r->cluster);
		next = compare(old + pos, new ? new + pos : NULL, n);
		if (next == DIFFERENT_ZERO && run == DIFFERENT_DATA && r->join &&
		    !is_zero_at(r, old, pos + n, bytes))
			next = DIFFERENT_DATA;
		/* Part of a cluster cannot become a zero cluster: write its zeroes as data. */
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
	struct rebase_job *r = container_of(p, struct rebase_job, pieces);
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

int rebase_co_copy(struct blk_node *top, struct blk_node *base, bool join,
		   pieces_progress_fn *progress, struct error *err)
{
	struct rebase_job r = {
		.top = top,
		.old.node = top->backing,
		.new.node = base,
		.cluster = top->cluster_size,
		.join = join,
		.pieces = { .end = atomic_load(&top->size),
			    .buffers = 2,
			    .progress = progress,
			    .co_cut = co_cut,
			    .co_do = co_do },
	};

	find_common(&r.old, &r.new);
	return pieces_co_run(&r.pieces, err);
}
