// SPDX-License-Identifier: GPL-2.0
/*
 * Four loops hammer one image: 4 KiB blocks of many owners share clusters, the L2
 * cache is tiny, so that slices are evicted and loaded during look-ups, and every
 * owner knows the content of its blocks. After that comes a part that all change
 * concurrently, in overlapping ranges: each sector of it must have the data of some
 * writer for that sector. Meanwhile the image is checked, and leaks would be freed. At the
 * end it is reopened, compared completely, and checked.
 *
 * threads: yes
 */
#include "test_qed_common.h"

#define THREADS 4
#define WORKERS 8 /* coroutines per thread */
#define OWNERS	(THREADS * WORKERS)
#define BACKED	UINT32_MAX /* version: as in the backing file */
#define CROWDED 96u /* blocks at the end without an owner */

struct hammer {
	const char *what;
	uint32_t cluster_size, table_size;
	uint64_t blocks; /* blocks of the image, without those at the end without an owner */
	uint64_t backing_blocks; /* 0: no backing file */
	bool copy_on_read;
	unsigned int ops; /* of each worker */

	uint64_t seed;
	struct scratch scratch;
	struct blk_node *node;
	uint32_t *model; /* version of each block */
	bool hammered, checker_ended;
	_Atomic uint32_t next_version;
};

struct worker {
	struct hammer *h;
	struct hammer_thread *thread;
	unsigned int owner;
	uint64_t random;
};

struct hammer_thread {
	struct hammer *h;
	unsigned int index;
	unsigned int running;
	struct aio_loop *loop;
	struct worker workers[WORKERS];
};

/* The lower half of the image is owned block by block, the upper half cluster by cluster. */
static bool by_cluster(const struct hammer *h, uint64_t block)
{
	return block >= h->blocks / 2;
}

static unsigned int owner_of(const struct hammer *h, uint64_t block)
{
	return (by_cluster(h, block) ? block / (h->cluster_size / BLOCK) : block) % OWNERS;
}

static void expect(const struct hammer *h, void *buf, uint64_t block)
{
	uint32_t version = h->model[block];

	if (version == BACKED && block < h->backing_blocks)
		fill_block(buf, block, block % 3 ? 1 : 0);
	else
		fill_block(buf, block, version == BACKED ? 0 : version);
}

static void check_block(const struct hammer *h, const void *got, uint64_t block, const char *when)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	expect(h, want, block);
	if (!memcmp(want, got, BLOCK))
		return;
	fprintf(stderr, "%s: SEED=%" PRIu64 ": block %" PRIu64 " (version %u) differs %s\n",
		h->what, h->seed, block, h->model[block], when);
	abort();
}

/* Choose a block of @w, and set *@count to the number from there on that it owns, at most @max. */
static uint64_t pick(struct worker *w, uint64_t max, uint64_t *count)
{
	struct hammer *h = w->h;
	uint64_t block = next_random(&w->random) % h->blocks;

	while (owner_of(h, block) != w->owner)
		block = (block + 1) % h->blocks;
	*count = 1;
	while (*count < max && block + *count < h->blocks &&
	       owner_of(h, block + *count) == w->owner)
		(*count)++;
	return block;
}

static void do_write(struct worker *w, uint8_t *buf)
{
	struct hammer *h = w->h;
	uint64_t n, block = pick(w, 1 + next_random(&w->random) % 16, &n);

	for (uint64_t i = 0; i < n; i++) {
		h->model[block + i] = atomic_fetch_add(&h->next_version, 1);
		fill_block(buf + i * BLOCK, block + i, h->model[block + i]);
	}
	CHECK(blk_co_pwrite(h->node, block * BLOCK, n * BLOCK, buf,
			    next_random(&w->random) % 16 ? 0 : BLK_REQ_FUA) == 0);
}

/* ---- Blocks without an owner ---- */

/* Each word has its sector, in bits 16 and up, and its writer below. */
static void fill_crowded(uint64_t *words, uint64_t sector, unsigned int owner)
{
	for (unsigned int i = 0; i < SECTOR_SIZE / 8; i++)
		words[i] = (sector + 1) << 16 | owner;
}

/* Each sector must have one writer's data, or zeroes; adjacent ones may differ. */
static void check_crowded(const struct hammer *h, const uint64_t *words, uint64_t sector)
{
	bool good = !words[0] || words[0] >> 16 == sector + 1;

	for (unsigned int i = 1; good && i < SECTOR_SIZE / 8; i++)
		good = words[i] == words[0];
	if (good)
		return;
	fprintf(stderr, "%s: SEED=%" PRIu64 ": sector %" PRIu64 " holds %" PRIx64 "\n", h->what,
		h->seed, sector, words[0]);
	abort();
}

