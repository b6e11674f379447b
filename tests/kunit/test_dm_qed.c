// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the target's pure logic: the runs of a write, and the known-zero map.  One source, which
 * KUnit runs in a kernel (make kunit) and cmocka in user space.
 */
#include <kunit/test.h>

#include "zero-map.h"
#include "zero-run.h"

#define CLUSTER 4096u
#define SHIFT	12

/* The same on every machine; a failure names its iteration. */
static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* ---- The runs of a write ---- */

struct run_case {
	const char *clusters; /* of the write, from its first cluster: 0 zero, x data */
	u32 head, tail; /* bytes missing from its first and last cluster */
	u64 bytes; /* of the first run */
	bool zero;
};

/* The device has the write's clusters, and two more on either side. */
static void check_run(struct kunit *test, char *buf, const struct run_case *c, u32 piece)
{
	size_t count = strlen(c->clusters), i, len = count * CLUSTER - c->head - c->tail, pos;
	struct qed_zero_run run;

	memset(buf, 0, count * CLUSTER);
	for (i = 0; i < count; i++)
		if (c->clusters[i] == 'x')
			buf[i * CLUSTER + CLUSTER - 1 - (i % 2) * (CLUSTER - 1)] = 1;
	qed_zero_run_start(&run, 2 * CLUSTER + c->head, len, CLUSTER, (count + 4) * CLUSTER,
			   1 << 20);
	for (pos = 0; pos < len; pos += piece) {
		size_t n = min_t(size_t, piece, len - pos);

		if (!qed_zero_run_feed(&run,
				       qed_zero_run_wants(&run, n) ? buf + c->head + pos : NULL, n))
			break;
	}
	KUNIT_ASSERT_EQ_MSG(test, qed_zero_run_bytes(&run), c->bytes, "%s, pieces of %u\n",
			    c->clusters, piece);
	KUNIT_ASSERT_EQ_MSG(test, (int)run.zero, (int)c->zero, "%s, pieces of %u\n", c->clusters,
			    piece);
}

static void runs_of_known_writes(struct kunit *test)
{
	static const struct run_case cases[] = {
		{ "0", 0, 0, CLUSTER, true },
		{ "x", 0, 0, CLUSTER, false },
		{ "000", 0, 0, 3 * CLUSTER, true },
		{ "xxx", 0, 0, 3 * CLUSTER, false },
		{ "00x", 0, 0, 2 * CLUSTER, true },
		{ "00x0", 0, 0, 2 * CLUSTER, true },
		{ "x00", 0, 0, CLUSTER, false },
		{ "xx0", 0, 0, 2 * CLUSTER, false },
		/* A partial cluster is not a zero cluster, whatever it contains. */
		{ "0", 512, 0, CLUSTER - 512, false },
		{ "0", 0, 512, CLUSTER - 512, false },
		{ "00", 512, 0, CLUSTER - 512, false },
		{ "00", 0, 512, CLUSTER, true },
		{ "000", 512, 512, CLUSTER - 512, false },
		{ "00", 512, 512, 2 * CLUSTER - 1024, false },
		{ "xx", 512, 512, 2 * CLUSTER - 1024, false },
		{ "x0x", 1024, 1024, CLUSTER - 1024, false },
	};
	char *buf = kunit_kzalloc(test, 8 * CLUSTER, GFP_KERNEL);
	static const u32 pieces[] = { 512, 1024, 3584, 4096, 5120, 1 << 20 };
	unsigned int i, j;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++)
			check_run(test, buf, &cases[i], pieces[j]);
}

/* The device ends inside its last cluster: the part up to its end counts as whole. */
static void run_at_the_device_end(struct kunit *test)
{
	char *buf = kunit_kzalloc(test, 2 * CLUSTER, GFP_KERNEL);
	struct qed_zero_run run;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	KUNIT_EXPECT_TRUE(test, qed_run_possible(CLUSTER, 1024, CLUSTER, CLUSTER + 1024));
	KUNIT_EXPECT_FALSE(test, qed_run_possible(CLUSTER, 512, CLUSTER, CLUSTER + 1024));
	KUNIT_EXPECT_FALSE(test, qed_run_possible(CLUSTER + 512, 512, CLUSTER, CLUSTER + 1024));

	qed_zero_run_start(&run, 0, CLUSTER + 1024, CLUSTER, CLUSTER + 1024, 1 << 20);
	KUNIT_EXPECT_FALSE(test, qed_zero_run_feed(&run, buf, CLUSTER + 1024));
	KUNIT_EXPECT_EQ(test, qed_zero_run_bytes(&run), (u64)CLUSTER + 1024);
	KUNIT_EXPECT_TRUE(test, run.zero);

	/* The same bytes where the device does not end. */
	qed_zero_run_start(&run, 0, CLUSTER + 1024, CLUSTER, 3 * CLUSTER, 1 << 20);
	KUNIT_EXPECT_FALSE(test, qed_zero_run_feed(&run, buf, CLUSTER + 1024));
	KUNIT_EXPECT_EQ(test, qed_zero_run_bytes(&run), (u64)CLUSTER);
	KUNIT_EXPECT_TRUE(test, run.zero);
}

