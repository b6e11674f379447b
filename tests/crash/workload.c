// SPDX-License-Identifier: GPL-2.0
/*
 * The workloads, and running one: threads with an event loop each, workers as
 * coroutines on them, on an image that is opened and closed again.
 */
#include <string.h>

#include "aio/io.h"
#include "aio/loop.h"
#include "block/io.h"
#include "block/populate.h"
#include "crash.h"
#include "job/stream.h"

const struct workload workloads[] = {
	{ .name = "allocating-writes",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 2 * MiB,
	  .loops = 2,
	  .workers = 6,
	  .ops = 300,
	  .sessions = 1,
	  .writes = 90,
	  .flushes = 6 },
	{ .name = "copy-on-write",
	  .cluster_size = 32 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 2 * MiB - 5 * SECTOR_SIZE,
	  .backing = 80,
	  .loops = 2,
	  .workers = 6,
	  .ops = 300,
	  .sessions = 1,
	  .writes = 85,
	  .zeroes = 5,
	  .flushes = 6 },
	{ .name = "write-zeroes",
	  .cluster_size = 16 * KiB,
	  .table_size = 4,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 2 * MiB - 3 * SECTOR_SIZE,
	  .backing = 60,
	  .loops = 1,
	  .workers = 8,
	  .ops = 350,
	  .sessions = 1,
	  .writes = 40,
	  .fuas = 1,
	  .zeroes = 46,
	  .flushes = 6 },
	{ .name = "discard-reuse",
	  .cluster_size = 4 * KiB,
	  .table_size = 1,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 1 * MiB,
	  .loops = 1,
	  .workers = 8,
	  .ops = 500,
	  .sessions = 1,
	  .writes = 50,
	  .zeroes = 4,
	  .discards = 28,
	  .flushes = 14,
	  .must_reuse = true },
	{ .name = "discard-backing",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 2 * MiB,
	  .backing = 100,
	  .loops = 2,
	  .workers = 5,
	  .ops = 350,
	  .sessions = 1,
	  .writes = 45,
	  .zeroes = 10,
	  .discards = 28,
	  .flushes = 10,
	  .must_reuse = true },
	{ .name = "copy-on-read",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 2 * MiB - 9 * SECTOR_SIZE,
	  .backing = 100,
	  .copy_on_read = true,
	  .loops = 2,
	  .workers = 5,
	  .ops = 300,
	  .sessions = 1,
	  .writes = 30,
	  .zeroes = 6,
	  .discards = 4,
	  .flushes = 6 },
	/* The backing file goes away beside the guest's writes, and its content must not. */
	{ .name = "streaming",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 2 * MiB - 9 * SECTOR_SIZE,
	  .backing = 90,
	  .copy_on_read = true,
	  .stream = true,
	  .loops = 2,
	  .workers = 5,
	  .ops = 400,
	  .sessions = 2,
	  .writes = 40,
	  .zeroes = 8,
	  .discards = 8,
	  .flushes = 6,
	  .must_stream = true },
	{ .name = "fua",
	  .cluster_size = 8 * KiB,
	  .table_size = 2,
	  .align = 512,
	  .spots = 1,
	  .spot_bytes = 1 * MiB,
	  .backing = 50,
	  .loops = 2,
	  .workers = 4,
	  .ops = 250,
	  .sessions = 1,
	  .writes = 55,
	  .fuas = 16,
	  .zeroes = 10,
	  .discards = 10 },
	{ .name = "direct-io",
	  .cluster_size = 64 * KiB,
	  .table_size = 4,
	  .align = 4096,
	  .spots = 1,
	  .spot_bytes = 4 * MiB - 1 * SECTOR_SIZE,
	  .backing = 70,
	  .copy_on_read = true,
	  .loops = 2,
	  .workers = 6,
	  .ops = 300,
	  .sessions = 1,
	  .writes = 55,
	  .fuas = 2,
	  .zeroes = 12,
	  .discards = 10,
	  .flushes = 6 },
	/* L1 entries in several sectors, each table with a slice to write. */
	{ .name = "small-l2-cache",
	  .cluster_size = 4 * KiB,
	  .table_size = 1,
	  .align = 1,
	  .spots = 40,
	  .spot_bytes = 32 * KiB,
	  .spot_stride = 6 * MiB,
	  .backing = 60,
	  .copy_on_read = true,
	  .l2_cache = 64 * KiB,
	  .loops = 4,
	  .workers = 4,
	  .ops = 450,
	  .sessions = 1,
	  .writes = 50,
	  .fuas = 2,
	  .zeroes = 10,
	  .discards = 12,
	  .flushes = 5,
	  .must_evict = true },
	/*
	 * Tables enough for the search for leaks to last while clusters come and
	 * go, and two slices used of each.
	 */
	{ .name = "leak-search",
	  .cluster_size = 4 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 10,
	  .spot_bytes = 64 * KiB,
	  .spot_stride = 2 * MiB,
	  .loops = 1,
	  .workers = 8,
	  .ops = 900,
	  .sessions = 1,
	  .writes = 50,
	  .zeroes = 3,
	  .discards = 27,
	  .flushes = 14,
	  .must_reuse = true },
	{ .name = "close-compacts",
	  .cluster_size = 8 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 1 * MiB,
	  .loops = 1,
	  .workers = 6,
	  .ops = 240,
	  .sessions = 4,
	  .writes = 50,
	  .zeroes = 10,
	  .discards = 30,
	  .flushes = 4 },
	/* The image below gets what the guest wrote, and then the guest's is emptied. */
	{ .name = "committed",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 3 * MiB - 7 * SECTOR_SIZE,
	  .backing = 90,
	  .verb = CHAIN_COMMITTED,
	  .loops = 1,
	  .workers = 6,
	  .ops = 80,
	  .sessions = 2,
	  .writes = 60,
	  .zeroes = 15,
	  .discards = 10,
	  .flushes = 4 },
	{ .name = "rebased",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 3 * MiB - 5 * SECTOR_SIZE,
	  .backing = 85,
	  .verb = CHAIN_REBASED,
	  .loops = 1,
	  .workers = 6,
	  .ops = 80,
	  .sessions = 2,
	  .writes = 50,
	  .zeroes = 10,
	  .discards = 10,
	  .flushes = 4 },
	/* No guest: the whole image is made of another one. */
	{ .name = "converted",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 1,
	  .spots = 1,
	  .spot_bytes = 3 * MiB - 7 * SECTOR_SIZE,
	  .verb = CHAIN_CONVERTED },
	{ .name = "mixed",
	  .cluster_size = 16 * KiB,
	  .table_size = 2,
	  .align = 512,
	  .spots = 1,
	  .spot_bytes = 2 * MiB,
	  .backing = 75,
	  .copy_on_read = true,
	  .loops = 4,
	  .workers = 4,
	  .ops = 450,
	  .sessions = 2,
	  .writes = 45,
	  .fuas = 3,
	  .zeroes = 12,
	  .discards = 14,
	  .flushes = 6,
	  .must_reuse = true },
};

