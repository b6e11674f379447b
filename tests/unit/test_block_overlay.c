// SPDX-License-Identifier: GPL-2.0
/*
 * New overlays on top of an image that is written to by several queues, as a snapshot makes them.
 * Nothing that was answered is lost, also when the process is killed at any instant: its successor
 * opens the image that was recorded last, with the one rescue area that all of them used.
 *
 * Each process is a child that shares a model in memory with those after it. A tag of a queue has
 * its own blocks, and records what may be in one before it writes it, and what is after the answer.
 */
#include "test_qed_common.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "block/overlay.h"
#include "format/qed/format.h"
#include "ublk/node_target.h"
#include "ublk/uapi.h"

#define QUEUES	   3
#define DEPTH	   4
#define BLOCKS	   1536u
#define MAX_IMAGES 60u
#define ROUNDS	   (SANITIZED ? 3 : 8)
#define PIVOTS	   (SANITIZED ? 8 : 25)
#define ANSWERS	   (SANITIZED ? 2000 : 6000)
/* What the kernel has survives the process: nothing needs to reach the disk. */
#define OPEN_FLAGS (BLK_O_RDWR | BLK_O_NO_FLUSH)

struct block_state {
	_Atomic uint32_t is, may_be; /* versions */
};

/* Shared between the processes. */
struct model {
	struct block_state blocks[BLOCKS];
	_Atomic uint32_t version;
	_Atomic unsigned int image; /* the number of the device's, as in NAME.json */
	_Atomic unsigned int images; /* made so far */
	_Atomic unsigned int failed; /* pivots that were undone */
	/* Answers after which the process is killed: a number does not depend on its speed. */
	_Atomic unsigned int answers;
};

struct tag {
	struct ublk_request req;
	struct aio_timer timer;
	struct queue *queue;
	uint64_t random;
	unsigned int number;
	struct block_state *block; /* being written, or NULL */
	char *buf;
};

struct queue {
	struct ublk_gate_queue gate;
	struct tag tags[DEPTH];
	unsigned int number, running;
	struct co *waiter;
	pthread_t thread;
};

static struct scratch scratch_dir;
static struct model *model;
static struct ublk_node_target target;
static struct queue queues[QUEUES];
static _Atomic bool stop;
static int rescue_fd;

static void image_path(char *path, unsigned int i)
{
	snprintf(path, PATH_MAX, "%s/%u.qed", scratch_dir.dir, i);
}

/* ---- Queues ---- */

static void submit_next(struct tag *tag)
{
	struct ublk_request *req = &tag->req;
	unsigned int pick = next_random(&tag->random) % 32;
	uint64_t slots = BLOCKS / (QUEUES * DEPTH);
	uint64_t block = next_random(&tag->random) % slots * (QUEUES * DEPTH) + tag->number;
	uint32_t version = atomic_fetch_add(&model->version, 1) + 1;

	req->flags = 0;
	req->offset = block * BLOCK;
	req->bytes = BLOCK;
	tag->block = &model->blocks[block];
	if (pick == 0) {
		req->op = UBLK_IO_OP_FLUSH;
		req->offset = req->bytes = 0;
		tag->block = NULL;
	} else if (pick < 5) {
		req->op = UBLK_IO_OP_WRITE_ZEROES;
		version = 0;
	} else {
		req->op = UBLK_IO_OP_WRITE;
		req->flags = pick == 5 ? UBLK_IO_F_FUA : 0;
		fill_block(tag->buf, block, version);
	}
	if (tag->block)
		atomic_store(&tag->block->may_be, version);
	target.target.submit(req);
}

static void on_next(struct aio_timer *timer)
{
	struct tag *tag = container_of(timer, struct tag, timer);

	if (!atomic_load(&stop))
		submit_next(tag);
	else if (!--tag->queue->running)
		co_wake(tag->queue->waiter);
}

void ublk_request_complete(struct ublk_request *req, int result)
{
	struct tag *tag = container_of(req, struct tag, req);

	CHECK(result == 0);
	if (tag->block)
		atomic_store(&tag->block->is, atomic_load(&tag->block->may_be));
	if (atomic_fetch_sub(&model->answers, 1) == 1)
		raise(SIGKILL);
	aio_timer_arm(&tag->timer, next_random(&tag->random) % 200000);
}

static void co_queue_main(void *arg)
{
	struct queue *queue = arg;

	ublk_gate_join(&target.gate, &queue->gate);
	queue->waiter = co_self();
	for (unsigned int i = 0; i < DEPTH; i++) {
		struct tag *tag = &queue->tags[i];

		tag->queue = queue;
		tag->number = queue->number * DEPTH + i;
		tag->random = mix64(tag->number + 1 + 1000 * atomic_load(&model->version));
		tag->buf = aligned_alloc(BLOCK, BLOCK);
		tag->req.buf = tag->buf;
		tag->req.target = &target.target;
		tag->req.gate = &queue->gate;
		aio_timer_init(&tag->timer, on_next);
		queue->running++;
		submit_next(tag);
	}
	while (queue->running)
		co_park();
	ublk_gate_quit(&queue->gate);
	for (unsigned int i = 0; i < DEPTH; i++)
		free(queue->tags[i].buf);
}

