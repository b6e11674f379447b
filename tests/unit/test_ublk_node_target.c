// SPDX-License-Identifier: GPL-2.0
/*
 * Requests from the kernel, served by a node: which go directly to the file, which through a
 * coroutine, with what flags, and what result the kernel receives.
 */
#include "test_block_fake.h"

#include "ublk/node_target.h"
#include "ublk/uapi.h"

#define SIZE  (1 * MiB)
#define BYTES (64 * KiB)

/* ---- A stand-in for a queue ---- */

static struct {
	struct ublk_node_target target;
	struct ublk_gate_queue queue;
	struct ublk_request req;
	struct co *waiter;
	int result;
	unsigned int completed;
} s;

void ublk_request_complete(struct ublk_request *req, int result)
{
	CHECK(req == &s.req);
	s.result = result;
	s.completed++;
	if (s.waiter)
		co_wake(s.waiter);
}

/* Serve one request and return the result that the kernel would receive. */
static int co_serve_one(unsigned int op, uint32_t flags, uint64_t offset, uint32_t bytes)
{
	s.req.op = op;
	s.req.flags = flags;
	s.req.offset = offset;
	s.req.bytes = bytes;
	s.req.target = &s.target.target;
	s.completed = 0;
	s.waiter = NULL;
	s.target.target.submit(&s.req);
	if (!s.completed) {
		s.waiter = co_self();
		co_park();
	}
	CHECK(s.completed == 1);
	CHECK(inflight_passed(&s.target.node->inflight, inflight_ticket(&s.target.node->inflight)));
	return s.result;
}

static uint64_t direct_ops(void)
{
	return stat_of(s.target.node, BLK_STAT_direct_ops);
}

static void *request_buffer(void)
{
	return s.req.buf;
}

static bool buffer_is(unsigned char byte, size_t len)
{
	const unsigned char *p = request_buffer();

	for (size_t i = 0; i < len; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void use(struct blk_node *node)
{
	ublk_node_target_init(&s.target, node);
	ublk_gate_join(&s.target.gate, &s.queue);
	s.req.gate = &s.queue;
}

/* Fill the buffer with clusters: '.' zero, 'd' data in its last byte, 'h' all data. */
static void fill_clusters(const char *text)
{
	char *p = request_buffer();

	for (; *text; text++, p += BYTES) {
		memset(p, *text == 'h' ? 'h' : 0, BYTES);
		if (*text == 'd')
			p[BYTES - 1] = 'd';
	}
}

/* ---- raw: all requests can go directly to the file ---- */

static void co_raw(void *arg)
{
	unsigned int flags = *(unsigned int *)arg;
	struct blk_node *node = must_open("raw", "raw", BLK_O_RDWR | flags);
	uint64_t before;

	use(node);
	memset(request_buffer(), 'w', BYTES);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 64 * KiB, BYTES) == 0);
	CHECK(direct_ops() == 1 && stat_of(node, BLK_STAT_write_bytes) == BYTES);
	memset(request_buffer(), 'x', BYTES);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 64 * KiB, BYTES) == 0);
	CHECK(buffer_is('w', BYTES));
	CHECK(direct_ops() == 2 && stat_of(node, BLK_STAT_read_ops) == 1);

	/* A durable write goes through the block layer, which flushes. */
	before = direct_ops();
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, UBLK_IO_F_FUA, 0, BYTES) == 0);
	CHECK(direct_ops() == before && stat_of(node, BLK_STAT_write_ops) == 2);
	CHECK(co_serve_one(UBLK_IO_OP_FLUSH, 0, 0, 0) == 0);
	CHECK(stat_of(node, BLK_STAT_flush_ops) == 1);

	CHECK(co_serve_one(UBLK_IO_OP_WRITE_ZEROES, UBLK_IO_F_NOUNMAP, 64 * KiB, 512) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_DISCARD, 0, 128 * KiB, BYTES) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 64 * KiB, BYTES) == 0);
	CHECK(!memcmp((char *)request_buffer() + 512, "www", 3) && buffer_is(0, 512));
	CHECK(co_serve_one(UBLK_IO_OP_WRITE_SAME, 0, 0, 512) == -EOPNOTSUPP);
	CHECK(stat_of(node, BLK_STAT_errors) == 0);
	CHECK(blk_co_close(node) == 0);
}

