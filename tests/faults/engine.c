// SPDX-License-Identifier: GPL-2.0
/*
 * One try of the QED engine: a workload of writes, zeroes, discards, flushes, copy-on-read and
 * streaming with an injected failure, and the checks afterwards.
 *
 * A request fails or succeeds completely; a sector touched by a failed one is old or new; the image
 * works afterwards; closed and opened again, it is consistent and has the same content.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "aio/loop.h"
#include "block/io.h"
#include "faults/engine.h"
#include "faults/inject.h"
#include "format/qed/format.h"
#include "job/stream.h"
#include "populate/populate.h"
#include "shared/check.h"
#include "shared/random.h"
#include "util/units.h"

#define SECTOR	     512u
#define CLUSTER	     4096u
#define IMAGE_SIZE   (3 * MiB)
#define BACKING_SIZE (2 * MiB + 1536)
#define SECTORS	     (IMAGE_SIZE / SECTOR)
#define ROUNDS	     20
#define AT_ONCE	     4
#define MANY_ERRORS  20u /* of a stream: a failure that does not end */

/* Versions of a sector: zeroes, the backing file's bytes, or those of a write. */
#define ZEROES	     0u
#define BACKING	     1u
#define MAX_POSSIBLE 20

/* The possible contents of a sector: more than one after a request failed. */
struct sector {
	uint32_t version[MAX_POSSIBLE];
	unsigned int nr;
};

struct engine_files engine_files;

static struct workload {
	uint64_t random;
	struct sector sectors[SECTORS];
	/* Possible contents of an image whose close failed: all since the last successful flush. */
	struct sector since_flush[SECTORS], before_round[SECTORS];
	struct blk_node *node;
	uint32_t versions; /* the last version written */
	bool failed; /* some request failed since inject_arm() */
	bool durable_failed; /* so did a durable write: its sync may have failed */
	bool flush_failed; /* an fdatasync failed, in any request: flushes may fail from then on */
} work;

static void fill_sector(uint64_t *words, uint64_t sector, uint32_t version)
{
	if (version == BACKING && sector >= BACKING_SIZE / SECTOR)
		version = ZEROES;
	for (unsigned int i = 0; i < SECTOR / 8; i++)
		words[i] = version ? mix64(sector << 32 ^ (uint64_t)version << 8 ^ i) | 1 : 0;
}

enum request_kind {
	READ,
	READ_KEEP,
	WRITE,
	WRITE_FUA,
	WRITE_ZEROES,
	ZEROES_UNMAP,
	DISCARD,
	FLUSH,
	NR_REQUESTS
};

struct request {
	enum request_kind kind;
	uint64_t first, count; /* sectors */
	uint32_t version;
	int ret;
	uint8_t *buf;
	struct group *group;
};

struct group {
	unsigned int left;
	struct co *waiter;
};

/* ---- The model ---- */

static void add_version(struct sector *s, uint32_t version)
{
	for (unsigned int i = 0; i < s->nr; i++)
		if (s->version[i] == version)
			return;
	CHECK(s->nr < MAX_POSSIBLE);
	s->version[s->nr++] = version;
}

/* A request for the sector has completed. @sure: it holds @version and nothing else. */
static void may_hold(uint64_t sector, uint32_t version, bool sure)
{
	if (sure)
		work.sectors[sector].nr = 0;
	add_version(&work.sectors[sector], version);
	add_version(&work.since_flush[sector], version);
}

/* A flush of the round succeeded: earlier requests are durable, concurrent ones may be. */
static void flushed_in_round(const struct request *requests, unsigned int n)
{
	memcpy(work.since_flush, work.before_round, sizeof(work.since_flush));
	for (unsigned int i = 0; i < n; i++) {
		const struct request *r = &requests[i];

		for (uint64_t s = r->first; s < r->first + r->count; s++)
			for (unsigned int v = 0; v < work.sectors[s].nr; v++)
				add_version(&work.since_flush[s], work.sectors[s].version[v]);
	}
}

static bool has_room(uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		if (work.since_flush[i].nr >= MAX_POSSIBLE - 1)
			return false;
	return true;
}

