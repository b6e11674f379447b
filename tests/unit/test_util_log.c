// SPDX-License-Identifier: GPL-2.0
/* Error lines and log lines: which one is kept, what is printed, how often. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/error.h"
#include "util/log.h"

/* ---- struct error ---- */

static void test_first_error_wins(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "cluster size %d", 3), -EINVAL);
	assert_int_equal(error_set(&err, -EIO, "later"), -EINVAL);
	assert_int_equal(error_set_errno(&err, -EIO, "later"), -EINVAL);
	assert_string_equal(error_text(&err), "cluster size 3");
	error_prefix(&err, "%s", "a.qed");
	assert_string_equal(error_text(&err), "a.qed: cluster size 3");
	error_free(&err);
	assert_int_equal(err.code, 0);
	assert_null(err.text);
}

static void test_errno_text(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_prefix(&err, "nothing is set");
	assert_null(err.text);
	assert_int_equal(error_set_errno(&err, -ENOENT, "golden.img"), -ENOENT);
	assert_string_equal(error_text(&err), "golden.img: No such file or directory");
	error_free(&err);
	/* As after a failure to allocate the line. */
	err.code = -EIO;
	assert_string_equal(error_text(&err), "Input/output error");
	assert_int_equal(error_set(NULL, -EIO, "nobody asks"), -EIO);
}

static void test_detail(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_drop_detail(&err);
	assert_int_equal(error_set_detail(NULL, -EIO, "bad", "%d", 3), -EIO);
	assert_int_equal(error_set_detail(&err, -EINVAL, "size is bad", "%d is odd", 3), -EINVAL);
	assert_int_equal(error_set_detail(&err, -EIO, "later", "%d", 3), -EINVAL);
	error_prefix(&err, "%s", "a.qed");
	assert_string_equal(error_text(&err), "a.qed: size is bad: 3 is odd");
	error_drop_detail(&err);
	error_drop_detail(&err);
	assert_string_equal(error_text(&err), "a.qed: size is bad");
	error_free(&err);
	/* Replaced by a text of a caller. */
	error_set_detail(&err, -EINVAL, "size is bad", "%d is odd", 3);
	strcpy(err.text, "another text here");
	error_drop_detail(&err);
	assert_string_equal(error_text(&err), "another text here");
	error_free(&err);
}

/* ---- log lines ---- */

static int saved_stderr, ends[2];

static void capture_begin(void)
{
	assert_int_equal(pipe(ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

/* Return what was written meanwhile, as a string in @buf. */
static void capture_end(char *buf, size_t size)
{
	ssize_t n;
	size_t len = 0;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	while ((n = read(ends[0], buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	close(ends[0]);
}

static void test_lines(void **state)
{
	char long_text[3000], out[8000];

	(void)state;
	memset(long_text, 'y', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = 0;
	log_init("prog", false, LOG_LEVEL_INFO);
	capture_begin();
	log_error("vm1: %s", "gone");
	log_warning("hot");
	log_info("up");
	log_debug("not shown");
	capture_end(out, sizeof(out));
	assert_string_equal(out, "prog: vm1: gone\nprog: warning: hot\nprog: up\n");

	/* A line that is too long is truncated, and still ends with a newline. */
	capture_begin();
	log_info("%s", long_text);
	capture_end(out, sizeof(out));
	assert_true(strlen(out) > 1000 && strlen(out) < 1100);
	assert_memory_equal(out, "prog: yyy", 9);
	assert_string_equal(out + strlen(out) - 2, "y\n");
}

/* ---- rate limit ---- */

#define THREADS 4

static struct log_ratelimit shared_limit;
static atomic_uint allowed;

static void *log_much(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 20000; i++)
		if (log_allowed(&shared_limit))
			atomic_fetch_add(&allowed, 1);
	return NULL;
}

static void test_rate_limit(void **state)
{
	static struct log_ratelimit limit;
	pthread_t threads[THREADS];
	unsigned int i, n = 0;

	(void)state;
	for (i = 0; i < 1000; i++)
		n += log_allowed(&limit);
	/* Twice as many if a window has just ended. */
	assert_true(n == 10 || n == 20);
	/* As if the window had begun long ago. */
	atomic_fetch_sub(&limit.window_start, 100);
	assert_true(log_allowed(&limit));

	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_much, NULL), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(allowed >= 10 && allowed <= 20 + THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_error_wins), cmocka_unit_test(test_errno_text),
		cmocka_unit_test(test_detail),		 cmocka_unit_test(test_lines),
		cmocka_unit_test(test_rate_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
