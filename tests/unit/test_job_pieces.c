// SPDX-License-Identifier: GPL-2.0
/*
 * Work in pieces: everything is done once, several pieces at a time; cutting is in
 * order; errors and speed.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(all_of_it),
		CO_TEST(errors),
		CO_TEST(speed),
	};

	return cmocka_run_group_tests_name("job_pieces", tests, NULL, NULL);
}