const unsigned int nr_workloads = ARRAY_SIZE(workloads);

#define MAX_LOOPS   4
#define MAX_WORKERS 8

struct crew {
	struct guest *guest;
	struct aio_loop *loop;
	pthread_t thread;
	unsigned int index, running, ops;
	uint64_t seed;
	struct hand {
		struct crew *crew;
		unsigned int owner;
	} hands[MAX_WORKERS];
};

static void hand_main(void *arg)
{
	struct hand *hand = arg;
	struct crew *crew = hand->crew;

	guest_co_work(crew->guest, hand->owner, crew->ops, crew->seed + hand->owner);
	if (!--crew->running)
		aio_loop_stop(crew->loop);
}

static void *crew_main(void *arg)
{
	struct crew *crew = arg;
	unsigned int workers = crew->guest->w->workers;

	CHECK(aio_loop_create(&crew->loop, 64, NULL) == 0);
	crew->running = workers + 1;
	for (unsigned int i = 0; i < workers; i++) {
		crew->hands[i] = (struct hand){ crew, crew->index * workers + i };
		CHECK(co_start(hand_main, &crew->hands[i]) == 0);
	}
	if (--crew->running)
		CHECK(aio_loop_run(crew->loop) == 0);
	aio_loop_destroy(crew->loop);
	return NULL;
}

/* On a worker thread, so that this loop goes on, for the image's keeper. */
static int run_crews(void *arg)
{
	struct crew *crews = arg;
	unsigned int loops = crews->guest->w->loops;

	for (unsigned int i = 0; i < loops; i++)
		CHECK(pthread_create(&crews[i].thread, NULL, crew_main, &crews[i]) == 0);
	for (unsigned int i = 0; i < loops; i++)
		CHECK(pthread_join(crews[i].thread, NULL) == 0);
	return 0;
}

