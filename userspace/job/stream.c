// SPDX-License-Identifier: GPL-2.0
/*
 * The stream job.
 *
 * Pieces of the disk are populated in order, those of opts.first (a trace) before all
 * others. The image is busy while guest requests are in flight on the node: they come
 * first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "aio/timer.h"
#include "populate/populate.h"
#include "job/stream.h"
#include "util/log.h"
#include "util/units.h"

#define WORKERS 4
/* A limited speed is spread over at least this many pieces a second. */
#define PIECES_A_SECOND 20
/* Counting yields to the thread's other coroutines this often. */
#define COUNT_TURN_NS 1000000ULL
/* What is in opts.first, and the rest of the disk. */
enum { PIECE_FIRST = 1, PIECE_REST };

/* ---- Figures ---- */

/* Count @clusters from @offset on as left (@more), or as no longer left. */
static void count_left(struct stream *s, uint64_t offset, uint64_t clusters, bool more)
{
	uint64_t c = offset / s->job.node->cluster_size;

	while (clusters) {
		uint64_t n = min_u64(clusters, s->segment_clusters - c % s->segment_clusters);
		_Atomic uint64_t *left = &s->left[c / s->segment_clusters];

		/* Guest writes and copy-on-read populate clusters too: do not go below 0. */
		*left = more ? *left + n : *left - min_u64(*left, n);
		c += n;
		clusters -= n;
	}
}

static void count_kept(struct stream *s, uint64_t offset, uint64_t bytes,
		       const struct populated *populated)
{
	count_left(s, offset, div_round_up(bytes, s->job.node->cluster_size), false);
	s->zero += populated->zero;
	s->source_bytes += populated->source_bytes;
}

/* Set the counts of segments that every worker has passed to 0. */
static void settle(struct stream *s)
{
	uint64_t low = s->cursor, segment_bytes = s->segment_clusters * s->job.node->cluster_size;
	const struct piece *oldest = pieces_oldest(&s->pieces);

	if (oldest)
		low = oldest->kind == PIECE_REST ? oldest->offset : 0;
	for (; (s->settled + 1) * segment_bytes <= low; s->settled++)
		s->left[s->settled] = 0;
}

/* Count the clusters that are left and those that are zero, before streaming. */
static int co_count(struct stream *s)
{
	struct blk_node *node = s->job.node;
	uint64_t turn_end = aio_now() + COUNT_TURN_NS, offset = 0;

	while (offset < s->end) {
		struct blk_map map;
		uint64_t clusters;
		int ret = node->driver->co_map(node, offset, s->end - offset, &map);

		if (ret)
			return ret;
		clusters = div_round_up(min_u64(map.bytes, s->end - offset), node->cluster_size);
		if (map.kind == BLK_MAP_BACKING)
			count_left(s, offset, clusters, true);
		else if (map.kind == BLK_MAP_ZERO)
			s->zero += clusters;
		offset += clusters * node->cluster_size;
		if (aio_now() < turn_end)
			continue;
		aio_co_sleep(0);
		if (!job_co_checkpoint(&s->job))
			return -ECANCELED;
		turn_end = aio_now() + COUNT_TURN_NS;
	}
	s->total = div_round_up(s->end, node->cluster_size);
	s->counted = true;
	return 0;
}

/* ---- Pieces ---- */

static uint64_t piece_bytes(struct stream *s)
{
	struct blk_node *node = s->job.node;
	uint64_t bytes = populate_window(node), speed = job_get_speed(&s->job);

	if (speed)
		bytes = min_u64(bytes, round_down(speed / PIECES_A_SECOND, node->cluster_size));
	return max_u64(bytes, node->cluster_size);
}

/*
 * Make @piece start in the first run of [piece->offset, @end) that shows the backing
 * file; 0 bytes: there is none. Returns 0 or -errno.
 */