static void do_crowded(struct worker *w, uint8_t *buf)
{
	struct hammer *h = w->h;
	uint64_t n = 1 + next_random(&w->random) % 16;
	uint64_t block = h->blocks + next_random(&w->random) % (CROWDED - n);
	unsigned int op = next_random(&w->random) % 10;
	uint64_t sectors = n * BLOCK / SECTOR_SIZE, first = block * BLOCK / SECTOR_SIZE;

	if (op < 5) {
		for (uint64_t s = 0; s < sectors; s++)
			fill_crowded((uint64_t *)(buf + s * SECTOR_SIZE), first + s, w->owner);
		CHECK(blk_co_pwrite(h->node, block * BLOCK, n * BLOCK, buf, 0) == 0);
	} else if (op < 8) {
		CHECK(blk_co_pread(h->node, block * BLOCK, n * BLOCK, buf, 0) == 0);
		for (uint64_t s = 0; s < sectors; s++)
			check_crowded(h, (uint64_t *)(buf + s * SECTOR_SIZE), first + s);
	} else if (op < 9) {
		CHECK(blk_co_pdiscard(h->node, block * BLOCK, n * BLOCK) == 0);
	} else {
		CHECK(blk_co_pwrite_zeroes(h->node, block * BLOCK, n * BLOCK, BLK_REQ_MAY_UNMAP) ==
		      0);
	}
}

static void do_read(struct worker *w, uint8_t *buf)
{
	struct hammer *h = w->h;
	uint64_t n, block = pick(w, 16, &n);

	CHECK(blk_co_pread(h->node, block * BLOCK, n * BLOCK, buf, 0) == 0);
	for (uint64_t i = 0; i < n; i++)
		check_block(h, buf + i * BLOCK, block + i, "while hammering");
}

static void do_zeroes(struct worker *w, bool unmap)
{
	struct hammer *h = w->h;
	uint64_t n, block = pick(w, 64, &n);

	CHECK(blk_co_pwrite_zeroes(h->node, block * BLOCK, n * BLOCK,
				   unmap ? BLK_REQ_MAY_UNMAP : 0) == 0);
	memset(&h->model[block], 0, n * sizeof(*h->model));
}

/* Discard whole clusters only, whose content is then known. */
static void do_discard(struct worker *w)
{
	struct hammer *h = w->h;
	uint64_t per_cluster = h->cluster_size / BLOCK;
	uint64_t n, block = pick(w, 1, &n);

	if (!by_cluster(h, block))
		return;
	block -= block % per_cluster;
	n = per_cluster;
	if (!by_cluster(h, block) || block + n > h->blocks)
		return;
	CHECK(blk_co_pdiscard(h->node, block * BLOCK, n * BLOCK) == 0);
	memset(&h->model[block], 0, n * sizeof(*h->model));
}

static void worker_main(void *arg)
{
	struct worker *w = arg;
	uint8_t *buf = aligned_alloc(BLOCK, 16 * BLOCK);

	CHECK(buf);
	for (unsigned int i = 0; i < w->h->ops; i++) {
		unsigned int op = next_random(&w->random) % 100;

		if (op < 12)
			do_crowded(w, buf);
		else if (op < 50)
			do_write(w, buf);
		else if (op < 80)
			do_read(w, buf);
		else if (op < 90)
			do_zeroes(w, op < 87);
		else if (op < 97)
			do_discard(w);
		else
			CHECK(blk_co_flush(w->h->node) == 0);
	}
	free(buf);
	if (!--w->thread->running)
		aio_loop_stop(w->thread->loop);
}

static void *thread_main(void *arg)
{
	struct hammer_thread *t = arg;

	t->loop = new_loop(64);
	t->running = WORKERS + 1;
	for (unsigned int i = 0; i < WORKERS; i++) {
		unsigned int owner = t->index * WORKERS + i;

		t->workers[i] = (struct worker){ t->h, t, owner, mix64(t->h->seed + owner) };
		CHECK(co_start(worker_main, &t->workers[i]) == 0);
	}
	if (--t->running)
		CHECK(aio_loop_run(t->loop) == 0);
	aio_loop_destroy(t->loop);
	return NULL;
}

static int join_threads(void *arg)
{
	struct hammer_thread *threads = arg;
	pthread_t ids[THREADS];

	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&ids[i], NULL, thread_main, &threads[i]) == 0);
	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
	return 0;
}

/* Check the image again and again while it is hammered: nothing is wrong, and nothing leaked. */
static void checker_main(void *arg)
{
	struct hammer *h = arg;

	while (!h->hammered) {
		struct blk_check_result result;

		CHECK(blk_co_check_live(h->node, BLK_FIX_LEAKS, &(bool){ false }, &result, NULL) ==
		      0);
		CHECK(!result.corruptions && !result.leaks && !result.leaks_fixed);
		aio_co_sleep(5 * MSEC);
	}
	h->checker_ended = true;
}