static void *queue_thread(void *arg)
{
	run_co(64, co_queue_main, arg);
	return NULL;
}

static void start_queues(void)
{
	atomic_store(&stop, false);
	for (unsigned int i = 0; i < QUEUES; i++) {
		queues[i] = (struct queue){ .number = i };
		CHECK(!pthread_create(&queues[i].thread, NULL, queue_thread, &queues[i]));
	}
}

static int join_queues(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < QUEUES; i++)
		CHECK(!pthread_join(queues[i].thread, NULL));
	return 0;
}

/* ---- Images ---- */

static struct blk_node *open_image(unsigned int i, bool replay)
{
	struct blk_rescue rescue = { .fd = rescue_fd, .replay = replay };
	struct blk_open_opts opts = { .format = "qed", .flags = OPEN_FLAGS, .rescue = &rescue };
	struct error err = ERROR_INIT;
	struct blk_node *node;
	char path[PATH_MAX];
	int ret;

	image_path(path, i);
	/* The image stays locked until the dead process's last I/O has completed. */
	while ((ret = blk_co_open(&node, path, &opts, &err)) == -EBUSY) {
		error_free(&err);
		aio_co_sleep(MSEC);
	}
	if (ret) {
		fprintf(stderr, "%s\n", error_text(&err));
		abort();
	}
	CHECK(populate_co_attach(node, i % 2, NULL) == 0);
	return node;
}

static void create_image(unsigned int i, const char *backing)
{
	const struct blk_create_opts opts = {
		.filename = scratch_dir.image,
		.format = "qed",
		.size = BLOCKS * BLOCK,
		/* So that there is nearly always an entry that no commit has written. */
		.cluster_size = BLOCK,
		.backing_file = backing,
		.backing_format = backing ? "qed" : NULL,
		.exclusive = true,
	};
	struct error err = ERROR_INIT;

	image_path(scratch_dir.image, i);
	CHECK(blk_co_create(&opts, &err) == 0);
}

/* Each block is what it is, or may be: then a request was in flight when the process was killed. */
static void compare_all(struct blk_node *node)
{
	static char got[BLOCK] __attribute__((aligned(BLOCK))), want[BLOCK];

	for (uint64_t i = 0; i < BLOCKS; i++) {
		struct block_state *block = &model->blocks[i];

		CHECK(blk_co_pread(node, i * BLOCK, BLOCK, got, 0) == 0);
		fill_block(want, i, block->may_be);
		if (!memcmp(got, want, BLOCK)) {
			block->is = atomic_load(&block->may_be);
			continue;
		}
		fill_block(want, i, block->is);
		if (memcmp(got, want, BLOCK)) {
			fprintf(stderr, "block %" PRIu64 " is not version %u (nor %u), image %u\n",
				i, block->is, block->may_be, model->image);
			abort();
		}
		block->may_be = atomic_load(&block->is);
	}
}

struct pivot {
	struct blk_node *node;
	unsigned int image;
	bool fails;
	unsigned int dies; /* at which step the process is killed; 0: elsewhere */
};

static void die_at(const struct pivot *pivot, unsigned int step)
{
	if (pivot->dies == step)
		raise(SIGKILL);
}

static int co_pivot(void *arg, struct blk_node **node)
{
	struct pivot *pivot = arg;

	CHECK(blk_co_end_writes(*node, NULL) == 0);
	die_at(pivot, 1);
	if (pivot->fails) {
		blk_begin_writes(*node);
		return -EIO;
	}
	populate_co_detach(*node);
	atomic_store(&model->image, pivot->image);
	die_at(pivot, 2);
	blk_begin_rescue(pivot->node);
	die_at(pivot, 3);
	*node = pivot->node;
	return 0;
}

/* @dies: the process is one that is killed. */
static void pivot_once(uint64_t *random, bool dies)
{
	const struct blk_rescue rescue = { .fd = rescue_fd, .later = true };
	const struct blk_open_opts opts = { .format = "qed",
					    .flags = OPEN_FLAGS,
					    .rescue = &rescue };
	struct blk_node *old = target.node;
	struct pivot pivot = { .fails = next_random(random) % 4 == 0 };
	char path[PATH_MAX];

	if (dies)
		pivot.dies = next_random(random) % 32;
	pivot.image = atomic_fetch_add(&model->images, 1);
	image_path(path, atomic_load(&model->image));
	create_image(pivot.image, path);
	CHECK(blk_co_open_over(&pivot.node, scratch_dir.image, &opts, old, NULL) == 0);
	CHECK(populate_co_attach(pivot.node, pivot.image % 2, NULL) == 0);
	populate_co_pause(old);
	CHECK(ublk_node_target_co_exchange(&target, 60000 * MSEC, co_pivot, &pivot, NULL) ==
	      (pivot.fails ? -EIO : 0));
	if (pivot.fails) {
		populate_co_resume(old);
		blk_co_close_over(pivot.node);
		atomic_fetch_add(&model->failed, 1);
	} else {
		blk_co_settle_backing(old);
	}
}

