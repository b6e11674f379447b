// SPDX-License-Identifier: GPL-2.0
/* Recording traces: ranges in the order of their first read, and a file that cannot be written. */
#include <signal.h>
#include <sys/resource.h>

#include "populate/trace.h"
#include "test_block_overlay.h"

/* Limit the size of files of this process to @bytes. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = min_u64(bytes, limit.rlim_max);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void expect_ranges(const char *path, const struct trace_range *want, size_t n)
{
	struct trace_range *ranges;
	size_t nr;

	CHECK(trace_read(path, &ranges, &nr, NULL) == 0);
	CHECK(nr == n && !memcmp(ranges, want, n * sizeof(*want)));
	free(ranges);
}

static void in_order(void *arg)
{
	static const struct trace_range want[] = { { 5 * CLUSTER, 2 * CLUSTER }, { 0, CLUSTER } };
	struct blk_node *node = open_over(8 * CLUSTER, 8 * CLUSTER, CLUSTER, 0);
	const char *path = scratch("in-order");
	uint64_t lost = 1;

	(void)arg;
	CHECK(trace_co_start(node, path, NULL) == 0);
	CHECK(trace_co_start(node, path, NULL) == -EBUSY);
	check_read(node, 5 * CLUSTER + 1, 1, 0);
	CHECK(trace_co_write(node, NULL) == 0);
	/* A run may continue after it was written out; ranges read before are omitted. */
	check_read(node, 5 * CLUSTER, 2 * CLUSTER, 0);
	check_read(node, 0, CLUSTER, 0);
	CHECK(trace_co_stop(node, &lost, NULL) == 0 && lost == 0);
	expect_ranges(path, want, ARRAY_SIZE(want));
	CHECK(trace_co_stop(node, &lost, NULL) == -ENOENT);
	close_over(node);
}

/* The disk is full for a while: stopping the trace reports it, even if writes succeed again. */
static void first_error_is_kept(void *arg)
{
	struct blk_node *node = open_over(8 * CLUSTER, 8 * CLUSTER, CLUSTER, 0);
	struct error err = ERROR_INIT;
	uint64_t lost;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	CHECK(trace_co_start(node, scratch("full"), NULL) == 0);
	check_read(node, 0, CLUSTER, 0);
	limit_files(1);
	CHECK(trace_co_write(node, NULL) == -EFBIG);
	limit_files(RLIM_INFINITY);
	check_read(node, 4 * CLUSTER, CLUSTER, 0);
	CHECK(trace_co_write(node, NULL) == 0);
	CHECK(trace_co_stop(node, &lost, &err) == -EFBIG);
	CHECK(strstr(error_text(&err), "/full: File too large"));
	error_free(&err);
	close_over(node);
}

/* A FIFO without a writer: opening it does not block the main loop. */
static void fifo(void *arg)
{
	struct error err = ERROR_INIT;
	struct trace_range *ranges;
	size_t nr;

	(void)arg;
	CHECK(!mkfifo(scratch("fifo"), 0600));
	alarm(10);
	CHECK(trace_read(scratch("fifo"), &ranges, &nr, &err) == -EINVAL);
	alarm(0);
	CHECK(strstr(error_text(&err), "/fifo: not a regular file"));
	error_free(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(in_order),
		CO_TEST(first_error_is_kept),
		CO_TEST(fifo),
	};

	return cmocka_run_group_tests_name("block_trace", tests, NULL, NULL);
}