static int co_find(struct stream *s, struct piece *piece, uint64_t end)
{
	struct blk_node *node = s->job.node;

	while (piece->offset < end) {
		struct blk_map map;
		int ret = node->driver->co_map(node, piece->offset, end - piece->offset, &map);

		if (ret)
			return ret;
		piece->bytes = min_u64(map.bytes, end - piece->offset);
		if (map.kind == BLK_MAP_BACKING) {
			piece->bytes = min_u64(piece->bytes, piece_bytes(s));
			return 0;
		}
		piece->offset += piece->bytes;
	}
	piece->bytes = 0;
	return 0;
}

/* Cut the next piece of opts.first; 0 bytes: there is none. */
static int co_cut_first(struct stream *s, struct piece *piece)
{
	while (s->next_first < s->opts.nr_first) {
		struct stream_range *range = &s->opts.first[s->next_first];
		uint64_t end = range->offset + range->bytes;
		int ret;

		piece->offset = range->offset;
		ret = co_find(s, piece, end);
		if (ret)
			return ret;
		if (piece->bytes) {
			range->offset = piece->offset + piece->bytes;
			range->bytes = end - range->offset;
			return 0;
		}
		s->next_first++;
	}
	return 0;
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	struct stream *s = container_of(p, struct stream, pieces);
	int ret;

	settle(s);
	piece->counts = true;
	do {
		piece->bytes = 0;
		piece->kind = PIECE_FIRST;
		ret = co_cut_first(s, piece);
		if (ret || piece->bytes || s->opts.only_first)
			continue;
		piece->kind = PIECE_REST;
		piece->offset = s->cursor;
		ret = co_find(s, piece, s->end);
		if (!ret)
			s->cursor = piece->offset + piece->bytes;
	} while (ret && job_co_back_off(&s->job, ret, "looking for what is left"));
	return ret ? error_set_errno(err, -ECANCELED, "stream") : 0;
}

/* Populate a piece, with retries. */
static int co_do(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	struct stream *s = container_of(p, struct stream, pieces);
	struct populated populated = { 0 };
	char what[64];
	int ret;

	(void)buf;
	while ((ret = populate_co_range(s->job.node, s->opts.base, piece->offset, piece->bytes,
					&populated))) {
		snprintf(what, sizeof(what), "streaming at offset %" PRIu64, piece->offset);
		if (!job_co_back_off(&s->job, ret, what))
			return error_set_errno(err, -ECANCELED, "stream");
	}
	job_went_well(&s->job);
	job_refund(&s->job, piece->bytes - min_u64(populated.source_bytes, piece->bytes));
	count_kept(s, piece->offset, piece->bytes, &populated);
	return 0;
}

static bool is_busy(struct pieces *p)
{
	return populate_foreground_is_busy(p->job->node);
}

/* Everything is populated: record the new backing file, or none, in the image. */
static int co_finish(struct stream *s, struct error *err)
{
	struct blk_node *node = s->job.node;
	struct error why = ERROR_INIT;
	int ret;

	for (;;) {
		ret = blk_co_rebase(node, s->opts.base, &s->removed, &why);
		if (!ret)
			break;
		if (!job_co_back_off(&s->job, ret, "changing the backing file"))
			break;
		error_free(&why);
	}
	if (ret)
		ret = error_set(err, -ECANCELED, "%s", error_text(&why));
	error_free(&why);
	if (ret)
		return ret;
	job_went_well(&s->job);
	for (unsigned int i = 0; i < STREAM_SEGMENTS; i++)
		s->left[i] = 0;
	return 0;
}

static int co_run(struct job *job, struct error *err)
{
	struct stream *s = container_of(job, struct stream, job);
	int ret;

	while ((ret = co_count(s)) && ret != -ECANCELED) {
		for (unsigned int i = 0; i < STREAM_SEGMENTS; i++)
			s->left[i] = 0;
		s->zero = 0;
		if (!job_co_back_off(job, ret, "counting clusters"))
			ret = -ECANCELED;
		if (ret == -ECANCELED)
			break;
	}
	if (ret)
		return error_set_errno(err, ret, "stream");
	ret = pieces_co_run(&s->pieces, err);
	if (!ret && !s->opts.only_first)
		ret = co_finish(s, err);
	return ret;
}