static void run_possible(struct kunit *test)
{
	u64 end = 1ULL << 44;

	KUNIT_EXPECT_TRUE(test, qed_run_possible(0, CLUSTER, CLUSTER, end));
	KUNIT_EXPECT_FALSE(test, qed_run_possible(0, CLUSTER - 512, CLUSTER, end));
	KUNIT_EXPECT_FALSE(test, qed_run_possible(512, CLUSTER, CLUSTER, end));
	KUNIT_EXPECT_TRUE(test, qed_run_possible(512, 2 * CLUSTER - 512, CLUSTER, end));
	KUNIT_EXPECT_FALSE(test, qed_run_possible(512, 2 * CLUSTER - 1024, CLUSTER, end));
	KUNIT_EXPECT_TRUE(test, qed_run_possible(end - CLUSTER, CLUSTER, CLUSTER, end));
}

/* The length of a run is bounded, for both kinds. */
static void run_has_a_bound(struct kunit *test)
{
	char *buf = kunit_kzalloc(test, 8 * CLUSTER, GFP_KERNEL);
	struct qed_zero_run run;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	qed_zero_run_start(&run, 0, 8 * CLUSTER, CLUSTER, 16 * CLUSTER, 3 * CLUSTER);
	KUNIT_EXPECT_FALSE(test, qed_zero_run_feed(&run, buf, 8 * CLUSTER));
	KUNIT_EXPECT_EQ(test, qed_zero_run_bytes(&run), (u64)3 * CLUSTER);
	KUNIT_EXPECT_TRUE(test, run.zero);

	memset(buf, 1, 8 * CLUSTER);
	qed_zero_run_start(&run, 512, 8 * CLUSTER - 512, CLUSTER, 16 * CLUSTER, 3 * CLUSTER);
	KUNIT_EXPECT_FALSE(test, qed_zero_run_feed(&run, buf, 8 * CLUSTER - 512));
	KUNIT_EXPECT_EQ(test, qed_zero_run_bytes(&run), (u64)4 * CLUSTER - 512);
	KUNIT_EXPECT_FALSE(test, run.zero);
}

/* Return the length of the first run, computed byte by byte. */
static u64 slow_run(const char *data, u64 offset, u64 bytes, u64 device_end, bool *zero)
{
	u64 pos = offset, end = offset + bytes;

	while (pos < end) {
		u64 cluster_end = round_down(pos, (u64)CLUSTER) + CLUSTER;
		u64 unit_end = cluster_end < end ? cluster_end : end;
		bool unit_zero = pos % CLUSTER == 0 &&
				 (unit_end == cluster_end || unit_end == device_end) &&
				 !memchr_inv(data + (pos - offset), 0, unit_end - pos);

		if (pos == offset)
			*zero = unit_zero;
		else if (*zero != unit_zero)
			break;
		pos = unit_end;
	}
	return pos - offset;
}

static void runs_of_random_writes(struct kunit *test)
{
	const u64 device_end = 12 * CLUSTER + 1536;
	char *buf = kunit_kzalloc(test, 13 * CLUSTER, GFP_KERNEL);
	u32 state = 20120213, round;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	for (round = 0; round < 4000; round++) {
		u64 offset = next_random(&state) % 20 * 512;
		u64 bytes = (next_random(&state) % ((device_end - offset) / 512) + 1) * 512;
		u64 pos = 0, wanted;
		struct qed_zero_run run;
		bool zero = false;

		if (next_random(&state) % 4 == 0)
			bytes = device_end - offset;
		memset(buf, 0, bytes);
		for (u32 i = next_random(&state) % 4; i; i--)
			buf[next_random(&state) % bytes] = 1;
		wanted = slow_run(buf, offset, bytes, device_end, &zero);
		qed_zero_run_start(&run, offset, bytes, CLUSTER, device_end, 1 << 20);
		while (pos < bytes) {
			u64 n = min_t(u64, (next_random(&state) % 12 + 1) * 512, bytes - pos);

			if (!qed_zero_run_feed(&run, qed_zero_run_wants(&run, n) ? buf + pos : NULL,
					       n))
				break;
			pos += n;
		}
		KUNIT_ASSERT_EQ_MSG(test, qed_zero_run_bytes(&run), wanted, "round %u\n", round);
		KUNIT_ASSERT_EQ_MSG(test, (int)run.zero, (int)zero, "round %u\n", round);
	}
}

