// SPDX-License-Identifier: GPL-2.0
/*
 * The NBD client's handling of replies, without I/O: the received bytes of a read, and
 * the runs of data and zeroes that a server reports.
 */
#include "test_aio_common.h"

#include "file/nbd/chunks.h"
#include "file/nbd/runs.h"
#include "shared/random.h"
#include "util/units.h"

/* ---- pieces of a read ---- */

static void test_chunks(void **state)
{
	struct nbd_chunks chunks;

	(void)state;
	nbd_chunks_init(&chunks);
	assert_int_equal(nbd_chunks_bytes(&chunks), 0);
	assert_true(nbd_chunks_add(&chunks, 512, 1024, 1024));
	assert_false(nbd_chunks_add(&chunks, 512, 1024, 1024));
	assert_false(nbd_chunks_add(&chunks, 0, 513, 1024));
	assert_false(nbd_chunks_add(&chunks, 700, 701, 1024));
	assert_false(nbd_chunks_add(&chunks, 1024, 1025, 1024));
	assert_false(nbd_chunks_add(&chunks, 5, 5, 1024));
	assert_false(nbd_chunks_add(&chunks, 6, 5, 1024));
	assert_int_equal(nbd_chunks_bytes(&chunks), 512);
	assert_true(nbd_chunks_add(&chunks, 0, 512, 1024));
	assert_int_equal(chunks.count, 1);
	assert_int_equal(nbd_chunks_bytes(&chunks), 1024);
}

static void test_too_many_chunks(void **state)
{
	struct nbd_chunks chunks;

	(void)state;
	nbd_chunks_init(&chunks);
	for (unsigned int i = 0; i < NBD_MAX_CHUNKS; i++)
		assert_true(nbd_chunks_add(&chunks, 2 * i, 2 * i + 1, 10000));
	assert_false(nbd_chunks_add(&chunks, 5000, 5001, 10000));
	/* A chunk that joins another needs no room. */
	assert_true(nbd_chunks_add(&chunks, 1, 2, 10000));
	assert_true(nbd_chunks_add(&chunks, 5000, 5001, 10000));
}

/* Random pieces, compared with an array of a flag per byte. */
static void test_random_chunks(void **state)
{
	enum { BYTES = 100 };
	uint64_t rng = test_seed();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		bool sent[BYTES] = { false };
		struct nbd_chunks chunks;
		uint32_t total = 0;

		nbd_chunks_init(&chunks);
		for (int i = 0; i < 40; i++) {
			uint32_t start = next_random(&rng) % BYTES;
			uint32_t end = start + next_random(&rng) % 8;
			bool fits = end > start && end <= BYTES;

			for (uint32_t at = start; fits && at < end; at++)
				fits = !sent[at];
			assert_int_equal(nbd_chunks_add(&chunks, start, end, BYTES), fits);
			for (uint32_t at = start; fits && at < end; at++)
				sent[at] = true;
			total += fits ? end - start : 0;
			assert_int_equal(nbd_chunks_bytes(&chunks), total);
		}
	}
}

/* ---- runs ---- */

#define BLOCK NBD_RUN_BLOCK

static void expect_run(const struct nbd_runs *runs, uint64_t offset, uint64_t bytes, bool zero)
{
	uint64_t got_bytes;
	bool got_zero;

	assert_true(nbd_runs_find(runs, offset, &got_bytes, &got_zero));
	assert_int_equal(got_bytes, bytes);
	assert_int_equal(got_zero, zero);
}

static void test_runs(void **state)
{
	struct nbd_runs runs;
	uint64_t bytes;
	bool zero;

	(void)state;
	nbd_runs_init(&runs, 1000, 2000, 1);
	assert_false(nbd_runs_find(&runs, 1000, &bytes, &zero));
	assert_true(nbd_runs_add(&runs, 100, true));
	assert_true(nbd_runs_add(&runs, 50, true)); /* joined */
	assert_true(nbd_runs_add(&runs, 200, false));
	assert_false(nbd_runs_add(&runs, 0, true));
	expect_run(&runs, 1000, 150, true);
	expect_run(&runs, 1149, 1, true);
	expect_run(&runs, 1150, 200, false);
	expect_run(&runs, 1349, 1, false);
	assert_false(nbd_runs_find(&runs, 999, &bytes, &zero));
	assert_false(nbd_runs_find(&runs, 1350, &bytes, &zero));
	/* A server may report more than was requested. */
	assert_true(nbd_runs_add(&runs, UINT32_MAX, true));
	assert_false(nbd_runs_add(&runs, 1, true));
	expect_run(&runs, 1350, 650, true);
	assert_int_equal(runs.end, 2000);
}

