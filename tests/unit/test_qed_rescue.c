// SPDX-License-Identifier: GPL-2.0
/*
 * A writing process is killed, and its successor recovers: acknowledged data is there, flushed or
 * not.  This is repeated many times.
 *
 * The test is a chain of processes that share a model in memory.  Each opens the image with its
 * predecessor's rescue area, compares all of it with the model, and writes until it is killed.
 * Before a request a worker records the possible versions of its blocks, after the answer the
 * actual ones.
 */
#include "test_qed_common.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "format/qed/image.h"
#include "format/qed/rescue.h"

#define THREADS 2
#define BACKED	UINT32_MAX /* version: as in the backing file */

struct block_state {
	_Atomic uint32_t is, may_be; /* versions */
};

struct chain {
	const char *what;
	uint32_t cluster_size, table_size;
	uint64_t blocks, backing_blocks;
	uint64_t stride; /* one in @stride blocks of the image is in the model */
	unsigned int workers; /* coroutines per thread */
	unsigned int rounds;
	unsigned int max_slices, max_tables; /* limits of the rescue area; 0: what fits */
	bool below_raw; /* the image is the file of a raw one */

	uint64_t seed;
	struct scratch scratch;
	char rescue[PATH_MAX];
	struct blk_node *node;
	/* Shared between the processes. */
	struct block_state *model;
	_Atomic uint32_t *next_version;
	_Atomic bool *was_full; /* the area was full at some time */
};

struct worker {
	struct chain *c;
	unsigned int owner;
	uint64_t random;
};

static void expect(const struct chain *c, void *buf, uint64_t block, uint32_t version)
{
	if (version == BACKED)
		fill_block(buf, block, block < c->backing_blocks && block % 3 ? 1 : 0);
	else
		fill_block(buf, block, version);
}

/* A block of a request in flight at the kill is old or new; record which. */
static void settle_block(struct chain *c, const void *got, uint64_t block)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));
	struct block_state *b = &c->model[block];

	expect(c, want, block, b->may_be);
	if (!memcmp(want, got, BLOCK)) {
		b->is = b->may_be;
		return;
	}
	expect(c, want, block, b->is);
	if (!memcmp(want, got, BLOCK)) {
		b->may_be = b->is;
		return;
	}
	fprintf(stderr, "%s: SEED=%" PRIu64 ": block %" PRIu64 " is not version %u (nor %u)\n",
		c->what, c->seed, block, b->is, b->may_be);
	abort();
}

static uint64_t offset_of(const struct chain *c, uint64_t block)
{
	return block * c->stride * BLOCK;
}

static void compare_all(struct chain *c)
{
	uint8_t *buf = aligned_alloc(BLOCK, 16 * BLOCK);
	uint64_t at_once = c->stride == 1 ? 16 : 1;

	CHECK(buf);
	for (uint64_t block = 0; block < c->blocks; block += at_once) {
		uint64_t n = min_u64(at_once, c->blocks - block);

		CHECK(blk_co_pread(c->node, offset_of(c, block), n * BLOCK, buf, 0) == 0);
		for (uint64_t i = 0; i < n; i++)
			settle_block(c, buf + i * BLOCK, block + i);
	}
	free(buf);
}

/* The image stays locked until the dead process's last I/O has completed. */
static void open_image(struct chain *c, bool replay)
{
	struct blk_rescue rescue = {
		.replay = replay,
		.max_slices = c->max_slices,
		.max_tables = c->max_tables,
	};
	struct blk_open_opts opts = {
		.format = "qed",
		.flags = BLK_O_RDWR | BLK_O_DIRECT,
		.l2_cache_size = 1,
		.rescue = &rescue,
	};
	struct error err = ERROR_INIT;
	char nested[PATH_MAX + 100];
	const char *name = c->scratch.image;
	int ret;

	if (c->below_raw) {
		snprintf(nested, sizeof(nested),
			 "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"qed\",\"file.filename\":"
			 "\"%s\"}}",
			 c->scratch.image);
		name = nested;
		opts.format = NULL;
	}
	rescue.fd = open(c->rescue, O_RDWR | O_CREAT, 0600);
	CHECK(rescue.fd >= 0);
	while ((ret = blk_co_open(&c->node, name, &opts, &err)) == -EBUSY) {
		error_free(&err);
		aio_co_sleep(MSEC);
	}
	if (ret) {
		fprintf(stderr, "%s: SEED=%" PRIu64 ": %s\n", c->what, c->seed, error_text(&err));
		abort();
	}
	close(rescue.fd);
}