/* ---- The known-zero map ---- */

/* A write-zeroes without concurrent requests. */
static void zero(struct qed_zero_map *map, u64 offset, u64 bytes)
{
	qed_zero_map_zero_end(map, offset, bytes, qed_zero_map_zero_begin(map));
}

static void write(struct qed_zero_map *map, u64 offset, u64 bytes)
{
	qed_zero_map_write_begin(map, offset, bytes);
	qed_zero_map_write_end(map, offset, bytes);
}

static int map_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct qed_zero_map), GFP_KERNEL);
	if (!test->priv)
		return -ENOMEM;
	/* 500 granules, the last of which is half a granule. */
	return qed_zero_map_init(test->priv, 499 * CLUSTER + CLUSTER / 2, SHIFT);
}

static void map_exit(struct kunit *test)
{
	if (test->priv)
		qed_zero_map_exit(test->priv);
}

static void map_knows_nothing_at_first(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;

	KUNIT_EXPECT_EQ(test, map->granules, 500ULL);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 0ULL);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, map->size));
}

static void map_knows_whole_granules(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;

	zero(map, 512, 3 * CLUSTER);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 2ULL);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 512, 512));
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, CLUSTER, 2 * CLUSTER));
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, CLUSTER + 512, 512));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, CLUSTER, 2 * CLUSTER + 512));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, CLUSTER - 512, 1024));
	/* A repetition changes nothing. */
	zero(map, CLUSTER, 2 * CLUSTER);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 2ULL);
	/* Too short for any granule. */
	zero(map, 10 * CLUSTER + 512, CLUSTER);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 2ULL);
}

static void map_across_regions(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;

	zero(map, 60 * CLUSTER, 140 * CLUSTER);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 140ULL);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 60 * CLUSTER, 140 * CLUSTER));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 59 * CLUSTER, 2 * CLUSTER));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 199 * CLUSTER, 2 * CLUSTER));
	write(map, 63 * CLUSTER + 512, CLUSTER);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 138ULL);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 60 * CLUSTER, 3 * CLUSTER));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 63 * CLUSTER, 512));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 64 * CLUSTER, 512));
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 65 * CLUSTER, 135 * CLUSTER));
}

static void map_at_the_device_end(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;

	zero(map, 0, map->size);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 500ULL);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 0, map->size));
	write(map, map->size - 512, 512);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 499 * CLUSTER, 512));
	zero(map, 499 * CLUSTER, CLUSTER / 2);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 499 * CLUSTER, 512));
	/* A part of the last half granule is not all of it. */
	write(map, map->size - 512, 512);
	zero(map, 499 * CLUSTER, CLUSTER / 4);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 499 * CLUSTER, 512));
}

/* The write began first: its data may reach the disk after the zeroes. */
static void map_write_in_flight_before(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;
	u64 ticket;

	qed_zero_map_write_begin(map, 0, CLUSTER);
	ticket = qed_zero_map_zero_begin(map);
	qed_zero_map_zero_end(map, 0, CLUSTER, ticket);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));
	qed_zero_map_write_end(map, 0, CLUSTER);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));

	/* The same, but the write ends before the write-zeroes. */
	qed_zero_map_write_begin(map, 0, CLUSTER);
	ticket = qed_zero_map_zero_begin(map);
	qed_zero_map_write_end(map, 0, CLUSTER);
	qed_zero_map_zero_end(map, 0, CLUSTER, ticket);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));

	/* With no request in flight, a write-zeroes counts. */
	zero(map, 0, CLUSTER);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 0, CLUSTER));
}

/* The write begins while the write-zeroes is in flight. */
static void map_write_begun_since(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;
	u64 ticket = qed_zero_map_zero_begin(map);

	qed_zero_map_write_begin(map, 0, 512);
	qed_zero_map_zero_end(map, 0, 2 * CLUSTER, ticket);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));
	qed_zero_map_write_end(map, 0, 512);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));

	ticket = qed_zero_map_zero_begin(map);
	write(map, 0, 512);
	qed_zero_map_zero_end(map, 0, 2 * CLUSTER, ticket);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));

	/* A write elsewhere has no effect. */
	ticket = qed_zero_map_zero_begin(map);
	write(map, 300 * CLUSTER, 512);
	qed_zero_map_zero_end(map, 0, 2 * CLUSTER, ticket);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 0, 2 * CLUSTER));
}