static void test_raw(void **state)
{
	unsigned int buffered = 0, direct = BLK_O_DIRECT;

	(void)state;
	make_file(scratch("raw"), "x", 1, SIZE);
	run_co(32, co_raw, &buffered);
	run_co(32, co_raw, &direct);
}

/* Another process has truncated the file: the missing part reads as zeroes, never as old memory. */
static void co_cut_short(void *arg)
{
	struct blk_node *node = must_open("short", "raw", 0);

	(void)arg;
	use(node);
	CHECK(truncate(scratch("short"), 10000) == 0);
	memset(request_buffer(), 'o', BYTES);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 0, BYTES) == 0);
	CHECK(buffer_is('s', 10000));
	CHECK(buffer_is_zero((char *)request_buffer() + 10000, BYTES - 10000));
	CHECK(direct_ops() == 0);
	CHECK(blk_co_close(node) == 0);
}

static void test_cut_short(void **state)
{
	static char data[SIZE];

	(void)state;
	memset(data, 's', sizeof(data));
	make_file(scratch("short"), data, SIZE, SIZE);
	run_co(32, co_cut_short, NULL);
}

/* ---- A format without direct access, with failures ---- */

static struct fake_image fake = { .name = "fake", .size = SIZE, .cluster_size = 64 * KiB };

static void co_asked(void *arg)
{
	struct blk_node *node = must_open("fake", "fake", BLK_O_RDWR);

	(void)arg;
	use(node);
	memset(request_buffer(), 'o', BYTES);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 0, BYTES) == 0);
	CHECK(buffer_is(0, BYTES) && direct_ops() == 1 && fake.reads == 0);

	memset(request_buffer(), 'w', BYTES);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 64 * KiB, BYTES) == 0);
	CHECK(fake.writes == 1 && direct_ops() == 1 && fake.flushes == 0);
	/* Half zero, half data: not a single run, so a coroutine serves it. */
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 32 * KiB, BYTES) == 0);
	CHECK(fake.reads >= 1 && buffer_is(0, 32 * KiB));
	CHECK(!memcmp((char *)request_buffer() + 32 * KiB, "www", 3));

	CHECK(co_serve_one(UBLK_IO_OP_WRITE, UBLK_IO_F_FUA, 0, BYTES) == 0);
	CHECK(fake.flushes == 1 || fake.last_flags & BLK_REQ_FUA);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE_ZEROES, UBLK_IO_F_NOUNMAP, 0, BYTES) == 0);
	CHECK(fake.zeroes == 1 && !(fake.last_flags & BLK_REQ_MAY_UNMAP));
	CHECK(co_serve_one(UBLK_IO_OP_WRITE_ZEROES, 0, 0, BYTES) == 0);
	CHECK(fake.zeroes == 2 && fake.last_flags & BLK_REQ_MAY_UNMAP);
	CHECK(co_serve_one(UBLK_IO_OP_DISCARD, 0, 0, BYTES) == 0);
	CHECK(fake.discards == 1);
	CHECK(blk_co_close(node) == 0);
}

static void co_failing(void *arg)
{
	static const struct {
		int error, kernel; /* errno of the image, and for the kernel */
	} errors[] = {
		{ ENOSPC, ENOSPC },	 { EDQUOT, ENOSPC },	   { EFBIG, ENOSPC },
		{ ENOTSUP, EOPNOTSUPP }, { ETIMEDOUT, ETIMEDOUT }, { EINVAL, EIO },
		{ ENOMEM, EIO },	 { EAGAIN, EIO },	   { 0, 0 },
	};
	struct blk_node *node = must_open("fake", "fake", BLK_O_RDWR);

	(void)arg;
	use(node);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fake.fail_write = errors[i].error;
		CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == -errors[i].kernel);
	}
	fake.fail_read = EBADF;
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 0, BYTES) == -EIO);
	fake.fail_flush = ENOSPC;
	CHECK(co_serve_one(UBLK_IO_OP_FLUSH, 0, 0, 0) == -ENOSPC);
	/* The kernel never accesses beyond the end; if it did, it would get an error. */
	CHECK(co_serve_one(UBLK_IO_OP_DISCARD, 0, SIZE, 512) == -EIO);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, SIZE - 512, 1024) == -EIO);
	blk_co_close(node);
}

