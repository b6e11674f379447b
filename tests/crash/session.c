// SPDX-License-Identifier: GPL-2.0
/*
 * Running a workload: threads with an event loop each, and workers as coroutines on
 * them, on an image that is opened and closed again, or left by a killed server and
 * opened by its successor.
 */
#include <inttypes.h>
#include <string.h>

#include "aio/sys.h"
#include "aio/loop.h"
#include "block/io.h"
#include "populate/populate.h"
#include "crash.h"
#include "job/stream.h"

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

/* On a worker thread, so that this loop keeps running the image's background flusher. */
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

/*
 * Start a stream while the guest runs, fast or slow. Returns NULL if an earlier
 * session finished it.
 */
static struct stream *co_start_stream(const struct guest *guest, uint64_t seed)
{
	static const uint64_t speeds[] = { 0, 16 * MiB, 4 * MiB };
	struct stream_opts opts = { .speed = speeds[mix64(seed) % ARRAY_SIZE(speeds)] };
	struct stream *stream = NULL;

	if (guest->w->verb == CHAIN_TO_BASE) {
		opts.base = guest->node->backing->backing;
		if (!opts.base) /* already the direct backing file */
			return NULL;
	}
	if (guest->w->stream && guest->node->backing)
		CHECK(stream_co_start(&stream, guest->node, &opts, NULL) == 0);
	return stream;
}

/* Wait for the end of the stream; every third time cancel it midway. */
static void co_end_stream(struct stream *stream, uint64_t seed, struct tally *tally)
{
	if (!stream)
		return;
	job_set_speed(&stream->job, 0);
	if (mix64(seed + 1) % 3 == 0)
		job_cancel(&stream->job);
	tally->streamed += job_co_wait_end(&stream->job) == JOB_DONE;
	stream_co_free(stream);
}

/* How a session ended. */
enum end {
	END_CLOSED,
	END_BROKEN, /* the server was killed, or the disk failed */
	END_WRONG,
};

static enum end broken_or_wrong(const struct guest *guest, const char *what, struct error *err)
{
	const struct faults *f = &guest->rec->faults;

	if (!f->dead && !f->failing)
		printf("# %s: %s\n", what, error_text(err));
	error_free(err);
	return f->dead || f->failing ? END_BROKEN : END_WRONG;
}

/* Run the guest on the open image. */
static void co_work(struct guest *guest, uint64_t seed, struct tally *tally)
{
	const struct workload *w = guest->w;
	struct crew crews[MAX_LOOPS];
	struct stream *stream;

	for (unsigned int i = 0; i < w->loops; i++)
		crews[i] = (struct crew){ .guest = guest,
					  .index = i,
					  .seed = seed,
					  .ops = w->ops / guest->owners / w->sessions };
	guest->rec->header_written = false;
	stream = co_start_stream(guest, seed);
	guest->streaming = stream;
	CHECK(aio_co_call(run_crews, crews) == 0);
	co_end_stream(stream, seed, tally);
	/* Closing drops pending copy-on-read clusters; every other time drain them first. */
	if (seed % 2)
		populate_co_drain(guest->node);
	count_stats(guest->node, tally);
	tally->resized += guest->resized;
}

/*
 * Open the image after its server was killed or the disk failed, as the successor does: it must
 * be a good image, in which each sector is as after a loss of power at this point or, with a
 * rescue area, as its completed requests left it. Record that content.
 */
static bool co_restart(struct guest *guest, struct tally *tally)
{
	struct record *rec = guest->rec;
	uint64_t sectors = arena_sectors(&rec->geo), position = rec->position, sector;
	struct judge judge;
	bool ok;

	record_pause(true);
	judge_init(&judge, rec, guest->files);
	ok = judge_co_read(rec, guest->files->image[FILE_TOP].live, judge.content);
	for (uint64_t s = 0; ok && s < sectors; s++) {
		guest->current[s] = judge_version(&judge, s, &sector);
		ok = guest->w->rescue ? model_keeps_answered(&judge.model, s, guest->current[s]) :
					model_allows(&judge.model, s, position, guest->current[s]);
		if (!ok)
			judge_explain(&judge, s, position);
	}
	judge_destroy(&judge);
	record_pause(false);
	if (ok)
		record_restart(rec, guest->current);
	else
		printf("# that is what a server left at position %" PRIu64
		       ", before power was lost\n",
		       rec->faults.died);
	guest->broken = false;
	tally->restarted++;
	return ok;
}