/* The data read is one of the possible contents, and the only one from now on. */
static void check_content(uint64_t first, uint64_t count, const uint8_t *buf)
{
	uint64_t want[SECTOR / 8];

	for (uint64_t i = 0; i < count; i++) {
		struct sector *s = &work.sectors[first + i];
		unsigned int v;

		for (v = 0; v < s->nr; v++) {
			fill_sector(want, first + i, s->version[v]);
			if (!memcmp(want, buf + i * SECTOR, SECTOR))
				break;
		}
		if (v == s->nr)
			fprintf(stderr, "sector %llu holds what nobody wrote\n",
				(unsigned long long)(first + i));
		CHECK(v < s->nr);
		may_hold(first + i, s->version[v], true);
	}
}

/* ---- Requests ---- */

static void co_carry_out(struct request *r)
{
	uint64_t offset = r->first * SECTOR, bytes = r->count * SECTOR;
	struct blk_node *node = work.node;

	switch (r->kind) {
	case READ:
	case READ_KEEP:
		r->ret = blk_co_pread(node, offset, bytes, r->buf,
				      r->kind == READ_KEEP ? BLK_REQ_COPY_ON_READ : 0);
		break;
	case WRITE:
	case WRITE_FUA:
		r->ret = blk_co_pwrite(node, offset, bytes, r->buf,
				       r->kind == WRITE_FUA ? BLK_REQ_FUA : 0);
		break;
	case WRITE_ZEROES:
	case ZEROES_UNMAP:
		r->ret = blk_co_pwrite_zeroes(node, offset, bytes,
					      r->kind == ZEROES_UNMAP ? BLK_REQ_MAY_UNMAP : 0);
		break;
	case DISCARD:
		r->ret = blk_co_pdiscard(node, offset, bytes);
		break;
	default:
		r->ret = blk_co_flush(node);
	}
}

static void run_request(void *arg)
{
	struct request *r = arg;

	co_carry_out(r);
	if (--r->group->left == 0 && r->group->waiter)
		co_wake(r->group->waiter);
}

/* Update the model with the request's result. */
static void account(struct request *r)
{
	bool ok = !r->ret;

	work.failed |= !ok;
	/* Judged so when parts of blocks were dirty in the page cache (file_align.c). */
	work.durable_failed |= !ok && r->kind == WRITE_FUA;
	CHECK(r->ret <= 0);
	switch (r->kind) {
	case READ:
	case READ_KEEP:
		if (ok)
			check_content(r->first, r->count, r->buf);
		return;
	case FLUSH:
		return;
	default:
		break;
	}
	for (uint64_t i = r->first; i < r->first + r->count; i++)
		may_hold(i, r->version, ok && r->kind != DISCARD);
}

/* Choose a request in the part [first, first + count) of the disk. */
static void prepare(struct request *r, uint64_t first, uint64_t count)
{
	uint64_t random = next_random(&work.random);

	r->kind = random % NR_REQUESTS;
	random >>= 8;
	r->count = 1 + random % (random & 1 << 20 ? 7 : count / 2);
	r->first = first + (random >> 21) % (count - r->count);
	/* Half of the requests are for whole clusters. */
	if (random & 1ULL << 40 && count > 3 * CLUSTER / SECTOR) {
		r->first = round_up(r->first, CLUSTER / SECTOR);
		r->count = CLUSTER / SECTOR * (1 + (r->count / 8 > 2));
		if (r->first + r->count > first + count)
			r->first = first;
	}
	if (!has_room(r->first, r->count))
		r->kind = READ;
	r->version = r->kind == WRITE || r->kind == WRITE_FUA ? ++work.versions : ZEROES;
	for (uint64_t i = 0; i < r->count && r->version; i++)
		fill_sector((uint64_t *)(r->buf + i * SECTOR), r->first + i, r->version);
}