static void test_asked(void **state)
{
	(void)state;
	fake_add(&fake);
	run_co(32, co_asked, NULL);
	fake.slow = true;
	run_co(32, co_failing, NULL);
	fake_clear();
}

/* ---- A full file system ---- */

/* After this time there is room again, or the wait is called off. */
static void co_later(void *arg)
{
	int *wait_s = arg;

	aio_co_sleep(300 * 1000000ULL);
	CHECK(atomic_load(&s.target.full.waiting) == 1 && !s.completed);
	CHECK(atomic_load(&s.target.full.since) > time(NULL) - 3);
	if (wait_s)
		atomic_store(&s.target.full.wait_s, *wait_s);
	else
		fake.fail_write = fake.fail_flush = 0;
}

static int co_serve_full(unsigned int op, uint32_t flags, int *wait_s)
{
	int ret;

	CHECK(co_start(co_later, wait_s) == 0);
	ret = co_serve_one(op, flags, 0, op == UBLK_IO_OP_FLUSH ? 0 : BYTES);
	CHECK(atomic_load(&s.target.full.waiting) == 0);
	return ret;
}

static void co_full(void *arg)
{
	struct blk_node *node = must_open("fake", "fake", BLK_O_RDWR);
	uint64_t begin;
	int at_once = 0;

	(void)arg;
	use(node);
	atomic_store(&s.target.full.wait_s, 60);
	memset(request_buffer(), 'f', BYTES);
	fake.fail_write = ENOSPC;
	CHECK(co_serve_full(UBLK_IO_OP_WRITE, 0, NULL) == 0);
	fake.fail_write = EDQUOT;
	CHECK(co_serve_full(UBLK_IO_OP_WRITE, UBLK_IO_F_FUA, NULL) == 0);
	fake.fail_flush = ENOSPC;
	CHECK(co_serve_full(UBLK_IO_OP_FLUSH, 0, NULL) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 0, BYTES) == 0 && buffer_is('f', BYTES));
	/* Runs of zeroes and data are retried from the first one. */
	atomic_store(&s.target.detect_zeroes, DETECT_ZEROES_ON);
	fill_clusters(".h");
	fake.fail_write = ENOSPC;
	CHECK(co_start(co_later, NULL) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, 2 * BYTES) == 0);
	atomic_store(&s.target.detect_zeroes, DETECT_ZEROES_OFF);
	CHECK(stat_of(node, BLK_STAT_errors) == 0);

	/* Another error, also of a later try, is none to wait for. */
	fake.fail_write = EIO;
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == -EIO);
	fake.fail_write = ENOSPC;
	CHECK(co_serve_full(UBLK_IO_OP_WRITE, 0, &at_once) == -ENOSPC);
	atomic_store(&s.target.full.wait_s, 1);
	begin = aio_now();
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == -ENOSPC);
	CHECK(aio_now() - begin >= 1000000000ULL);
	CHECK(atomic_load(&s.target.full.waiting) == 0);
	fake.fail_write = 0;
	/* Room does not bring back what a flush has lost. */
	blk_file_set_lost(node->file, ENOSPC);
	atomic_store(&s.target.full.wait_s, 60);
	fake.fail_flush = ENOSPC;
	CHECK(co_serve_one(UBLK_IO_OP_FLUSH, 0, 0, 0) == -EIO);
	fake.fail_flush = 0;
	CHECK(blk_co_close(node) == 0);
}