static void map_forgets(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;
	u64 ticket;

	zero(map, 0, map->size);
	ticket = qed_zero_map_zero_begin(map);
	qed_zero_map_forget(map);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 0ULL);
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, 0, 512));
	/* Write-zeroes in flight meanwhile are forgotten as well. */
	qed_zero_map_zero_end(map, 0, map->size, ticket);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 0ULL);
	zero(map, 0, map->size);
	KUNIT_EXPECT_EQ(test, qed_zero_map_known(map), 500ULL);
}

static void map_is_bounded(struct kunit *test)
{
	struct qed_zero_map *map = kunit_kzalloc(test, sizeof(*map), GFP_KERNEL);
	const u64 size = 16ULL << 40;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map);
	KUNIT_ASSERT_EQ(test, qed_zero_map_init(map, size, 16), 0);
	KUNIT_EXPECT_LE(test, map->regions, (u64)QED_ZERO_MAP_REGIONS);
	KUNIT_EXPECT_EQ(test, map->granules << map->shift, size);
	zero(map, size - (1ULL << 32), 1ULL << 32);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, size - (1ULL << 32), 1ULL << 32));
	KUNIT_EXPECT_FALSE(test, qed_zero_map_is_zero(map, size - (1ULL << 32) - 512, 1024));
	qed_zero_map_exit(map);

	KUNIT_ASSERT_EQ(test, qed_zero_map_init(map, 512, 12), 0);
	zero(map, 0, 512);
	KUNIT_EXPECT_TRUE(test, qed_zero_map_is_zero(map, 0, 512));
	qed_zero_map_exit(map);
}

/*
 * Sequential requests, compared with a plain array.  A granule is known if it was last zeroed as a
 * whole; the map may know less, where a region had a write.
 */
static void map_against_a_model(struct kunit *test)
{
	struct qed_zero_map *map = test->priv;
	bool *known = kunit_kzalloc(test, 500 * sizeof(*known), GFP_KERNEL);
	u32 state = 42, round, i;
	u64 count;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, known);
	for (round = 0; round < 5000; round++) {
		u64 offset = next_random(&state) % (map->size / 512) * 512;
		u64 left = (map->size - offset) / 512;
		u64 bytes = (next_random(&state) % min_t(u64, left, 1200) + 1) * 512;
		bool zeroes = next_random(&state) % 2;

		if (zeroes)
			zero(map, offset, bytes);
		else
			write(map, offset, bytes);
		for (i = 0; i < 500; i++) {
			u64 from = (u64)i * CLUSTER;
			u64 to = min_t(u64, from + CLUSTER, map->size);

			if (zeroes && offset <= from && to <= offset + bytes)
				known[i] = true;
			else if (!zeroes && offset < to && from < offset + bytes)
				known[i] = false;
		}
		for (i = count = 0; i < 500; i++) {
			count += known[i];
			KUNIT_ASSERT_EQ_MSG(test,
					    (int)qed_zero_map_is_zero(map, (u64)i * CLUSTER, 512),
					    (int)known[i], "round %u, granule %u\n", round, i);
		}
		KUNIT_ASSERT_EQ(test, qed_zero_map_known(map), count);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(runs_of_known_writes),
	KUNIT_CASE(run_at_the_device_end),
	KUNIT_CASE(run_possible),
	KUNIT_CASE(run_has_a_bound),
	KUNIT_CASE(runs_of_random_writes),
	KUNIT_CASE(map_knows_nothing_at_first),
	KUNIT_CASE(map_knows_whole_granules),
	KUNIT_CASE(map_across_regions),
	KUNIT_CASE(map_at_the_device_end),
	KUNIT_CASE(map_write_in_flight_before),
	KUNIT_CASE(map_write_begun_since),
	KUNIT_CASE(map_forgets),
	KUNIT_CASE(map_is_bounded),
	KUNIT_CASE(map_against_a_model),
	{},
};

static struct kunit_suite suite = {
	.name = "dm-qed",
	.init = map_init,
	.exit = map_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);

MODULE_DESCRIPTION("Tests of the device-mapper target qed");
MODULE_LICENSE("GPL");