/* ---- Start, status and free ---- */

/* Return the offset up to which populating is needed. */
static uint64_t find_end(struct blk_node *node, struct blk_node *base)
{
	uint64_t reach = 0;

	for (struct blk_node *below = node->backing; below; below = below->backing) {
		reach = max_u64(reach, below->size);
		/*
		 * Without a base, bytes beyond the end of the direct backing file read as zeroes
		 * either way.
		 */
		if (below == base || !base)
			break;
	}
	return min_u64(round_up(reach, node->cluster_size), node->size);
}

/* Align opts.first to whole clusters and clip it to [0, end). */
static void clip_first(struct stream *s)
{
	uint32_t cluster = s->job.node->cluster_size;

	for (size_t i = 0; i < s->opts.nr_first; i++) {
		struct stream_range *range = &s->opts.first[i];
		uint64_t start = min_u64(round_down(range->offset, cluster), s->end);
		uint64_t end = min_u64(range->offset, s->end) +
			       min_u64(range->bytes, s->end - min_u64(range->offset, s->end));

		end = min_u64(round_up(end, cluster), s->end);
		*range = (struct stream_range){ start, end - min_u64(start, end) };
	}
}

int stream_co_start(struct stream **out, struct blk_node *node, const struct stream_opts *opts,
		    struct error *err)
{
	const char *name;
	struct stream *s;
	int ret = 0;

	if (!node->backing || !populate_can(node))
		ret = error_set(err, -EINVAL, "%s",
				node->backing ? "the image is not writable" :
						"there is no backing file");
	else if (!opts->only_first)
		/* Refuse now if the last step could not succeed. */
		ret = blk_check_rebase(node, opts->base, &name, err);
	s = ret ? NULL : calloc(1, sizeof(*s));
	if (!s) {
		free(opts->first);
		return ret ? ret : error_set_errno(err, -ENOMEM, "stream");
	}
	job_init(&s->job, node, co_run);
	s->opts = *opts;
	s->job.speed = opts->speed;
	s->job.pause = opts->paused;
	if (opts->back_off)
		s->job.back_off = opts->back_off;
	s->end = find_end(node, opts->base);
	s->segment_clusters =
		max_u64(div_round_up(div_round_up(s->end, node->cluster_size), STREAM_SEGMENTS), 1);
	s->started = aio_now();
	s->pieces = (struct pieces){ .job = &s->job,
				     .end = UINT64_MAX, /* co_cut() says what is the last piece */
				     .workers = WORKERS,
				     .co_cut = co_cut,
				     .co_do = co_do,
				     .is_busy = is_busy };
	clip_first(s);
	ret = job_co_start(&s->job, err);
	if (ret) {
		stream_co_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

void stream_get_status(struct stream *s, struct stream_status *status)
{
	*status = (struct stream_status){
		.zero = s->zero,
		.source_bytes = s->source_bytes,
		.elapsed = aio_now() - s->started,
		.prefetch = s->opts.only_first,
	};
	for (unsigned int i = 0; s->counted && i < STREAM_SEGMENTS; i++)
		status->left += s->left[i];
	if (s->counted) {
		status->total = s->total;
		status->zero = min_u64(status->zero, status->total - status->left);
		status->populated = status->total - status->left - status->zero;
	}
	pthread_mutex_lock(&s->job.mutex);
	status->state = s->job.state;
	status->speed = s->job.speed;
	status->errors = s->job.errors;
	if (s->job.error_text)
		snprintf(status->error, sizeof(status->error), "%s", s->job.error_text);
	pthread_mutex_unlock(&s->job.mutex);
}

void stream_co_free(struct stream *s)
{
	if (s->removed && blk_co_close(s->removed))
		log_warning("%s: a backing file was not closed in order", s->job.node->filename);
	job_destroy(&s->job);
	free(s->opts.first);
	free(s);
}
