// SPDX-License-Identifier: GPL-2.0
/* The null image: its names, and requests to it and above it. */
#include "test_block_common.h"

#include "block/request.h"
#include "util/units.h"

static struct blk_node *open_null(const char *name, const char *format)
{
	struct blk_open_opts opts = { .format = format, .flags = BLK_O_RDWR | BLK_O_DIRECT };
	struct error err = ERROR_INIT;
	struct blk_node *node = NULL;
	int ret = blk_co_open(&node, name, &opts, &err);

	CHECK(!ret || *error_text(&err));
	error_free(&err);
	return node;
}

static void expect_size(const char *name, uint64_t size)
{
	struct blk_node *node = open_null(name, NULL);

	CHECK(node && node->size == size && !node->probed && !strcmp(node->driver->name, "raw"));
	CHECK(blk_co_close(node) == 0);
}

static void co_names(void *arg)
{
	struct blk_node *node;

	(void)arg;
	expect_size("null-co://", GiB);
	expect_size("null-co://16T", 16 * TiB);
	expect_size("null-co://1000", 1024);
	expect_size("null-co://0", 0);
	CHECK(!open_null("null-co://x", NULL));
	CHECK(!open_null("null-co://-1", NULL));
	CHECK(!open_null("null-co://8E", NULL));
	CHECK(!open_null("null-co://", "qed"));
	CHECK(!open_null("null-co:/", NULL));
	CHECK(!open_null(scratch("file"), "null-co"));
	node = open_null("null-co://", "raw");
	CHECK(node && blk_co_close(node) == 0);
	node = open_null("null-co://", "null-co");
	CHECK(node && blk_co_close(node) == 0);
}

static void test_names(void **state)
{
	(void)state;
	make_file(scratch("file"), "x", 1, 4096);
	run_co(32, co_names, NULL);
}

/* ---- Requests ---- */

static unsigned int answered;
static int answer;

static void on_done(struct blk_request *req, int ret)
{
	(void)req;
	answered++;
	answer = ret;
}

/* Submit a request that must complete at once; return its result. */
static int submit(struct blk_node *node, enum blk_op op, uint64_t at, uint64_t bytes, void *buf)
{
	struct blk_request req = {
		.node = node, .op = op, .offset = at, .bytes = bytes, .buf = buf, .done = on_done
	};

	answered = 0;
	blk_request_submit(&req);
	CHECK(answered == 1 && inflight_passed(&node->inflight, inflight_ticket(&node->inflight)));
	return answer;
}

static void co_requests(void *arg)
{
	static char buf[8192];
	struct blk_node *node = open_null("null-co://1M", NULL);

	(void)arg;
	CHECK(node);
	memset(buf, 'b', sizeof(buf));
	CHECK(submit(node, BLK_OP_WRITE, 0, sizeof(buf), buf) == 0);
	CHECK(submit(node, BLK_OP_READ, 512, 4096, buf + 1) == 0);
	/* The buffer is untouched, so a request costs nothing. */
	CHECK(buf[1] == 'b' && !memcmp(buf, buf + 1, sizeof(buf) - 1));
	CHECK(blk_stats_get(&node->stats, BLK_STAT_direct_ops) == 2);
	CHECK(submit(node, BLK_OP_FLUSH, 0, 0, NULL) == 0);
	CHECK(submit(node, BLK_OP_DISCARD, 0, MiB, NULL) == 0);
	CHECK(submit(node, BLK_OP_WRITE_ZEROES, 0, MiB, NULL) == 0);
	CHECK(submit(node, BLK_OP_READ, MiB, 0, buf) == 0);
	CHECK(submit(node, BLK_OP_READ, MiB - 512, 1024, buf) == -EIO);
	CHECK(submit(node, BLK_OP_WRITE, 2 * MiB, 512, buf) == -EIO);
	CHECK(submit(node, BLK_OP_WRITE, UINT64_MAX - 100, 512, buf) == -EIO);
	CHECK(blk_co_close(node) == 0);
}

/* ---- As a backing file: the untouched content of buffers must not be exposed ---- */

static void co_backing(void *arg)
{
	struct blk_create_opts create = { .filename = scratch("top"),
					  .format = "qed",
					  .size = MiB,
					  .backing_file = "null-co://1M" };
	struct blk_open_opts opts = { .flags = BLK_O_RDWR };
	struct error err = ERROR_INIT;
	static char buf[8192];
	struct blk_node *node;

	(void)arg;
	CHECK(blk_co_create(&create, &err) == 0);
	CHECK(blk_co_open(&node, scratch("top"), &opts, &err) == 0);
	memset(buf, 'b', sizeof(buf));
	CHECK(submit(node, BLK_OP_READ, 0, sizeof(buf), buf) == 0);
	CHECK(buffer_is_zero(buf, sizeof(buf)));
	CHECK(blk_co_close(node) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		CO_TEST(co_requests),
		CO_TEST(co_backing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