/* ---- Exchanging the node ---- */

static struct fake_image other = { .name = "other", .size = SIZE, .cluster_size = 64 * KiB };

struct exchange {
	struct blk_node *to;
	int ret; /* of the change */
	bool held; /* no request reached the node meanwhile */
};

static int co_change(void *arg, struct blk_node **node)
{
	struct exchange *exchange = arg;
	unsigned int tries = fake.writes;

	CHECK(*node == s.target.node && !s.completed);
	/* Longer than the pause between two tries. */
	aio_co_sleep(300 * 1000000ULL);
	exchange->held = !s.queue.inside && !s.completed && fake.writes == tries;
	*node = exchange->to;
	return exchange->ret;
}

/* Exchange the node while a request waits for room, and the next try of it comes meanwhile. */
static void co_exchange_later(void *arg)
{
	struct exchange *exchange = arg;

	while (!atomic_load(&s.target.full.waiting))
		aio_co_sleep(1000000ULL);
	CHECK(ublk_node_target_co_exchange(&s.target, UINT64_MAX / 2, co_change, exchange, NULL) ==
	      exchange->ret);
	if (exchange->ret)
		fake.fail_write = 0;
}

static void co_exchange(void *arg)
{
	struct blk_node *a = must_open("fake", "fake", BLK_O_RDWR);
	struct blk_node *b = must_open("other", "fake", BLK_O_RDWR);
	struct exchange fails = { .to = b, .ret = -EIO }, works = { .to = b };

	(void)arg;
	use(a);
	atomic_store(&s.target.full.wait_s, 60);
	memset(request_buffer(), 'e', BYTES);
	fake.fail_write = ENOSPC;
	/* The change fails: the request stays with the old node, which has room by then. */
	CHECK(co_start(co_exchange_later, &fails) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == 0);
	CHECK(s.target.node == a && fails.held && other.writes == 0);
	fake.fail_write = ENOSPC;
	fake.writes = 0;
	CHECK(co_start(co_exchange_later, &works) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == 0);
	CHECK(s.target.node == b && works.held && other.writes == 1);
	CHECK(atomic_load(&s.target.full.waiting) == 0);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 0, BYTES) == 0 && buffer_is('e', BYTES));
	fake.fail_write = 0;
	CHECK(blk_co_close(a) == 0);
	CHECK(blk_co_close(b) == 0);
}

static void test_exchange(void **state)
{
	(void)state;
	fake_add(&fake);
	fake_add(&other);
	for (int slow = 0; slow < 2; slow++) {
		fake.slow = other.slow = slow;
		other.writes = 0;
		run_co(32, co_exchange, NULL);
	}
	fake_clear();
}

/* ---- Zeroes in guests' writes ---- */

/* Return whether writing @text at @offset leads to these writes and zeroes. */
static bool makes(const char *text, uint64_t offset, unsigned int flags, unsigned int writes,
		  unsigned int zeroes)
{
	fake.writes = fake.zeroes = 0;
	fill_clusters(text);
	return co_serve_one(UBLK_IO_OP_WRITE, flags, offset, strlen(text) * BYTES) == 0 &&
	       fake.writes == writes && fake.zeroes == zeroes;
}