static void test_many_runs(void **state)
{
	struct nbd_runs runs;
	unsigned int i;

	(void)state;
	nbd_runs_init(&runs, 0, 1ULL << 62, BLOCK);
	for (i = 0; nbd_runs_add(&runs, BLOCK, i & 1); i++)
		assert_true(i < NBD_MAX_RUNS);
	assert_int_equal(i, NBD_MAX_RUNS);
	/* A run of the same kind as the last needs no room. */
	assert_true(nbd_runs_add(&runs, BLOCK, (i - 1) & 1));
	nbd_runs_finish(&runs);
	assert_int_equal(runs.end, (i + 1) * BLOCK);
	expect_run(&runs, (i - 1) * BLOCK, 2 * BLOCK, true);
}

/* However small a server's extents are, whole blocks are recorded, and many bytes. */
static void test_small_extents(void **state)
{
	struct nbd_runs runs;

	(void)state;
	nbd_runs_init(&runs, 0, MiB, BLOCK);
	for (unsigned int i = 0; nbd_runs_add(&runs, 1, i & 1); i++)
		assert_true(i < MiB);
	assert_int_equal(runs.end, MiB);
	expect_run(&runs, 0, MiB, false);

	nbd_runs_init(&runs, 0, MiB, BLOCK);
	assert_true(nbd_runs_add(&runs, BLOCK + 1, true));
	nbd_runs_finish(&runs);
	expect_run(&runs, 0, BLOCK, true);
	expect_run(&runs, BLOCK, NBD_LEAST_ANSWER - BLOCK, false);
	assert_int_equal(runs.end, NBD_LEAST_ANSWER);

	nbd_runs_init(&runs, 0, 700, BLOCK);
	assert_true(nbd_runs_add(&runs, 700, true));
	nbd_runs_finish(&runs);
	expect_run(&runs, 0, 700, true);
}

/*
 * Random extents, compared with an array of a flag per byte: a block is zero if all of
 * it was reported as zero.
 */
static void test_random_extents(void **state)
{
	enum { BYTES = 4000, SMALL = 64 };
	uint64_t rng = test_seed();

	(void)state;
	for (int round = 0; round < 3000; round++) {
		uint64_t limit = BYTES - next_random(&rng) % SMALL, told = 0, bytes;
		bool said[BYTES] = { false }, zero;
		struct nbd_runs runs;

		nbd_runs_init(&runs, 0, limit, SMALL);
		while (told < limit && next_random(&rng) % 40) {
			bool is_zero = next_random(&rng) % 3;

			bytes = 1 + next_random(&rng) % (next_random(&rng) % 2 ? 200 : 20);
			if (!nbd_runs_add(&runs, bytes, is_zero))
				break;
			for (; bytes-- && told < limit; told++)
				said[told] = is_zero;
		}
		nbd_runs_finish(&runs);
		assert_int_equal(runs.end, limit);
		for (uint64_t at = 0; at < limit; at++) {
			uint64_t block = round_down(at, SMALL), end = min_u64(block + SMALL, limit);
			bool all = true;

			for (uint64_t i = block; i < end; i++)
				all = all && said[i];
			assert_true(nbd_runs_find(&runs, at, &bytes, &zero));
			assert_int_equal(zero, all);
		}
	}
}

static void test_answers(void **state)
{
	struct nbd_answers *answers = malloc(sizeof(*answers));
	struct nbd_runs runs;
	unsigned int era;
	uint64_t bytes;
	bool zero;

	(void)state;
	nbd_answers_init(answers);
	era = nbd_answers_era(answers);
	for (unsigned int i = 0; i <= NBD_ANSWERS; i++) {
		nbd_runs_init(&runs, i * 1000, UINT64_MAX, 1);
		nbd_runs_add(&runs, 400, i & 1);
		nbd_runs_add(&runs, 600, !(i & 1));
		nbd_answers_keep(answers, &runs, era);
	}
	/* The oldest one was evicted. */
	assert_false(nbd_answers_find(answers, 0, &bytes, &zero));
	for (unsigned int i = 1; i <= NBD_ANSWERS; i++) {
		assert_true(nbd_answers_find(answers, i * 1000 + 300, &bytes, &zero));
		assert_int_equal(bytes, 100);
		assert_int_equal(zero, i & 1);
		assert_true(nbd_answers_find(answers, i * 1000 + 999, &bytes, &zero));
		assert_int_equal(bytes, 1);
		assert_int_equal(zero, !(i & 1));
	}
	nbd_answers_forget(answers);
	assert_false(nbd_answers_find(answers, 1300, &bytes, &zero));
	/* Replies of a connection that has been closed are not kept. */
	nbd_answers_keep(answers, &runs, era);
	assert_false(nbd_answers_find(answers, runs.start, &bytes, &zero));
	nbd_answers_keep(answers, &runs, nbd_answers_era(answers));
	assert_true(nbd_answers_find(answers, runs.start, &bytes, &zero));
	nbd_answers_destroy(answers);
	free(answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks),	       cmocka_unit_test(test_too_many_chunks),
		cmocka_unit_test(test_random_chunks),  cmocka_unit_test(test_runs),
		cmocka_unit_test(test_many_runs),      cmocka_unit_test(test_small_extents),
		cmocka_unit_test(test_random_extents), cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
