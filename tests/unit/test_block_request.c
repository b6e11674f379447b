// SPDX-License-Identifier: GPL-2.0
/*
 * Requests with a callback to an image in memory: short ones are copied at once, long
 * ones and those beyond a truncated file are not. (test_ublk_node_target.c has those
 * to files on disk.)
 */
#include "test_block_common.h"

#include "block/request.h"
#include "util/units.h"

#define BYTES (4 * MiB)

static char path[64];
static char buf[1 * MiB] __attribute__((aligned(4096)));

static struct {
	struct blk_request req;
	struct co *waiter;
	unsigned int answered;
	int ret;
} s;

static void on_done(struct blk_request *req, int ret)
{
	CHECK(req == &s.req);
	s.answered++;
	s.ret = ret;
	if (s.waiter)
		co_wake(s.waiter);
}

/* *Submit a request. Sets *@at_once if it completed before the submission returned. */
static int co_submit(struct blk_node *node, enum blk_op op, uint64_t at, uint64_t bytes,
		     bool *at_once)
{
	s.req = (struct blk_request){
		.node = node, .op = op, .offset = at, .bytes = bytes, .buf = buf, .done = on_done
	};
	s.answered = 0;
	s.waiter = NULL;
	blk_request_submit(&s.req);
	*at_once = s.answered;
	if (!s.answered) {
		s.waiter = co_self();
		co_park();
	}
	CHECK(s.answered == 1 &&
	      inflight_passed(&node->inflight, inflight_ticket(&node->inflight)));
	return s.ret;
}

static bool buf_is(int byte, size_t len)
{
	return buf[0] == byte && !memcmp(buf, buf + 1, len - 1);
}

static struct blk_node *co_open(unsigned int flags)
{
	struct blk_open_opts opts = { .format = "raw", .flags = flags };
	struct error err = ERROR_INIT;
	struct blk_node *node;

	CHECK(blk_co_open(&node, path, &opts, &err) == 0);
	return node;
}

static void co_copies(void *arg)
{
	struct blk_node *node = co_open(BLK_O_RDWR | *(unsigned int *)arg);
	bool at_once;

	CHECK(node->file->in_memory);
	memset(buf, 'w', sizeof(buf));
	CHECK(co_submit(node, BLK_OP_WRITE, MiB, 4096, &at_once) == 0 && at_once);
	memset(buf, 'x', sizeof(buf));
	CHECK(co_submit(node, BLK_OP_READ, MiB, 4096, &at_once) == 0 && at_once);
	CHECK(buf_is('w', 4096) && buf[4096] == 'x');
	/* A long request does not run on this thread. */
	CHECK(co_submit(node, BLK_OP_WRITE, 2 * MiB, MiB, &at_once) == 0 && !at_once);
	CHECK(co_submit(node, BLK_OP_READ, MiB, MiB, &at_once) == 0 && !at_once);
	CHECK(buf_is('w', 4096) && buffer_is_zero(buf + 4096, MiB - 4096));
	CHECK(blk_stats_get(&node->stats, BLK_STAT_direct_ops) == 4);
	CHECK(blk_stats_get(&node->stats, BLK_STAT_read_bytes) == MiB + 4096);
	CHECK(blk_co_close(node) == 0);
}

/*
 * The file was truncated by another process: reads return zeroes, never the old
 * content of the buffer.
 */
static void co_cut(void *arg)
{
	struct blk_node *node = co_open(0);
	bool at_once;

	(void)arg;
	CHECK(truncate(path, 3 * MiB + 1000) == 0);
	memset(buf, 'x', sizeof(buf));
	CHECK(co_submit(node, BLK_OP_READ, 3 * MiB, 4096, &at_once) == 0);
	CHECK(buffer_is_zero(buf, 4096));
	CHECK(blk_stats_get(&node->stats, BLK_STAT_direct_ops) == 0);
	CHECK(blk_co_close(node) == 0);
}

static void co_refused(void *arg)
{
	struct blk_node *node = co_open(BLK_O_RDWR);
	int fd = node->file->fd, closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool at_once;

	(void)arg;
	node->file->fd = closed;
	CHECK(co_submit(node, BLK_OP_WRITE, 0, 4096, &at_once) == -EBADF);
	CHECK(blk_stats_get(&node->stats, BLK_STAT_errors) == 1);
	node->file->fd = fd;
	close(closed);
	CHECK(blk_co_close(node) == 0);
}

static void test_in_memory(void **state)
{
	unsigned int buffered = 0, direct = BLK_O_DIRECT;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/dev/shm/qedblk-request-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		skip();
	CHECK(ftruncate(fd, BYTES) == 0);
	run_co(32, co_copies, &buffered);
	run_co(32, co_copies, &direct);
	run_co(32, co_refused, NULL);
	run_co(32, co_cut, NULL);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
