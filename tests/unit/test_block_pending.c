// SPDX-License-Identifier: GPL-2.0
/* The sparse set of clusters to populate: members, runs, and concurrent adding and taking. */
#include "populate/pending.h"
#include "test_aio_common.h"

/* ---- one thread, against a plain array ---- */

#define SMALL 200000u

static void test_against_model(void **state)
{
	uint64_t seed = test_seed();
	bool *model = calloc(SMALL + 1, sizeof(*model));
	struct pending_set set;
	uint64_t members = 0, start, n;

	(void)state;
	CHECK(model && pending_init(&set, SMALL) == 0);
	CHECK(pending_empty(&set) && pending_take(&set, 1, &start) == 0);
	CHECK(!pending_add(&set, SMALL));
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t c = test_random(&seed) % SMALL;

		if (test_random(&seed) % 3) {
			uint64_t len = 1 + test_random(&seed) % 5;

			for (; len && c < SMALL; len--, c++) {
				CHECK(pending_add(&set, c) == !model[c]);
				members += !model[c];
				model[c] = true;
			}
		} else {
			uint64_t max = 1 + test_random(&seed) % 9;

			n = pending_take(&set, max, &start);
			CHECK(n <= max && (n > 0) == (members > 0));
			for (uint64_t m = start; m < start + n; m++) {
				CHECK(m < SMALL && model[m]);
				model[m] = false;
			}
			members -= n;
			/* The run has the maximum length. */
			CHECK(!n || n == max || !model[start + n]);
		}
		CHECK(pending_has(&set, c) == (c < SMALL && model[c]));
	}
	while ((n = pending_take(&set, UINT64_MAX, &start)))
		members -= n;
	CHECK(members == 0 && pending_empty(&set));
	pending_destroy(&set);
	free(model);
}

/* Members far apart, in a set for the largest disk. */
static void test_sparse(void **state)
{
	const uint64_t count = 1ULL << 32;
	struct pending_set set;
	uint64_t start;

	(void)state;
	CHECK(pending_init(&set, count) == 0);
	CHECK(pending_add(&set, count - 1) && pending_add(&set, 5) && !pending_add(&set, 5));
	CHECK(pending_add(&set, count / 2));
	CHECK(pending_take(&set, 8, &start) == 1 && start == 5);
	/* The search goes upwards and wraps around. */
	CHECK(pending_add(&set, 4));
	CHECK(pending_take(&set, 8, &start) == 1 && start == count / 2);
	CHECK(pending_take(&set, 8, &start) == 1 && start == count - 1);
	CHECK(pending_take(&set, 8, &start) == 1 && start == 4);
	CHECK(pending_empty(&set));
	pending_destroy(&set);
}

/* ---- several threads add while one takes ---- */

#define ADDERS	4
#define ROUNDS	(SANITIZED ? 20000 : 200000)
#define MEMBERS 70000u

static struct pending_set shared;
static _Atomic uint64_t added;
static _Atomic unsigned int adding;
static uint64_t members;

static void *adder(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < ROUNDS; i++)
		added += pending_add(&shared, test_random(&seed) % members);
	adding--;
	return NULL;
}

static void run_threads(uint64_t count)
{
	uint64_t seeds[ADDERS], taken = 0, start, seed = test_seed();
	pthread_t threads[ADDERS];

	members = count;
	CHECK(pending_init(&shared, count) == 0);
	added = 0;
	adding = ADDERS;
	for (unsigned int i = 0; i < ADDERS; i++) {
		seeds[i] = seed + 2 * i;
		CHECK(!pthread_create(&threads[i], NULL, adder, &seeds[i]));
	}
	while (adding)
		taken += pending_take(&shared, 4, &start);
	for (unsigned int i = 0; i < ADDERS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	/* All remaining members are found, though pages were cleared concurrently with adding. */
	for (uint64_t n; (n = pending_take(&shared, 4, &start));)
		taken += n;
	CHECK(taken == added);
	CHECK(pending_empty(&shared));
	pending_destroy(&shared);
}

static void test_threads(void **state)
{
	(void)state;
	run_threads(MEMBERS);
	/* Few members: the page is found empty and removed from the list all the time. */
	run_threads(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("block_pending", tests, NULL, NULL);
}