static void co_detect(void *arg)
{
	struct blk_node *node = must_open("fake", "fake", BLK_O_RDWR);

	(void)arg;
	use(node);
	/* Off by default. */
	CHECK(makes("....", 0, 0, 1, 0) && stat_of(node, BLK_STAT_scanned_ops) == 0);
	atomic_store(&s.target.detect_zeroes, DETECT_ZEROES_ON);
	CHECK(makes("....", 0, 0, 0, 1) && !(fake.last_flags & BLK_REQ_MAY_UNMAP));
	CHECK(stat_of(node, BLK_STAT_detected_zero_ops) == 1);
	CHECK(stat_of(node, BLK_STAT_detected_zero_bytes) == 4 * BYTES);
	atomic_store(&s.target.detect_zeroes, DETECT_ZEROES_UNMAP);
	CHECK(makes("..", BYTES, 0, 0, 1) && fake.last_flags & BLK_REQ_MAY_UNMAP);
	CHECK(makes(".d..h.", 0, 0, 2, 3));
	memset(request_buffer(), 'x', 6 * BYTES);
	CHECK(co_serve_one(UBLK_IO_OP_READ, 0, 0, 6 * BYTES) == 0);
	CHECK(buffer_is(0, 2 * BYTES - 1));
	CHECK(((char *)request_buffer())[2 * BYTES - 1] == 'd');
	CHECK(((char *)request_buffer())[4 * BYTES] == 'h');
	CHECK(makes("hdh", 0, 0, 1, 0));
	/* Partial clusters are not detected. */
	CHECK(makes("..", 512, 0, 2, 1));
	CHECK(makes(".", 512, 0, 1, 0));
	/* A durable write stays a write. */
	CHECK(makes("..", 0, UBLK_IO_F_FUA, 1, 0));
	/* A failure of a zero run fails the request. */
	fake.fail_write = EIO;
	fill_clusters("h.");
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, 2 * BYTES) == -EIO);
	fake.fail_write = 0;
	CHECK(blk_co_close(node) == 0);
}

static void test_detect(void **state)
{
	(void)state;
	fake.slow = false;
	fake.fail_read = fake.fail_flush = 0;
	fake_add(&fake);
	run_co(32, co_detect, NULL);
	fake_clear();
}

static void test_full(void **state)
{
	(void)state;
	fake_add(&fake);
	for (int slow = 0; slow < 2; slow++) {
		fake.slow = slow;
		run_co(32, co_full, NULL);
	}
	fake_clear();
}

static void test_runs(void **state)
{
	char buf[16 * 1024] = { 0 };
	bool zero;

	(void)state;
	assert_int_equal(zero_run(buf, 0, sizeof(buf), 4096, 1 << 20, &zero), sizeof(buf));
	assert_true(zero);
	/* A partial cluster at the device's end counts as whole; elsewhere it does not. */
	assert_int_equal(zero_run(buf, 4096, 5120, 4096, 9216, &zero), 5120);
	assert_true(zero);
	assert_int_equal(zero_run(buf, 4096, 5120, 4096, 1 << 20, &zero), 4096);
	assert_true(zero);
	assert_int_equal(zero_run(buf, 512, 8192, 4096, 1 << 20, &zero), 3584);
	assert_false(zero);
	buf[8191] = 1;
	assert_int_equal(zero_run(buf, 0, sizeof(buf), 4096, 1 << 20, &zero), 4096);
	assert_true(zero);
	assert_int_equal(zero_run(buf + 4096, 4096, 12288, 4096, 1 << 20, &zero), 4096);
	assert_false(zero);
	assert_int_equal(detect_zeroes_mode("unmap"), DETECT_ZEROES_UNMAP);
	assert_int_equal(detect_zeroes_mode("yes"), DETECT_ZEROES_MODES);
}

/* ---- A file descriptor that fails I/O: errors of direct requests ---- */

static void co_refused(void *arg)
{
	struct blk_node *node = must_open("refused", "raw", BLK_O_RDWR);
	int fd = node->file->fd, closed = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)arg;
	use(node);
	node->file->fd = closed;
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == -EIO);
	CHECK(stat_of(node, BLK_STAT_errors) == 1 && direct_ops() == 1);
	node->file->fd = fd;
	CHECK(co_serve_one(UBLK_IO_OP_WRITE, 0, 0, BYTES) == 0);
	close(closed);
	CHECK(blk_co_close(node) == 0);
}

static void test_refused(void **state)
{
	(void)state;
	make_file(scratch("refused"), "x", 1, SIZE);
	run_co(32, co_refused, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),   cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_asked), cmocka_unit_test(test_detect),
		cmocka_unit_test(test_runs),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_full),  cmocka_unit_test(test_exchange),
	};
	int failed;

	s.req.buf = aligned_alloc(4096, SIZE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(s.req.buf);
	return failed;
}
