// SPDX-License-Identifier: GPL-2.0
/* Parts of the QED driver without I/O: header, geometry, and the cluster set. */
#include "test_qed_common.h"

#include "format/qed/cluster_set.h"
#include "format/qed/format.h"

static struct qed_header good_header(void)
{
	return (struct qed_header){
		.cluster_size = 65536,
		.table_size = 4,
		.header_size = 1,
		.l1_table_offset = 65536,
		.image_size = 1 * GiB,
	};
}

#define GOOD_FILE_SIZE (5 * 65536)

static void test_header_round_trip(void **state)
{
	/* A header written by hand, by the layout in the specification. */
	static const uint8_t disk[QED_HEADER_BYTES] = {
		'Q', 'E', 'D', 0, 0, 0, 1, 0, 4, 0,    0, 0, 1,	 0, 0, 0, 5, 0, 0, 0, 0, 0,
		0,   0,	  2,   0, 0, 0, 0, 0, 0, 0x80, 3, 0, 0,	 0, 0, 0, 0, 0, 0, 0, 1, 0,
		0,   0,	  0,   0, 0, 2, 0, 0, 0, 0,    0, 0, 64, 0, 0, 0, 7, 0, 0, 0,
	};
	uint8_t again[QED_HEADER_BYTES];
	struct qed_header h;

	(void)state;
	assert_true(qed_is_magic(disk, sizeof(disk)));
	assert_false(qed_is_magic(disk, 3));
	assert_false(qed_is_magic((const uint8_t *)"QED1", 4));
	qed_header_decode(&h, disk);
	assert_int_equal(h.cluster_size, 65536);
	assert_int_equal(h.table_size, 4);
	assert_int_equal(h.header_size, 1);
	assert_int_equal(h.features, 5);
	assert_true(h.compat_features == 0x8000000000000002ULL);
	assert_int_equal(h.autoclear_features, 3);
	assert_int_equal(h.l1_table_offset, 65536);
	assert_int_equal(h.image_size, 512);
	assert_int_equal(h.backing_filename_offset, 64);
	assert_int_equal(h.backing_filename_size, 7);
	qed_header_encode(&h, again);
	assert_memory_equal(disk, again, sizeof(disk));
}

#define REFUSED(code, field, value, words)                                                 \
	do {                                                                               \
		struct qed_header bad = good_header();                                     \
		struct error err = ERROR_INIT;                                             \
                                                                                           \
		bad.field = (value);                                                       \
		assert_int_equal(qed_header_validate(&bad, GOOD_FILE_SIZE, &err), (code)); \
		if (!strstr(error_text(&err), words))                                      \
			fail_msg("'%s' does not say '%s'", error_text(&err), words);       \
		error_free(&err);                                                          \
	} while (0)

static void test_header_validate(void **state)
{
	struct qed_header h = good_header();

	(void)state;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), 0);
	h.compat_features = UINT64_MAX;
	h.autoclear_features = UINT64_MAX;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), 0);

	REFUSED(-ENOTSUP, features, 8, "features: 8");
	REFUSED(-ENOTSUP, features, 1ULL << 62, "features");
	REFUSED(-EINVAL, features, QED_F_INCOMPLETE | 8, "incomplete");
	REFUSED(-EINVAL, cluster_size, 0, "cluster size");
	REFUSED(-EINVAL, cluster_size, 2048, "cluster size");
	REFUSED(-EINVAL, cluster_size, 128u << 20, "cluster size");
	REFUSED(-EINVAL, cluster_size, 65537, "cluster size");
	REFUSED(-EINVAL, table_size, 0, "table size");
	REFUSED(-EINVAL, table_size, 3, "table size");
	REFUSED(-EINVAL, table_size, 32, "table size");
	REFUSED(-EINVAL, header_size, 0, "header");
	REFUSED(-EINVAL, header_size, UINT32_MAX, "header");
	REFUSED(-EINVAL, l1_table_offset, 65536 + 512, "aligned");
	REFUSED(-EINVAL, l1_table_offset, 0, "L1 table");
	REFUSED(-EINVAL, l1_table_offset, 2 * 65536, "L1 table");
	REFUSED(-EINVAL, l1_table_offset, 1ULL << 63, "L1 table");
	REFUSED(-EINVAL, image_size, 513, "multiple");
	REFUSED(-EINVAL, image_size, 1ULL << 62, "geometry");
}