/* Run concurrent requests, in parts of the disk that do not overlap. */
static void co_round(struct request *requests)
{
	uint64_t part = SECTORS / AT_ONCE / 8,
		 base = next_random(&work.random) % 8 * AT_ONCE * part;
	struct group group = { AT_ONCE, NULL };

	memcpy(work.before_round, work.sectors, sizeof(work.sectors));
	for (unsigned int i = 0; i < AT_ONCE; i++) {
		prepare(&requests[i], base + i * part, part);
		requests[i].group = &group;
	}
	for (unsigned int i = 0; i < AT_ONCE; i++) {
		if (co_start(run_request, &requests[i])) {
			requests[i].ret = -ENOMEM;
			group.left--;
		}
	}
	if (group.left) {
		group.waiter = co_self();
		co_park();
	}
	for (unsigned int i = 0; i < AT_ONCE; i++)
		account(&requests[i]);
	for (unsigned int i = 0; i < AT_ONCE; i++)
		if (requests[i].kind == FLUSH && !requests[i].ret)
			flushed_in_round(requests, AT_ONCE);
}

/* ---- The workload ---- */

static int co_open_image(unsigned int flags, struct error *err)
{
	struct blk_open_opts opts = { .format = "qed", .flags = flags, .l2_cache_size = 1 };

	int ret = blk_co_open(&work.node, engine_files.image, &opts, err);

	if (ret)
		return ret;
	ret = populate_co_attach(work.node, false, err);
	if (ret) {
		(void)blk_co_close(work.node);
		work.node = NULL;
	}
	return ret;
}

static void co_make_image(void)
{
	struct blk_create_opts opts = {
		.filename = engine_files.image,
		.format = "qed",
		.size = IMAGE_SIZE,
		.cluster_size = CLUSTER,
		.table_size = 1,
		.backing_file = "backing.raw",
		.backing_format = "raw",
	};
	uint64_t words[SECTOR / 8];
	FILE *file = fopen(engine_files.backing, "w");

	CHECK(file);
	for (uint64_t i = 0; i < BACKING_SIZE / SECTOR; i++) {
		fill_sector(words, i, BACKING);
		CHECK(fwrite(words, SECTOR, 1, file) == 1);
	}
	CHECK(fclose(file) == 0);
	CHECK(blk_co_create(&opts, NULL) == 0);
	for (uint64_t i = 0; i < SECTORS; i++)
		may_hold(i, i < BACKING_SIZE / SECTOR ? BACKING : ZEROES, true);
}

/* Start a stream; co_end_stream() waits for its end. Return NULL if it cannot be started. */
static struct stream *co_begin_stream(void)
{
	struct stream_opts opts = { .back_off = 1000 };
	struct error err = ERROR_INIT;
	struct stream *stream;
	int ret = stream_co_start(&stream, work.node, &opts, &err);

	CHECK(ret <= 0);
	work.failed |= ret < 0;
	error_free(&err);
	return ret ? NULL : stream;
}

static void co_end_stream(struct stream *stream)
{
	struct stream_status status;

	if (!stream)
		return;
	/* After many consecutive failures it pauses; while the disk is full it waits for room. */
	while (stream_get_status(stream, &status), !job_state_is_last(status.state)) {
		bool waits = job_full_since(&stream->job) && status.errors > MANY_ERRORS;

		if (status.state == JOB_PAUSED || waits)
			job_cancel(&stream->job);
		aio_co_sleep(100000);
	}
	/* A step that failed and was tried again counts: the guest's next flush may report it. */
	work.failed |= status.state != JOB_DONE || status.errors;
	stream_co_free(stream);
}

static void co_read_all(struct request *r)
{
	for (uint64_t at = 0; at < SECTORS; at += SECTORS / 8) {
		CHECK(blk_co_pread(work.node, at * SECTOR, IMAGE_SIZE / 8, r->buf, 0) == 0);
		check_content(at, SECTORS / 8, r->buf);
	}
}

/* No more failures: the image can be read and written. Return the result of a flush. */
static int co_use_afterwards(struct request *r)
{
	int ret;

	co_read_all(r);
	for (unsigned int i = 0; i < 24; i++) {
		prepare(r, i * (SECTORS / 24), SECTORS / 24);
		if (r->kind == FLUSH || r->kind == WRITE_FUA)
			r->kind = READ;
		co_carry_out(r);
		if (r->ret)
			fprintf(stderr, "request of kind %u: %s\n", r->kind, strerror(-r->ret));
		/* After a failed flush of the page cache no entry is written any more. */
		CHECK(!r->ret || work.flush_failed);
		account(r);
	}
	co_read_all(r);
	/* The first flush may report an earlier failure in the background. */
	ret = blk_co_flush(work.node);
	CHECK(!ret || work.failed);
	ret = blk_co_flush(work.node);
	CHECK(!ret || work.flush_failed);
	return ret;
}

