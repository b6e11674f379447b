// SPDX-License-Identifier: GPL-2.0
/*
 * A full cache of L2 slices: a load that finds no evictable slice at once still ends,
 * whatever readers and a failing disk do, and without a commit.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"

/* One slice per table, so that a small disk has many. */
#define CLUSTER	    4096u
#define SLICE_BYTES ((uint64_t)CLUSTER * QED_SLICE_ENTRIES)
#define NR_SLICES   128u
#define IMAGE_SIZE  (NR_SLICES * SLICE_BYTES)
#define MAX_WAIT    ((SANITIZED ? 120000 : 30000) * MSEC)

struct test {
	struct scratch scratch;
	struct blk_node *node;
	struct qed_image *img;
	struct blk_file_ops ops;
};

static _Atomic int disk_error; /* error of writes of slices and of flushes */

static ssize_t failing_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	return disk_error ? disk_error : blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

/* An image with all of its tables, and the smallest cache. */
static void start(struct test *t)
{
	struct blk_create_opts create = { .filename = t->scratch.image,
					  .format = "qed",
					  .size = IMAGE_SIZE,
					  .cluster_size = CLUSTER,
					  .table_size = 1 };
	uint8_t block[BLOCK] __attribute__((aligned(8)));

	CHECK(blk_co_create(&create, NULL) == 0);
	t->node = scratch_co_open(&t->scratch, BLK_O_RDWR | BLK_O_DIRECT, 1);
	for (uint64_t s = 0; s < NR_SLICES; s++) {
		fill_block(block, s, 1);
		CHECK(blk_co_pwrite(t->node, s * SLICE_BYTES, BLOCK, block, 0) == 0);
	}
	CHECK(blk_co_close(t->node) == 0);
	t->node = scratch_co_open(&t->scratch, BLK_O_RDWR | BLK_O_DIRECT, 1);
	t->img = t->node->opaque;
	t->ops = blk_file_kernel_ops;
	t->ops.co_pwritev = failing_pwritev;
	t->node->file->ops = &t->ops;
}

static int read_slice(struct test *t, uint64_t s)
{
	uint8_t want[BLOCK] __attribute__((aligned(8))), got[BLOCK] __attribute__((aligned(8)));
	int ret = blk_co_pread(t->node, s * SLICE_BYTES, BLOCK, got, 0);

	fill_block(want, s, 1);
	CHECK(ret || !memcmp(want, got, BLOCK));
	return ret;
}

/* ---- readers that keep marking all slices as used ---- */

struct reader {
	struct test *t;
	_Atomic bool *stop;
	pthread_t thread;
};

/* Do what a look-up does, in a tight loop. */
static void *mark(void *arg)
{
	struct reader *r = arg;
	struct l2_cache *cache = &r->t->img->cache;

	while (!atomic_load_explicit(r->stop, memory_order_relaxed))
		for (unsigned int i = 0; i < cache->nr_slices; i++)
			atomic_store_explicit(&cache->slices[i].referenced, true,
					      memory_order_relaxed);
	return NULL;
}

struct loader {
	struct test *t;
	unsigned int loads;
	_Atomic bool done;
};

static void load(void *arg)
{
	struct loader *l = arg;

	for (unsigned int i = 0; i < l->loads; i++) {
		CHECK(read_slice(l->t, i % NR_SLICES) == 0);
		/* Sleep often, to interleave with the reader in many ways. */
		if (i % 4 == 0)
			aio_co_sleep(MSEC / 2);
	}
	l->done = true;
}

static void load_beside_readers(struct test *t)
{
	_Atomic bool stop = false;
	struct reader readers[2] = { { t, &stop, 0 }, { t, &stop, 0 } };
	struct loader loader = { .t = t, .loads = SANITIZED ? 200 : 1000 };
	uint64_t end = aio_now() + MAX_WAIT;

	for (unsigned int i = 0; i < ARRAY_SIZE(readers); i++)
		CHECK(!pthread_create(&readers[i].thread, NULL, mark, &readers[i]));
	CHECK(co_start(load, &loader) == 0);
	while (!loader.done) {
		CHECK(aio_now() < end);
		aio_co_sleep(MSEC);
	}
	stop = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(readers); i++)
		CHECK(!pthread_join(readers[i].thread, NULL));
}

/* No slice is dirty, so no commit comes that could wake the loader. */
static void hot_slices(void *arg)
{
	struct test *t = arg;

	start(t);
	load_beside_readers(t);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_commits) == 0);
	CHECK(blk_co_close(t->node) == 0);
}

/* One slice is dirty, and cannot be written. */
static void hot_slices_after_error(void *arg)
{
	struct test *t = arg;
	uint8_t block[BLOCK] __attribute__((aligned(8)));

	start(t);
	fill_block(block, 1, 2);
	CHECK(blk_co_pwrite(t->node, BLOCK, BLOCK, block, 0) == 0);
	disk_error = -EIO;
	CHECK(blk_co_flush(t->node) == -EIO);
	load_beside_readers(t);
	disk_error = 0;
	/* The background flusher has retried meanwhile: its failure is reported, once. */
	(void)blk_co_flush(t->node);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(blk_co_close(t->node) == 0);
}

/* ---- many dirty slices that cannot be written ---- */

struct writer {
	struct test *t;
	struct group *group;
	uint64_t slice;
	int ret;
};

static void write_slice(void *arg)
{
	struct writer *w = arg;

	w->ret = blk_co_pwrite_zeroes(w->t->node, w->slice * SLICE_BYTES + CLUSTER, CLUSTER,
				      BLK_REQ_MAY_UNMAP);
	group_done(w->group);
}

/* A read needs no write, and does not get its error. */
static void full_of_dirty(void *arg)
{
	struct test *t = arg;
	struct writer writers[NR_SLICES / 2];
	struct group group = { .left = ARRAY_SIZE(writers) };
	unsigned int failed = 0;

	start(t);
	disk_error = -ENOSPC;
	for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i] = (struct writer){ t, &group, i, 0 };
		CHECK(co_start(write_slice, &writers[i]) == 0);
	}
	group_wait(&group);
	for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
		CHECK(writers[i].ret == 0 || writers[i].ret == -ENOSPC);
		failed += writers[i].ret != 0;
	}
	CHECK(failed > 0);
	CHECK(blk_co_flush(t->node) == -ENOSPC);
	printf("# %u of %u slices are dirty\n", t->img->commit.nr_dirty, t->img->cache.nr_slices);
	CHECK(t->img->commit.nr_dirty <= t->img->commit.max_batch + 1);
	for (uint64_t s = 0; s < NR_SLICES; s++)
		CHECK(read_slice(t, s) == 0);
	disk_error = 0;
	/* The background flusher retries; only its failures are reported. */
	do
		aio_co_sleep(10 * MSEC);
	while (blk_co_flush(t->node));
	CHECK(t->img->commit.nr_dirty == 0);
	for (uint64_t s = 0; s < NR_SLICES; s++)
		CHECK(read_slice(t, s) == 0);
	CHECK(t->img->cache.published <= t->img->cache.capacity);
	CHECK(blk_co_close(t->node) == 0);
}

static void run(void **state)
{
	co_fn **fn = *state;
	struct test t = { 0 };

	disk_error = 0;
	scratch_make(&t.scratch);
	run_co(128, *fn, &t);
	scratch_remove(&t.scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, hot_slices),
		CO_TEST_BY(run, hot_slices_after_error),
		CO_TEST_BY(run, full_of_dirty),
	};

	return cmocka_run_group_tests_name("qed_cache", tests, NULL, NULL);
}
