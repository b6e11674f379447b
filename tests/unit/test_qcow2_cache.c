// SPDX-License-Identifier: GPL-2.0
/*
 * The cache of the qcow2 driver while readers keep marking all its entries as used: a
 * load still finds a place.
 */
#include "test_aio_common.h"

#include "format/qcow2/cache.h"

#define ITEM_BYTES 4096u
#define ITEMS	   16u
#define KEYS	   64u
#define MAX_WAIT   ((SANITIZED ? 120000 : 30000) * MSEC)

struct test {
	struct qcow2_cache cache;
	_Atomic bool stop;
	_Atomic bool done;
};

/* Do what a look-up does, in a tight loop. */
static void *mark(void *arg)
{
	struct test *t = arg;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed))
		for (unsigned int i = 0; i < t->cache.nr_items; i++)
			atomic_store_explicit(&t->cache.items[i].referenced, true,
					      memory_order_relaxed);
	return NULL;
}

static int fill(void *arg, uint64_t key, void *data)
{
	(void)arg;
	memset(data, (int)key, ITEM_BYTES);
	co_yield_turn();
	return 0;
}

static void load(void *arg)
{
	struct test *t = arg;

	for (uint64_t i = 0; i < (SANITIZED ? 200 : 2000); i++) {
		uint64_t key = i % KEYS;
		const uint8_t *data;

		while (!(data = qcow2_cache_find(&t->cache, key)))
			CHECK(qcow2_cache_co_load(&t->cache, key, fill, NULL) == 0);
		CHECK(data[0] == key && data[ITEM_BYTES - 1] == key);
		/* Sleep often, to interleave with the reader in many ways. */
		if (i % 4 == 0)
			aio_co_sleep(MSEC / 2);
	}
	t->done = true;
}

static void hot_items(void *arg)
{
	struct test t = { .stop = false };
	pthread_t readers[2];
	uint64_t end;

	(void)arg;
	CHECK(qcow2_cache_init(&t.cache, ITEM_BYTES, ITEMS * ITEM_BYTES, 1) == 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(readers); i++)
		CHECK(!pthread_create(&readers[i], NULL, mark, &t));
	end = aio_now() + MAX_WAIT;
	CHECK(co_start(load, &t) == 0);
	while (!t.done) {
		CHECK(aio_now() < end);
		aio_co_sleep(MSEC);
	}
	t.stop = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(readers); i++)
		CHECK(!pthread_join(readers[i], NULL));
	qcow2_cache_co_destroy(&t.cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(hot_items),
	};

	return cmocka_run_group_tests_name("qcow2_cache", tests, NULL, NULL);
}