/*
 * Open, read all, close: consistent, and the expected content.  @orderly: leaks have been recorded.
 */
static void co_judge(struct request *r, unsigned int flags, bool orderly)
{
	struct error err = ERROR_INIT;
	struct blk_check_result result;
	struct blk_info info;

	if (co_open_image(flags, &err)) {
		fprintf(stderr, "%s\n", error_text(&err));
		abort();
	}
	CHECK(blk_co_info(work.node, &info) == 0);
	CHECK(blk_co_check(work.node, 0, NULL, NULL, &result, NULL) == 0);
	if (result.corruptions || result.check_errors || result.leaks)
		fprintf(stderr, "%llu corruptions, %llu errors, %llu leaks\n",
			(unsigned long long)result.corruptions,
			(unsigned long long)result.check_errors, (unsigned long long)result.leaks);
	CHECK(!result.corruptions && !result.check_errors);
	CHECK(!result.leaks || !orderly || info.autoclear_features & QED_AUTOCLEAR_LEAKS);
	co_read_all(r);
	CHECK(blk_co_close(work.node) == 0);
}

/* Open, work, close, with the failure. Return whether the image could be opened. */
static bool co_work(const struct plan *plan, struct request *requests)
{
	unsigned int flags = BLK_O_RDWR | (plan->direct ? BLK_O_DIRECT : 0);
	struct error err = ERROR_INIT;
	struct stream *stream = NULL;
	int ret;

	inject_arm(plan->kind, plan->nth, plan->error, plan->on);
	ret = co_open_image(flags, &err);
	if (ret) {
		/* There may be no error line if memory for it could not be allocated. */
		CHECK(ret < 0 && plan->nth && (err.text || plan->kind == INJECT_ALLOC));
		inject_disarm();
		error_free(&err);
		return false;
	}
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (i == ROUNDS / 2)
			stream = co_begin_stream();
		co_round(requests);
	}
	co_end_stream(stream);
	return true;
}

static void co_try(void *arg)
{
	struct plan *plan = arg;
	struct request requests[AT_ONCE];
	bool later = plan->seed & 1;
	int ret = 0, flushed = 0;

	work.random = mix64(plan->seed);
	work.versions = BACKING;
	for (unsigned int i = 0; i < AT_ONCE; i++)
		CHECK(!posix_memalign((void **)&requests[i].buf, CLUSTER, IMAGE_SIZE / 8));
	co_make_image();
	if (co_work(plan, requests)) {
		/* In half of the tries closing the image may meet the failure. */
		if (!later || plan->on) {
			for (unsigned int i = 0; i < INJECT_KINDS; i++)
				plan->counts[i] = inject_count(i);
			inject_disarm();
			work.flush_failed = plan->kind == INJECT_FLUSH && plan->nth &&
					    plan->counts[INJECT_FLUSH] >= plan->nth;
			work.flush_failed |= work.durable_failed;
			flushed = co_use_afterwards(&requests[0]);
		}
		ret = blk_co_close(work.node);
		if (later && !plan->on)
			for (unsigned int i = 0; i < INJECT_KINDS; i++)
				plan->counts[i] = inject_count(i);
		inject_disarm();
		CHECK(ret <= 0 && (!ret || plan->nth));
		CHECK(!ret || later || flushed);
	}
	CHECK(plan->nth || !work.failed);
	/* Data that was not flushed may be lost, which the caller knows from the error. */
	if (ret)
		memcpy(work.sectors, work.since_flush, sizeof(work.sectors));
	co_judge(&requests[0], BLK_O_CHECK, !ret);
	co_judge(&requests[0], BLK_O_RDWR, false);
	co_judge(&requests[0], BLK_O_CHECK, true);
	for (unsigned int i = 0; i < AT_ONCE; i++)
		free(requests[i].buf);
}

void engine_try(struct plan *plan)
{
	struct error err = ERROR_INIT;
	struct aio_loop *loop;

	CHECK(aio_loop_create(&loop, 32, &err) == 0);
	CHECK(aio_loop_run_co(loop, co_try, plan) == 0);
	aio_loop_destroy(loop);
}