/* ---- One process ---- */

static void serve(void *arg)
{
	unsigned int pivots = *(unsigned int *)arg;
	struct blk_node *node;
	uint64_t random = mix64(atomic_load(&model->version) + 1);
	struct stat st;

	/* A process that was killed early left no rescue area. */
	CHECK(!fstat(rescue_fd, &st));
	node = open_image(atomic_load(&model->image), st.st_size);
	compare_all(node);
	ublk_node_target_init(&target, node);
	start_queues();
	for (unsigned int i = 0; i < pivots && atomic_load(&model->images) < MAX_IMAGES; i++) {
		aio_co_sleep(next_random(&random) % (8 * MSEC));
		pivot_once(&random, pivots == UINT32_MAX);
	}
	/* One that is to be killed writes until then. */
	while (pivots == UINT32_MAX)
		aio_co_sleep(10 * MSEC);
	atomic_store(&stop, true);
	CHECK(aio_co_call(join_queues, NULL) == 0);
	compare_all(target.node);
	CHECK(blk_co_close(target.node) == 0);
}

/*
 * Run @fn in a process, which is killed after @answers, or with 0 ends. This process has no loop
 * and no thread, which would be missing in the others.
 */
static void run_process(unsigned int answers, co_fn *fn, void *arg)
{
	pid_t pid;
	int status;

	atomic_store(&model->answers, answers);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_co(64, fn, arg);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(answers ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL :
			WIFEXITED(status) && !WEXITSTATUS(status));
}

static void co_check_all(void *arg)
{
	bool leaks = *(bool *)arg;

	for (unsigned int i = 0; i < model->images; i++) {
		struct blk_open_opts opts = { .format = "qed",
					      .flags = BLK_O_CHECK | BLK_O_NO_BACKING };
		struct blk_check_result result;
		struct blk_info info;
		struct blk_node *node;
		char path[PATH_MAX];

		image_path(path, i);
		/* A process may have been killed before it was complete. */
		if (blk_co_open(&node, path, &opts, NULL)) {
			CHECK(leaks && i != model->image);
			continue;
		}
		CHECK(blk_co_check(node, 0, NULL, NULL, &result, NULL) == 0);
		CHECK(!result.corruptions && !result.check_errors);
		/* In a file that is read no cluster moves, so unused ones may be left. */
		if (result.leaks && !leaks) {
			CHECK(i != model->image && blk_co_info(node, &info) == 0);
			CHECK(info.autoclear_features & QED_AUTOCLEAR_LEAKS);
		}
		CHECK(blk_co_close(node) == 0);
	}
}

static void co_create_first(void *arg)
{
	(void)arg;
	create_image(0, NULL);
	atomic_store(&model->images, 1);
}

static int setup(void **state)
{
	(void)state;
	scratch_make(&scratch_dir);
	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	CHECK(model != MAP_FAILED);
	rescue_fd = memfd_create("rescue", MFD_CLOEXEC);
	CHECK(rescue_fd >= 0);
	run_process(0, co_create_first, NULL);
	return 0;
}

static int teardown(void **state)
{
	char path[PATH_MAX];

	(void)state;
	for (unsigned int i = 0; i < MAX_IMAGES; i++) {
		image_path(path, i);
		(void)unlink(path);
	}
	munmap(model, sizeof(*model));
	close(rescue_fd);
	scratch_remove(&scratch_dir);
	return 0;
}

static void test_pivots(void **state)
{
	unsigned int pivots = PIVOTS;
	bool leaks = false;

	(void)state;
	run_process(0, serve, &pivots);
	run_process(0, co_check_all, &leaks);
	assert_int_equal(model->images, PIVOTS + 1);
}

static void test_killed(void **state)
{
	uint64_t random = mix64((uint64_t)getpid());
	unsigned int all = UINT32_MAX, one = 1;
	bool leaks = true;

	(void)state;
	for (unsigned int i = 0; i < ROUNDS; i++)
		run_process(1 + next_random(&random) % ANSWERS, serve, &all);
	printf("# %u images, %u pivots failed\n", model->images, model->failed);
	run_process(0, serve, &one);
	run_process(0, co_check_all, &leaks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pivots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
	};

	return cmocka_run_group_tests_name("block_overlay", tests, NULL, NULL);
}