/* ---- Was the area full? ---- */

static bool is_limited(const struct chain *c)
{
	return c->max_slices || c->max_tables;
}

static const struct blk_file_ops *real_ops;
static struct blk_file_ops watching_ops;

static int watching_flush(struct blk_file *file)
{
	struct chain *c = file->ops_data;
	struct qed_image *img = c->node->opaque;

	pthread_mutex_lock(&img->meta_lock);
	if (!qed_rescue_has_room(img))
		*c->was_full = true;
	pthread_mutex_unlock(&img->meta_lock);
	/*
	 * The process dies, not the machine: no fdatasync is needed, and commits can be frequent.
	 */
	return is_limited(c) ? 0 : real_ops->co_flush(file);
}

static void watch(struct chain *c)
{
	struct blk_file *file = c->node->file;

	real_ops = file->ops;
	watching_ops = *real_ops;
	watching_ops.co_flush = watching_flush;
	file->ops_data = c;
	file->ops = &watching_ops;
}

/* ---- The process that will be killed ---- */

static void do_request(struct worker *w, uint8_t *buf)
{
	struct chain *c = w->c;
	uint64_t owners = (uint64_t)THREADS * c->workers;
	uint64_t block = next_random(&w->random) % (c->blocks / owners) * owners + w->owner;
	struct block_state *b = &c->model[block];
	unsigned int op = next_random(&w->random) % 100;
	uint32_t version = op < 65 ? atomic_fetch_add(c->next_version, 1) : 0;
	int ret;

	b->may_be = version;
	if (op < 65) {
		fill_block(buf, block, version);
		ret = blk_co_pwrite(c->node, offset_of(c, block), BLOCK, buf, 0);
	} else if (op < 95 || c->cluster_size != BLOCK) {
		ret = blk_co_pwrite_zeroes(c->node, offset_of(c, block), BLOCK,
					   op < 80 ? BLK_REQ_MAY_UNMAP : 0);
	} else {
		ret = blk_co_pdiscard(c->node, offset_of(c, block), BLOCK);
	}
	CHECK(ret == 0);
	b->is = version;
}

static void worker_main(void *arg)
{
	struct worker *w = arg;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);

	CHECK(buf);
	for (;;) {
		do_request(w, buf);
		if (next_random(&w->random) % 200 == 0)
			CHECK(blk_co_flush(w->c->node) == 0);
	}
}

static void *thread_main(void *arg)
{
	struct worker *workers = arg;
	struct aio_loop *loop = new_loop(64);

	for (unsigned int i = 0; i < workers->c->workers; i++)
		CHECK(co_start(worker_main, &workers[i]) == 0);
	CHECK(aio_loop_run(loop) == 0);
	return NULL;
}

static void victim_main(void *arg)
{
	struct chain *c = arg;
	unsigned int owners = THREADS * c->workers;
	struct worker *workers = calloc(owners, sizeof(*workers));
	pthread_t thread;

	CHECK(workers);
	compare_all(c);
	if (!c->below_raw)
		watch(c);
	for (unsigned int i = 0; i < owners; i++)
		workers[i] = (struct worker){ c, i, mix64(c->seed + i) };
	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread, NULL, thread_main, &workers[i * c->workers]) == 0);
	CHECK(write(STDIN_FILENO, "w", 1) == 1);
	/* Keep the loop running for the background flusher. */
	for (;;)
		aio_co_sleep(1000 * MSEC);
}

