// SPDX-License-Identifier: GPL-2.0
/*
 * Live commits: a base that another process uses, control, a disk that is full, the order of what
 * becomes durable, and what stays where it is when the base's writer is closed.
 *
 * threads: yes
 */
#include "test_live_commit.h"

#define PATIENCE (60000 * MSEC)

/* ---- A base that others use, control, a disk that is full ---- */

static struct chain *new_chain(void)
{
	struct chain *c = calloc(1, sizeof(*c));

	CHECK(c);
	c->random = c->seed = 1;
	make_chain(c, 4, false);
	open_node(c, BLK_O_RDWR);
	return c;
}

/* Is another process able to open image @index of the chain like this? */
static int try_open(const struct chain *c, unsigned int index, unsigned int flags)
{
	struct blk_open_opts opts = { .format = "qed", .flags = flags | BLK_O_NO_BACKING };
	struct blk_node *node;
	int ret = blk_co_open(&node, c->paths[index], &opts, NULL);

	if (!ret)
		CHECK(blk_co_close(node) == 0);
	return ret;
}

static void used_base(void *arg)
{
	struct chain *c = new_chain();
	struct blk_open_opts other = { .format = "qed" };
	struct live_commit_opts opts = { .top = image_at(c, 1), .base = image_at(c, 3) };
	struct error err = ERROR_INIT;
	struct live_commit *commit;
	struct blk_node *reader;

	(void)arg;
	CHECK(blk_co_open(&reader, c->paths[0], &other, NULL) == 0);
	CHECK(live_commit_co_start(&commit, c->node, &opts, &err) == -EBUSY);
	CHECK(strstr(error_text(&err), c->paths[0]));
	error_free(&err);
	compare_all(c, "after a refusal");
	CHECK(blk_co_close(reader) == 0);
	/* It is again as it was: open to readers, and to no writer. */
	CHECK(try_open(c, 0, 0) == 0);
	CHECK(try_open(c, 0, BLK_O_RDWR) == -EBUSY);
	commit = start_commit(c, 1, 3, 0);
	CHECK(try_open(c, 0, 0) == -EBUSY);
	end_commit(commit, JOB_DONE);
	CHECK(try_open(c, 0, 0) == 0);
	CHECK(try_open(c, 0, BLK_O_RDWR) == -EBUSY);
	CHECK(try_open(c, 1, BLK_O_RDWR) == 0);
	end_chain(c, 2);
	free(c);
}

static void wait_for_state(struct live_commit *commit, enum job_state state)
{
	struct live_commit_status status;
	uint64_t end = aio_now() + PATIENCE;

	while (live_commit_get_status(commit, &status), status.state != state) {
		CHECK(aio_now() < end);
		aio_co_sleep(MSEC);
	}
}

static void control(void *arg)
{
	struct chain *c = new_chain();
	struct live_commit *commit = start_commit(c, 2, 3, 1);

	(void)arg;
	job_pause(&commit->job);
	wait_for_state(commit, JOB_PAUSED);
	compare_all(c, "while it is paused");
	job_cancel(&commit->job);
	end_commit(commit, JOB_CANCELLED);
	CHECK(chain_length(c->node) == 4);
	compare_all(c, "when it is cancelled");
	/* In the middle of the chain: the image above is written to, too. */
	end_commit(start_commit(c, 2, 3, 0), JOB_DONE);
	CHECK(chain_length(c->node) == 3);
	compare_all(c, "when it is done");
	CHECK(try_open(c, 2, BLK_O_RDWR) == -EBUSY);
	end_chain(c, 3);
	free(c);
}

static _Atomic bool full;

