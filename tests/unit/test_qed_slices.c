// SPDX-License-Identifier: GPL-2.0
/*
 * The cache of L2 slices: a reader that has found a slice may read it until it yields, whatever
 * other threads evict and load meanwhile.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"
#include "format/qed/l2_cache.h"

#define IMAGE_SIZE  (512 * MiB)
#define SLICE_BYTES (QED_SLICE_ENTRIES * 4096ULL) /* of the guest's disk */
#define MOST_SLICES (IMAGE_SIZE / SLICE_BYTES)

static struct scratch scratch;
static struct blk_node *node;
static _Atomic bool ready, holding, evicted, looked;

static void wait_for(const _Atomic bool *flag, bool yields)
{
	for (unsigned int i = 0; !atomic_load(flag); i++) {
		CHECK(i < 60000);
		if (yields)
			aio_co_sleep(MSEC);
		else
			usleep(1000);
	}
}

static enum l2_slice_state state_of(struct qed_image *img, const struct l2_slice *slice)
{
	enum l2_slice_state state;

	pthread_mutex_lock(&img->meta_lock);
	state = slice->state;
	pthread_mutex_unlock(&img->meta_lock);
	return state;
}

/* Find a slice, and read it again after another thread has evicted it; do not yield. */
static void reader(void)
{
	uint64_t entries[QED_SLICE_ENTRIES];
	struct qed_image *img;
	struct l2_slice *slice;

	wait_for(&ready, true);
	img = node->opaque;
	slice = l2_cache_find(img, 0);
	CHECK(slice && slice->index == 0);
	for (unsigned int i = 0; i < QED_SLICE_ENTRIES; i++)
		entries[i] = atomic_load(&slice->entries[i]);
	CHECK(entries[0] > QED_L2_ZERO);
	atomic_store(&holding, true);
	wait_for(&evicted, false);
	CHECK(state_of(img, slice) == L2_SLICE_RETIRED);
	CHECK(slice->index == 0);
	for (unsigned int i = 0; i < QED_SLICE_ENTRIES; i++)
		CHECK(atomic_load(&slice->entries[i]) == entries[i]);
	atomic_store(&looked, true);
}

static void make_image(void)
{
	uint8_t buf[BLOCK] __attribute__((aligned(8)));

	CHECK(blk_co_create(&(struct blk_create_opts){ .filename = scratch.image,
						       .format = "qed",
						       .size = IMAGE_SIZE,
						       .cluster_size = 4096,
						       .table_size = 1 },
			    NULL) == 0);
	node = scratch_co_open(&scratch, BLK_O_RDWR, 1);
	for (uint64_t i = 0; i < MOST_SLICES; i++) {
		fill_block(buf, i, 2);
		CHECK(blk_co_pwrite(node, i * SLICE_BYTES, BLOCK, buf, 0) == 0);
	}
	CHECK(blk_co_close(node) == 0);
}

/* Read slice after slice until the first is evicted, and one more is loaded. */
static void evicter(void)
{
	uint8_t buf[BLOCK] __attribute__((aligned(8)));
	struct qed_image *img;
	struct l2_slice *first;
	uint64_t next = 0;

	make_image();
	node = scratch_co_open(&scratch, BLK_O_RDWR, 1);
	img = node->opaque;
	CHECK(MOST_SLICES > 2 * img->cache.capacity);
	CHECK(blk_co_pread(node, 0, BLOCK, buf, 0) == 0);
	first = l2_cache_find(img, 0);
	CHECK(first);
	atomic_store(&ready, true);
	wait_for(&holding, true);
	/* The spare slices suffice: no slice is reused while the reader runs. */
	while (l2_cache_find(img, 0) == first) {
		CHECK(++next < img->cache.capacity + 32);
		CHECK(blk_co_pread(node, next * SLICE_BYTES, BLOCK, buf, 0) == 0);
	}
	for (unsigned int i = 0; i < 16; i++)
		CHECK(blk_co_pread(node, ++next * SLICE_BYTES, BLOCK, buf, 0) == 0);
	atomic_store(&evicted, true);
	wait_for(&looked, true);
	/* From now on the slice may be reused. */
	for (unsigned int i = 0; state_of(img, first) == L2_SLICE_RETIRED; i++) {
		CHECK(i < 60000);
		aio_co_sleep(MSEC);
	}
	CHECK(blk_co_close(node) == 0);
}

static void thread_main(void *arg)
{
	if (*(unsigned int *)arg)
		evicter();
	else
		reader();
}

static void test_evicted_slice_stays_for_readers(void **state)
{
	unsigned int ids[] = { 0, 1 };

	(void)state;
	scratch_make(&scratch);
	run_on_loops(2, thread_main, ids, sizeof(ids[0]));
	scratch_remove(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evicted_slice_stays_for_readers),
	};

	return cmocka_run_group_tests_name("qed_slices", tests, NULL, NULL);
}