static void first_main(void *arg)
{
	open_image(arg, false);
	victim_main(arg);
}

static void next_main(void *arg)
{
	open_image(arg, true);
	victim_main(arg);
}

/* The last process of the chain closes the image. */
static void last_main(void *arg)
{
	struct chain *c = arg;
	struct blk_check_result result;
	struct blk_open_opts opts = { .format = "qed" };

	open_image(c, true);
	compare_all(c);
	CHECK(blk_co_close(c->node) == 0);
	CHECK(blk_co_open(&c->node, c->scratch.image, &opts, NULL) == 0);
	compare_all(c);
	CHECK(blk_co_check(c->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.check_errors);
	CHECK(blk_co_close(c->node) == 0);
}

/* ---- The process that kills ---- */

/* Start a process; *@fd, unless @fd is NULL, becomes readable when it writes to the image. */
static pid_t spawn(struct chain *c, co_fn *fn, int *fd)
{
	int fds[2];
	pid_t pid;

	CHECK(pipe(fds) == 0);
	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDIN_FILENO);
		close(fds[0]);
		close(fds[1]);
		run_co(64, fn, c);
		_exit(0);
	}
	close(fds[1]);
	*fd = fds[0];
	return pid;
}

static void kill_one(struct chain *c, co_fn *fn, uint64_t *random)
{
	int fd, status;
	pid_t pid = spawn(c, fn, &fd);
	char byte;

	CHECK(read(fd, &byte, 1) == 1);
	usleep(next_random(random) % (SANITIZED ? 200000 : 30000));
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(fd);
}

static void create_main(void *arg)
{
	struct chain *c = arg;
	struct blk_create_opts opts = {
		.filename = c->scratch.image,
		.format = "qed",
		.size = offset_of(c, c->blocks),
		.cluster_size = c->cluster_size,
		.table_size = c->table_size,
		.backing_file = c->backing_blocks ? "backing.raw" : NULL,
		.backing_format = c->backing_blocks ? "raw" : NULL,
	};

	CHECK(blk_co_create(&opts, NULL) == 0);
}

static void run_to_end(struct chain *c, co_fn *fn)
{
	int fd, status;
	pid_t pid = spawn(c, fn, &fd);

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	close(fd);
}

static void make_backing(struct chain *c)
{
	uint8_t buf[BLOCK] __attribute__((aligned(8)));
	int fd = open(c->scratch.backing, O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0);
	for (uint64_t block = 0; block < c->backing_blocks; block++) {
		expect(c, buf, block, BACKED);
		CHECK(pwrite(fd, buf, BLOCK, block * BLOCK) == BLOCK);
	}
	close(fd);
}

static void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void run_chain(struct chain *c)
{
	uint64_t random;

	c->seed = test_seed();
	random = c->seed;
	c->model = shared(c->blocks * sizeof(*c->model));
	c->next_version = shared(sizeof(*c->next_version));
	c->was_full = shared(sizeof(*c->was_full));
	*c->next_version = 2;
	for (uint64_t block = 0; block < c->blocks; block++)
		c->model[block].is = c->model[block].may_be = BACKED;
	scratch_make(&c->scratch);
	snprintf(c->rescue, sizeof(c->rescue), "%s/rescue", c->scratch.dir);
	make_backing(c);
	run_to_end(c, create_main);

	kill_one(c, first_main, &random);
	for (unsigned int i = 1; i < c->rounds; i++) {
		c->seed++;
		kill_one(c, next_main, &random);
	}
	run_to_end(c, last_main);

	CHECK(*c->was_full == is_limited(c));
	(void)unlink(c->rescue);
	scratch_remove(&c->scratch);
	munmap(c->model, c->blocks * sizeof(*c->model));
	munmap((void *)c->next_version, sizeof(*c->next_version));
	munmap((void *)c->was_full, sizeof(*c->was_full));
}