/* Open the image, let the guest work, close it. */
static enum end co_session(struct guest *guest, uint64_t seed, struct tally *tally)
{
	const struct workload *w = guest->w;
	const char *path = guest->files->image[FILE_TOP].live;
	struct blk_open_opts opts = {
		.format = "qed",
		.flags = BLK_O_RDWR,
		.l2_cache_size = w->l2_cache,
		.rescue = rescue_before_open(guest->rec),
	};
	struct error err = ERROR_INIT;
	size_t closing;
	int ret;

	if (blk_co_open(&guest->node, path, &opts, &err))
		return broken_or_wrong(guest, "opening for writing", &err);
	CHECK(populate_co_attach(guest->node, w->copy_on_read, NULL) == 0);
	rescue_opened(guest->rec, guest->node);
	if (guest->broken)
		guest->failed = !co_restart(guest, tally);
	if (!guest->failed)
		co_work(guest, seed, tally);
	closing = record_issue(guest->rec, GUEST_CLOSE, false, 0, 0);
	ret = blk_co_close(guest->node);
	rescue_closed(guest->rec);
	if (guest->failed)
		return END_WRONG;
	if (ret) {
		error_set_errno(&err, ret, "%s", path);
		return broken_or_wrong(guest, "closing", &err);
	}
	record_ack(guest->rec, closing);
	return guest->rec->faults.dead ? END_BROKEN : END_CLOSED;
}

/* Run a session and the verb after it. */
static enum end co_turn(struct guest *guest, uint64_t seed, struct tally *tally)
{
	const struct workload *w = guest->w;
	struct record *rec = guest->rec;
	enum end end;

	if (damage_names_twice(&rec->geo) && damage_is_dirty(guest->files->image[FILE_TOP].live) &&
	    !damage_co_check(guest->files->image[FILE_TOP].live))
		return END_WRONG;
	fault_arm(rec, w, w->ops * 2 / w->sessions, seed);
	end = co_session(guest, next_random(&seed), tally);
	if (end != END_CLOSED || !is_after_session(w->verb))
		return end;
	if (chain_co_verb(rec, guest->files))
		tally->chained++;
	else
		end = rec->faults.dead || rec->faults.failing ? END_BROKEN : END_WRONG;
	return end;
}

bool workload_co_run(const struct workload *w, struct record *rec, const struct files *files,
		     struct tally *tally)
{
	uint64_t sectors = arena_sectors(&rec->geo);
	struct guest guest = { .w = w, .rec = rec, .files = files };
	uint64_t seed = rec->geo.seed;
	bool ok = true;

	CHECK(w->loops <= MAX_LOOPS && w->workers <= MAX_WORKERS);
	guest.owners = w->loops * w->workers;
	guest.current = malloc(sectors * sizeof(*guest.current));
	CHECK(guest.current);
	memcpy(guest.current, rec->initial, sectors * sizeof(*guest.current));
	record_files(rec, files);
	if (w->rescue)
		rescue_begin(rec);
	if (w->verb == CHAIN_CONVERTED) {
		ok = convert_co_run(rec, files);
		tally->chained += ok;
	}
	for (unsigned int i = 0; ok && i < w->sessions; i++) {
		enum end end;

		/* With O_DIRECT a session reads what the disk has, else it may find the pages. */
		if (rec->faults.lossy && (w->align > 1 || seed % 2))
			fault_drop_cache(rec, files);
		end = co_turn(&guest, next_random(&seed), tally);
		guest.broken |= end == END_BROKEN;
		ok = end != END_WRONG;
	}
	fault_disarm(rec);
	rescue_end(rec);
	record_files(NULL, NULL);
	free(guest.current);
	return ok;
}