static ssize_t full_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			    uint64_t offset)
{
	return full ? -ENOSPC : blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

/* It waits, however often it has tried, and goes on by itself when there is room. */
static void no_room(void *arg)
{
	struct chain *c = new_chain();
	struct live_commit_opts opts = {
		.top = image_at(c, 1), .base = image_at(c, 3), .back_off = MSEC / 10, .paused = true
	};
	struct blk_file_ops ops = blk_file_kernel_ops;
	struct live_commit_status status;
	struct live_commit *commit;
	uint64_t end;

	(void)arg;
	ops.co_pwritev = full_pwritev;
	CHECK(live_commit_co_start(&commit, c->node, &opts, NULL) == 0);
	image_at(c, 3)->file->ops = &ops;
	full = true;
	job_resume(&commit->job);
	end = aio_now() + PATIENCE;
	/* Other errors would make it pause after ten. */
	while (live_commit_get_status(commit, &status),
	       status.errors < 30 || status.state != JOB_WAITING || !job_full_since(&commit->job)) {
		CHECK(aio_now() < end);
		aio_co_sleep(MSEC);
	}
	compare_all(c, "on a full disk");
	full = false;
	end_commit(commit, JOB_DONE);
	compare_all(c, "when there is room");
	end_chain(c, 2);
	free(c);
}

/* ---- Order, and what stays where it is ---- */

static _Atomic bool base_dirty;
static _Atomic unsigned int headers; /* written to the image above */

static ssize_t base_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			    uint64_t offset)
{
	base_dirty = true;
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int base_flush(struct blk_file *file)
{
	base_dirty = false;
	return blk_file_kernel_ops.co_flush(file);
}

static ssize_t above_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	if (!offset) {
		headers++;
		CHECK(!base_dirty);
	}
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

/* The image above names the base when all that it needs of it is durable. */
static void base_is_durable_first(void *arg)
{
	static struct blk_file_ops base_ops, above_ops;
	struct chain *c = new_chain();
	struct live_commit_opts opts = { .top = image_at(c, 1),
					 .base = image_at(c, 3),
					 .paused = true };
	struct live_commit *commit;

	(void)arg;
	base_ops = above_ops = blk_file_kernel_ops;
	base_ops.co_pwritev = base_pwritev;
	base_ops.co_flush = base_flush;
	above_ops.co_pwritev = above_pwritev;
	CHECK(live_commit_co_start(&commit, c->node, &opts, NULL) == 0);
	image_at(c, 3)->file->ops = &base_ops;
	c->node->file->ops = &above_ops;
	job_resume(&commit->job);
	end_commit(commit, JOB_DONE);
	CHECK(headers);
	c->node->file->ops = &blk_file_kernel_ops;
	compare_all(c, "when it is done");
	end_chain(c, 2);
	free(c);
}

struct reader {
	struct chain *c;
	struct group *group;
};

static void reader_main(void *arg)
{
	struct reader *r = arg;

	/* Without a pause: a request is in flight whenever the node is exchanged. */
	while (!r->c->stop)
		compare_all(r->c, "while it ends");
	group_done(r->group);
}

/* A cluster that a reader has looked up stays where it is when the base's writer is closed. */
static void clusters_stay(void *arg)
{
	struct chain *c = calloc(1, sizeof(*c));
	struct group group = { .left = 1 };
	struct reader reader = { .c = c, .group = &group };
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR };
	struct live_commit *commit;
	struct blk_node *node;

	(void)arg;
	CHECK(c);
	c->random = c->seed = 1;
	scratch_make(&c->scratch);
	for (unsigned int i = 0; i < 3; i++)
		add_image(c, BLOCKS, false);
	/* Of the base's clusters the upper half is data, and the lower half becomes free. */
	CHECK(blk_co_open(&node, c->paths[0], &opts, NULL) == 0);
	for (uint64_t block = 0; block < BLOCKS; block++)
		write_block(c, node, block, ++c->version);
	CHECK(blk_co_close(node) == 0);
	CHECK(blk_co_open(&node, c->paths[1], &opts, NULL) == 0);
	CHECK(blk_co_make_empty(node, NULL) == 0);
	CHECK(blk_co_pwrite_zeroes(node, 0, BLOCKS * BLOCK / 2, BLK_REQ_MAY_UNMAP) == 0);
	for (uint64_t block = 0; block < BLOCKS / 2; block++)
		c->model[block] = 0;
	CHECK(blk_co_close(node) == 0);
	CHECK(blk_co_open(&node, c->paths[2], &opts, NULL) == 0);
	CHECK(blk_co_make_empty(node, NULL) == 0);
	CHECK(blk_co_close(node) == 0);
	open_node(c, BLK_O_RDWR);
	commit = start_commit(c, 1, 2, 0);
	job_co_wait_end(&commit->job);
	CHECK(co_start(reader_main, &reader) == 0);
	end_commit(commit, JOB_DONE);
	compare_all(c, "after the end");
	c->stop = true;
	group_wait(&group);
	end_chain(c, 2);
	free(c);
}

/* What cannot be committed is refused before anything changes. */
static void refused(void *arg)
{
	struct chain *c = new_chain();
	struct live_commit_opts opts = { .top = image_at(c, 2), .base = image_at(c, 1) };
	struct live_commit *commit;

	(void)arg;
	CHECK(live_commit_co_start(&commit, c->node, &opts, NULL) == -EINVAL);
	opts.base = opts.top;
	CHECK(live_commit_co_start(&commit, c->node, &opts, NULL) == -EINVAL);
	opts.top = c->node;
	CHECK(live_commit_co_start(&commit, c->node, &opts, NULL) == -EINVAL);
	CHECK(chain_length(c->node) == 4);
	compare_all(c, "after refusals");
	end_chain(c, 4);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(used_base),	CO_TEST(control),
		CO_TEST(no_room),	CO_TEST(base_is_durable_first),
		CO_TEST(clusters_stay), CO_TEST(refused),
	};

	return cmocka_run_group_tests_name("job_live_commit_order", tests, NULL, NULL);
}