static void test_small_clusters(void **state)
{
	struct chain c = {
		.what = "small clusters",
		.cluster_size = 4 * KiB,
		.table_size = 1,
		.blocks = 64 * MiB / BLOCK + 3,
		.stride = 1,
		.workers = 6,
		.rounds = SANITIZED ? 10 : 30,
	};

	(void)state;
	run_chain(&c);
}

static void test_backing(void **state)
{
	struct chain c = {
		.what = "over a backing file",
		.cluster_size = 16 * KiB,
		.table_size = 2,
		.blocks = 64 * MiB / BLOCK + 1,
		.backing_blocks = 50 * MiB / BLOCK + 2,
		.stride = 1,
		.workers = 6,
		.rounds = SANITIZED ? 10 : 30,
	};

	(void)state;
	run_chain(&c);
}

static void test_below_raw(void **state)
{
	struct chain c = {
		.what = "below a raw image",
		.cluster_size = 4 * KiB,
		.table_size = 1,
		.blocks = 4 * MiB / BLOCK,
		.stride = 1,
		.workers = 6,
		.rounds = 10,
		.below_raw = true,
	};

	(void)state;
	run_chain(&c);
}

/* The area is for one image: where both have metadata, the upper one is for reading only. */
static void over_raw_main(void *arg)
{
	struct chain *c = arg;
	struct blk_rescue rescue = { .fd = open(c->rescue, O_RDWR | O_CREAT, 0600) };
	struct blk_open_opts opts = { .flags = BLK_O_RDWR, .rescue = &rescue };
	char name[PATH_MAX + 100];

	snprintf(name, sizeof(name),
		 "json:{\"driver\":\"qed\",\"file\":{\"driver\":\"raw\",\"file.filename\":\"%s\"}}",
		 c->scratch.image);
	CHECK(rescue.fd >= 0 && blk_co_open(&c->node, name, &opts, NULL) == -ENOTSUP);
	opts.flags = 0;
	CHECK(blk_co_open(&c->node, name, &opts, NULL) == 0);
	CHECK(blk_co_close(c->node) == 0);
	close(rescue.fd);
}

static void test_over_raw(void **state)
{
	struct chain c = { .cluster_size = 4 * KiB, .table_size = 1, .blocks = 4, .stride = 1 };

	(void)state;
	scratch_make(&c.scratch);
	snprintf(c.rescue, sizeof(c.rescue), "%s/rescue", c.scratch.dir);
	run_to_end(&c, create_main);
	run_to_end(&c, over_raw_main);
	(void)unlink(c.rescue);
	scratch_remove(&c.scratch);
}

/*
 * Each block is in a slice and a table of its own, and many more of them are dirty than fit into
 * the area: a request that finds it full waits, and what was acknowledged before is there.
 */
static void run_limited(const char *what, unsigned int max_slices, unsigned int max_tables)
{
	struct chain c = {
		.what = what,
		.cluster_size = 4 * KiB,
		.table_size = 1,
		.blocks = 500,
		.stride = QED_SLICE_ENTRIES,
		.workers = 32,
		.rounds = SANITIZED ? 10 : 30,
		.max_slices = max_slices,
		.max_tables = max_tables,
	};

	run_chain(&c);
}

static void test_slices_full(void **state)
{
	(void)state;
	run_limited("slices full", 1, 0);
}

static void test_tables_full(void **state)
{
	(void)state;
	run_limited("tables full", 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_clusters), cmocka_unit_test(test_backing),
		cmocka_unit_test(test_below_raw),      cmocka_unit_test(test_over_raw),
		cmocka_unit_test(test_slices_full),    cmocka_unit_test(test_tables_full),
	};

	return cmocka_run_group_tests_name("qed_rescue", tests, NULL, NULL);
}