static void count_stats(const struct blk_node *node, struct tally *tally)
{
	tally->reused += blk_stats_get(&node->stats, BLK_STAT_reused_clusters);
	tally->evicted += blk_stats_get(&node->stats, BLK_STAT_l2_evictions);
	tally->populated += blk_stats_get(&node->stats, BLK_STAT_populated_clusters) +
			    blk_stats_get(&node->stats, BLK_STAT_populated_zero_clusters);
}

/* Stream beside the guest, fast or slowly; nothing where an earlier session came to the end. */
static struct stream *co_start_stream(const struct guest *guest, uint64_t seed)
{
	static const uint64_t speeds[] = { 0, 16 * MiB, 4 * MiB };
	struct stream_opts opts = { .speed = speeds[mix64(seed) % ARRAY_SIZE(speeds)] };
	struct stream *stream = NULL;

	if (guest->w->stream && guest->node->backing)
		CHECK(stream_co_start(&stream, guest->node, &opts, NULL) == 0);
	return stream;
}

/* Its end, or ours: every third time it has to stop in the middle. */
static void co_end_stream(struct stream *stream, uint64_t seed, struct tally *tally)
{
	if (!stream)
		return;
	job_set_speed(&stream->job, 0);
	if (mix64(seed + 1) % 3 == 0)
		job_cancel(&stream->job);
	job_co_wait_end(&stream->job);
	tally->streamed += job_get_state(&stream->job) == JOB_DONE;
	stream_co_free(stream);
}

/* Open the image, let the guest work, close it. */
static bool co_session(struct guest *guest, const char *path, uint64_t seed, struct tally *tally)
{
	const struct workload *w = guest->w;
	struct blk_open_opts opts = {
		.format = "qed",
		.flags = BLK_O_RDWR | (w->copy_on_read ? BLK_O_COPY_ON_READ : 0),
		.l2_cache_size = w->l2_cache,
	};
	struct crew crews[MAX_LOOPS];
	struct error err = ERROR_INIT;
	struct stream *stream;
	size_t closing;
	int ret;

	if (blk_co_open(&guest->node, path, &opts, &err)) {
		printf("# opening for writing: %s\n", error_text(&err));
		error_free(&err);
		return false;
	}
	for (unsigned int i = 0; i < w->loops; i++)
		crews[i] = (struct crew){ .guest = guest,
					  .index = i,
					  .seed = seed,
					  .ops = w->ops / guest->owners / w->sessions };
	stream = co_start_stream(guest, seed);
	CHECK(aio_co_call(run_crews, crews) == 0);
	co_end_stream(stream, seed, tally);
	/* Closing lets go of what is not kept yet; every other time there is nothing left. */
	if (seed % 2)
		blk_co_populate_drain(guest->node);
	count_stats(guest->node, tally);
	closing = record_issue(guest->rec, GUEST_CLOSE, false, 0, 0);
	ret = blk_co_close(guest->node);
	if (ret)
		printf("# closing: %s\n", strerror(-ret));
	else
		record_ack(guest->rec, closing);
	return !ret && !guest->failed;
}

bool workload_co_run(const struct workload *w, struct record *rec, const struct files *files,
		     struct tally *tally)
{
	uint64_t sectors = arena_sectors(&rec->geo);
	struct guest guest = { .w = w, .rec = rec, .owners = w->loops * w->workers };
	uint64_t seed = rec->geo.seed;
	bool ok = true;

	CHECK(w->loops <= MAX_LOOPS && w->workers <= MAX_WORKERS);
	guest.current = malloc(sectors * sizeof(*guest.current));
	CHECK(guest.current);
	memcpy(guest.current, rec->initial, sectors * sizeof(*guest.current));
	record_files(rec, files);
	if (w->verb == CHAIN_CONVERTED) {
		ok = convert_co_run(rec, files);
		tally->chained += ok;
	}
	for (unsigned int i = 0; ok && i < w->sessions; i++) {
		ok = co_session(&guest, files->image[FILE_TOP].live, next_random(&seed), tally);
		if (ok && w->verb)
			ok = chain_co_verb(&rec->geo, files);
		tally->chained += ok && w->verb;
	}
	record_files(NULL, NULL);
	free(guest.current);
	return ok;
}
