// SPDX-License-Identifier: GPL-2.0
/*
 * Work in pieces: everything is done once, several pieces at a time; cutting is in
 * order, the second step if wanted; errors, speed, pause, cancellation, and other work
 * on the image.
 */
#include "test_aio_common.h"

#include "aio/sys.h"
#include "job/pieces.h"

#define UNIT  1000u
#define UNITS 200u

struct work {
	struct pieces pieces;
	unsigned int times[UNITS]; /* how often each unit was done */
	uint64_t cut; /* everything before it was cut */
	bool cutting;
	unsigned int busy, most;
	uint64_t fail_cut, fail_do; /* fail at this offset; NEVER: do not */
};

#define NEVER UINT64_MAX

static struct work work;
static uint64_t told, told_of;

static void note_progress(uint64_t done, uint64_t total)
{
	CHECK(done >= told && done <= total);
	told = done;
	told_of = total;
}

static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	uint64_t i = piece->offset / UNIT;

	CHECK(p == &work.pieces && !work.cutting && piece->offset == work.cut);
	work.cutting = true;
	co_yield_turn();
	work.cutting = false;
	if (piece->offset == work.fail_cut)
		return error_set(err, -ENXIO, "cutting at %u", (unsigned int)i);
	/* Every third one needs no work. */
	piece->kind = i % 3 ? 5 : PIECE_NOTHING;
	piece->counts = true;
	piece->bytes = p->end - piece->offset < UNIT ? p->end - piece->offset : UNIT;
	work.cut = piece->offset + piece->bytes;
	return 0;
}

static int co_do(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err)
{
	CHECK(piece->kind == 5 && piece->offset % UNIT == 0);
	buf[0] = buf[p->buffers * PIECES_BUF_BYTES - 1] = (uint8_t)work.busy;
	work.busy++;
	work.most = work.busy > work.most ? work.busy : work.most;
	aio_co_sleep(1000000);
	CHECK(buf[0] == buf[p->buffers * PIECES_BUF_BYTES - 1]);
	work.busy--;
	work.times[piece->offset / UNIT]++;
	if (piece->offset == work.fail_do)
		return error_set(err, -EIO, "doing");
	return 0;
}

static void prepare(void)
{
	work = (struct work){
		.pieces = { .end = (UNITS - 1) * UNIT + 10,
			    .buffers = 2,
			    .progress = note_progress,
			    .co_cut = co_cut,
			    .co_do = co_do },
		.fail_cut = NEVER,
		.fail_do = NEVER,
	};
	told = told_of = 0;
}

static void all_of_it(void *arg)
{
	(void)arg;
	prepare();
	CHECK(pieces_co_run(&work.pieces, NULL) == 0);
	for (unsigned int i = 0; i < UNITS; i++)
		CHECK(work.times[i] == !!(i % 3));
	CHECK(work.most == PIECES_WORKERS && !work.busy);
	CHECK(told == work.pieces.end && told_of == told);
	/* No work at all. */
	prepare();
	work.pieces.end = 0;
	CHECK(pieces_co_run(&work.pieces, NULL) == 0);
}

static void errors(void *arg)
{
	struct error err = ERROR_INIT;
	unsigned int done = 0;

	(void)arg;
	prepare();
	work.fail_do = 10 * UNIT;
	CHECK(pieces_co_run(&work.pieces, &err) == -EIO && !work.busy);
	CHECK(!strcmp(error_text(&err), "doing"));
	error_free(&err);
	for (unsigned int i = 0; i < UNITS; i++)
		done += work.times[i];
	/* Pieces in work end, and no more begin. */
	CHECK(done < 10 + 2 * PIECES_WORKERS);
	prepare();
	work.fail_cut = 21 * UNIT;
	CHECK(pieces_co_run(&work.pieces, &err) == -ENXIO && !work.busy);
	CHECK(!strcmp(error_text(&err), "cutting at 21"));
	error_free(&err);
	CHECK(work.times[20] == 1 && !work.times[22]);
	prepare();
	work.fail_cut = work.fail_do = 10 * UNIT;
	CHECK(pieces_co_run(&work.pieces, NULL) < 0);
}

static void speed(void *arg)
{
	uint64_t started = aio_now(), took;

	(void)arg;
	prepare();
	/* Two thirds of the units count against the speed. */
	work.pieces.speed = work.pieces.end * 4;
	CHECK(pieces_co_run(&work.pieces, NULL) == 0);
	took = aio_now() - started;
	CHECK(took > 120000000ULL);
}

/* ---- the second step, and which error is reported ---- */

/* Later pieces take less time. */
static int co_do_backwards(struct pieces *p, const struct piece *piece, uint8_t *buf,
			   struct error *err)
{
	(void)p;
	(void)buf;
	(void)err;
	aio_co_sleep((40 - piece->offset / UNIT % 40) * 100000);
	return 0;
}