static void make_backing(struct hammer *h)
{
	uint8_t buf[BLOCK] __attribute__((aligned(8)));
	int fd = open(h->scratch.backing, O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0);
	for (uint64_t block = 0; block < h->backing_blocks; block++) {
		fill_block(buf, block, block % 3 ? 1 : 0);
		for (uint64_t s = block * 8; block >= h->blocks && s < block * 8 + 8; s++)
			fill_crowded((uint64_t *)(buf + (s - block * 8) * SECTOR_SIZE), s, OWNERS);
		CHECK(pwrite(fd, buf, BLOCK, block * BLOCK) == BLOCK);
	}
	close(fd);
}

static struct blk_node *open_image(struct hammer *h, unsigned int flags)
{
	return scratch_co_open(&h->scratch, flags, 1);
}

static void make_image(struct hammer *h)
{
	struct blk_create_opts opts = {
		.filename = h->scratch.image,
		.format = "qed",
		.size = (h->blocks + CROWDED) * BLOCK,
		.cluster_size = h->cluster_size,
		.table_size = h->table_size,
		.backing_file = h->backing_blocks ? "backing.raw" : NULL,
		.backing_format = "raw",
	};

	CHECK(blk_co_create(&opts, NULL) == 0);
}

static void compare_and_check(struct hammer *h)
{
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);
	struct blk_check_result result;

	CHECK(buf);
	h->node = open_image(h, BLK_O_DIRECT);
	for (uint64_t block = 0; block < h->blocks; block++) {
		CHECK(blk_co_pread(h->node, block * BLOCK, BLOCK, buf, 0) == 0);
		check_block(h, buf, block, "after opening again");
	}
	for (uint64_t s = h->blocks * 8; s < (h->blocks + CROWDED) * 8; s++) {
		CHECK(blk_co_pread(h->node, s * SECTOR_SIZE, SECTOR_SIZE, buf, 0) == 0);
		check_crowded(h, (uint64_t *)buf, s);
	}
	CHECK(blk_co_check(h->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(blk_co_close(h->node) == 0);
	free(buf);
	if (result.corruptions || result.leaks || result.check_errors) {
		fprintf(stderr,
			"%s: SEED=%" PRIu64 ": %" PRIu64 " corruptions, %" PRIu64 " leaks\n",
			h->what, h->seed, result.corruptions, result.leaks);
		abort();
	}
}

static void hammer_main(void *arg)
{
	struct hammer *h = arg;
	struct hammer_thread *threads = calloc(THREADS, sizeof(*threads));

	CHECK(threads);
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = (struct hammer_thread){ .h = h, .index = i };
	make_image(h);
	h->node = open_image(h,
			     BLK_O_RDWR | BLK_O_DIRECT | (h->copy_on_read ? OPEN_COPY_ON_READ : 0));
	/*
	 * Join on a worker thread, so that this loop keeps running the image's background flusher.
	 */
	CHECK(co_start(checker_main, h) == 0);
	CHECK(aio_co_call(join_threads, threads) == 0);
	h->hammered = true;
	while (!h->checker_ended)
		aio_co_sleep(MSEC);
	CHECK(blk_stats_get(&h->node->stats, BLK_STAT_l2_evictions) > 0);
	CHECK(blk_co_close(h->node) == 0);
	compare_and_check(h);
	free(threads);
}

static void run_hammer(struct hammer *h)
{
	h->seed = test_seed();
	h->ops = SANITIZED ? 400 : 2000;
	h->next_version = 2;
	h->model = malloc(h->blocks * sizeof(*h->model));
	CHECK(h->model);
	for (uint64_t block = 0; block < h->blocks; block++)
		h->model[block] = BACKED;
	scratch_make(&h->scratch);
	if (h->backing_blocks)
		make_backing(h);
	run_co(64, hammer_main, h);
	scratch_remove(&h->scratch);
	free(h->model);
}

static void test_no_backing(void **state)
{
	struct hammer h = {
		.what = "no backing file",
		.cluster_size = 4 * KiB,
		.table_size = 1,
		.blocks = 64 * MiB / BLOCK + 3,
	};

	(void)state;
	run_hammer(&h);
}

static void test_backing(void **state)
{
	struct hammer h = {
		.what = "backing file, shorter",
		.cluster_size = 16 * KiB,
		.table_size = 2,
		.blocks = 192 * MiB / BLOCK + 1,
		.backing_blocks = 150 * MiB / BLOCK + 2,
	};

	(void)state;
	run_hammer(&h);
}

static void test_copy_on_read(void **state)
{
	struct hammer h = {
		.what = "copy-on-read",
		.cluster_size = 8 * KiB,
		.table_size = 1,
		.blocks = 96 * MiB / BLOCK,
		.backing_blocks = 128 * MiB / BLOCK,
		.copy_on_read = true,
	};

	(void)state;
	run_hammer(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_backing),
		cmocka_unit_test(test_backing),
		cmocka_unit_test(test_copy_on_read),
	};

	return cmocka_run_group_tests_name("qed_hammer", tests, NULL, NULL);
}