static void test_backing_name_place(void **state)
{
	struct qed_header h = good_header();

	(void)state;
	/* An empty name is none. */
	h.features = QED_F_BACKING_FILE;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), 0);
	h.backing_filename_offset = 65537;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), -EINVAL);
	h.backing_filename_size = 10;
	h.backing_filename_offset = 64;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), 0);
	h.backing_filename_offset = 65536 - 10;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), 0);
	h.backing_filename_offset++;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), -EINVAL);
	h.backing_filename_offset = UINT32_MAX;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), -EINVAL);
	h.backing_filename_offset = 63;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), -EINVAL);
	h.backing_filename_offset = 64;
	h.backing_filename_size = QED_MAX_BACKING_NAME + 1;
	assert_int_equal(qed_header_validate(&h, GOOD_FILE_SIZE, NULL), -EINVAL);
}

/* Return whether @max bytes is the size of the largest disk of this geometry. */
static bool is_max_size(uint32_t cluster, uint32_t table, uint64_t max)
{
	return !qed_geometry_validate(cluster, table, max, NULL) &&
	       qed_geometry_validate(cluster, table, max + 512, NULL) == -EINVAL;
}

static void test_max_size(void **state)
{
	const uint64_t limit = INT64_MAX / 512 * 512;

	(void)state;
	assert_true(is_max_size(4096, 1, 512ULL * 512 * 4096));
	assert_true(is_max_size(65536, 4, 64 * TiB));
	assert_true(is_max_size(64 << 20, 16, limit));
	for (uint32_t cluster = QED_MIN_CLUSTER_SIZE; cluster <= QED_MAX_CLUSTER_SIZE; cluster *= 2)
		for (uint32_t table = 1; table <= 16; table *= 2) {
			unsigned __int128 entries = (uint64_t)table * cluster / 8;
			unsigned __int128 max = entries * entries * cluster;

			assert_true(is_max_size(cluster, table, max < limit ? max : limit));
		}
}

/* The cluster set against an array of bools. */
#define UNIVERSE (3 * CLUSTER_SET_PAGE_BITS + 100)

static void compare_runs(const struct cluster_set *set, const bool *model, uint64_t from,
			 uint64_t max)
{
	uint64_t want = from, length = 0, start = 0, got;

	while (want < UNIVERSE && !model[want])
		want++;
	while (want + length < UNIVERSE && length < max && model[want + length])
		length++;
	got = cluster_set_next_run(set, from, max, &start);
	assert_int_equal(got, length);
	if (length)
		assert_int_equal(start, want);
}

static void test_cluster_set(void **state)
{
	uint64_t seed = test_seed(), random = seed;
	bool *model = calloc(UNIVERSE, sizeof(*model));
	struct cluster_set set;

	(void)state;
	assert_non_null(model);
	cluster_set_init(&set);
	for (unsigned int i = 0; i < 4000; i++) {
		uint64_t limit = i % 7 ? 200 : CLUSTER_SET_PAGE_BITS + 5;
		uint64_t start = next_random(&random) % UNIVERSE;
		uint64_t count = min_u64(next_random(&random) % limit, UNIVERSE - start);
		bool add = next_random(&random) % 5 < (i / 1000 % 2 ? 1 : 3);
		uint64_t members = 0;

		if (add)
			assert_int_equal(cluster_set_add(&set, start, count), 0);
		else
			cluster_set_remove(&set, start, count);
		memset(model + start, add, count);
		compare_runs(&set, model, 0, 1 + next_random(&random) % 100);
		compare_runs(&set, model, next_random(&random) % UNIVERSE, UINT64_MAX);
		assert_int_equal(cluster_set_has(&set, start), model[start]);
		if (i % 50)
			continue;
		for (uint64_t c = 0; c < UNIVERSE; c++)
			members += model[c];
		assert_int_equal(set.members, members);
	}
	cluster_set_destroy(&set);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_round_trip),  cmocka_unit_test(test_header_validate),
		cmocka_unit_test(test_backing_name_place), cmocka_unit_test(test_max_size),
		cmocka_unit_test(test_cluster_set),
	};

	return cmocka_run_group_tests_name("qed_format", tests, NULL, NULL);
}