static uint64_t ended, units_ended; /* the end of the last piece ended; how many */

static int co_end_in_order(struct pieces *p, const struct piece *piece, uint8_t *buf,
			   struct error *err)
{
	(void)p;
	(void)buf;
	CHECK(!work.busy && piece->offset >= ended);
	work.busy++;
	co_yield_turn();
	work.busy--;
	ended = piece->offset + piece->bytes;
	units_ended++;
	return piece->offset == work.fail_do ? error_set(err, -EIO, "ending") : 0;
}

static void in_order(void *arg)
{
	struct error err = ERROR_INIT;

	(void)arg;
	prepare();
	ended = units_ended = 0;
	work.pieces.in_order = true;
	work.pieces.workers = PIECES_MAX_WORKERS;
	work.pieces.co_do = co_do_backwards;
	work.pieces.co_end = co_end_in_order;
	CHECK(pieces_co_run(&work.pieces, NULL) == 0);
	CHECK(units_ended == UNITS - (UNITS + 2) / 3 && told == work.pieces.end);
	/* Nothing ends after a piece that failed to. */
	work.fail_do = 100 * UNIT;
	work.cut = ended = units_ended = told = 0;
	CHECK(pieces_co_run(&work.pieces, &err) == -EIO);
	CHECK(!strcmp(error_text(&err), "ending") && ended == 101 * UNIT && units_ended == 67);
	error_free(&err);
}

/* Units 10 to 16 fail, the last one first, while unit 8 takes longest of all and succeeds. */
static int co_fail_backwards(struct pieces *p, const struct piece *piece, uint8_t *buf,
			     struct error *err)
{
	uint64_t i = piece->offset / UNIT;

	co_do_backwards(p, piece, buf, err);
	work.times[i]++;
	return i >= 10 && i <= 16 ? error_set(err, -EIO, "unit %u", (unsigned int)i) : 0;
}

static void lowest_error(void *arg)
{
	struct error err = ERROR_INIT;

	(void)arg;
	for (unsigned int i = 0; i < 2; i++) {
		prepare();
		work.pieces.in_order = i;
		work.pieces.co_do = co_fail_backwards;
		CHECK(pieces_co_run(&work.pieces, &err) == -EIO);
		CHECK(!strcmp(error_text(&err), "unit 10"));
		CHECK(work.times[8] == 1 && work.times[11] == 1);
		error_free(&err);
	}
}

/* ---- control ---- */

static struct job job;
static bool busy;

static bool is_busy(struct pieces *p)
{
	CHECK(p->job == &job);
	return busy;
}

static void run_work(void *arg)
{
	*(int *)arg = pieces_co_run(&work.pieces, NULL);
}

static void begin(int *ret)
{
	prepare();
	job_init(&job, NULL, NULL);
	work.pieces.job = &job;
	work.pieces.is_busy = is_busy;
	*ret = 1;
	CHECK(co_start(run_work, ret) == 0);
}

static void control(void *arg)
{
	uint64_t then;
	int ret;

	(void)arg;
	begin(&ret);
	job_pause(&job);
	aio_co_sleep(20 * MSEC);
	CHECK(job.state == JOB_PAUSED && !work.busy);
	then = told;
	aio_co_sleep(20 * MSEC);
	CHECK(told == then && then < work.pieces.end && ret == 1);
	job_resume(&job);
	while (told == then)
		aio_co_sleep(MSEC);
	job_cancel(&job);
	while (ret == 1)
		aio_co_sleep(MSEC);
	CHECK(ret == -ECANCELED && told < work.pieces.end);
	job_destroy(&job);
}

/* One worker alone goes on while the image is busy, with rests; the others then join. */
static void beside_other_work(void *arg)
{
	int ret;

	(void)arg;
	busy = true;
	begin(&ret);
	while (told < 30 * UNIT)
		aio_co_sleep(MSEC);
	CHECK(work.most == 1);
	busy = false;
	while (ret == 1)
		aio_co_sleep(MSEC);
	CHECK(!ret && work.most > 1);
	job_destroy(&job);
	/* The others end with the only one that works. */
	busy = true;
	begin(&ret);
	while (ret == 1)
		aio_co_sleep(MSEC);
	CHECK(!ret && work.most == 1);
	job_destroy(&job);
	busy = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(all_of_it),	    CO_TEST(errors),	   CO_TEST(speed),
		CO_TEST(in_order),	    CO_TEST(lowest_error), CO_TEST(control),
		CO_TEST(beside_other_work),
	};

	return cmocka_run_group_tests_name("job_pieces", tests, NULL, NULL);
}
