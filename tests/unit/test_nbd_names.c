// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of the NBD client that do no I/O: names of exports, and the runs of
 * data and zeroes that a server tells of.
 */
#include "test_aio_common.h"

#include "format/nbd/runs.h"
#include "format/nbd/uri.h"

/* ---- names ---- */

static void expect_uri(const char *name, const char *text, uint32_t delay, uint32_t timeout)
{
	struct error err = ERROR_INIT;
	struct nbd_uri uri;

	assert_int_equal(nbd_uri_parse(&uri, name, &err), 0);
	assert_string_equal(uri.text, text);
	assert_int_equal(uri.reconnect_delay, delay);
	assert_int_equal(uri.reply_timeout, timeout);
	nbd_uri_free(&uri);
}

static void expect_bad(const char *name)
{
	struct error err = ERROR_INIT;
	struct nbd_uri uri;

	assert_int_equal(nbd_uri_parse(&uri, name, &err), -EINVAL);
	assert_non_null(err.text);
	assert_null(strchr(err.text, '\n'));
	error_free(&err);
}

static void test_uris(void **state)
{
	(void)state;
	expect_uri("nbd://host", "nbd://host", 30, 30);
	expect_uri("nbd://host:1/a%20b", "nbd://host:1/a%20b", 30, 30);
	expect_uri("nbd+unix:///x?socket=/s", "nbd+unix:///x?socket=/s", 30, 30);
	expect_uri("nbd+unix:///?socket=/s&reconnect-delay=5", "nbd+unix:///?socket=/s", 5, 30);
	expect_uri("nbds://h/?reply-timeout=7&tls-psk-file=k&reconnect-delay=0",
		   "nbds://h/?tls-psk-file=k", 0, 7);
	expect_uri("nbd://h/?reconnect-delay=86400", "nbd://h/", 86400, 30);
	expect_uri("nbd://h/?&&a=1&", "nbd://h/?a=1", 30, 30);
	expect_bad("nbd://h/?reconnect-delay=");
	expect_bad("nbd://h/?reconnect-delay=-1");
	expect_bad("nbd://h/?reconnect-delay=1s");
	expect_bad("nbd://h/?reconnect-delay=86401");
	expect_bad("nbd://h/?reconnect-delay=99999999999999999999");
	expect_bad("nbd://h/?reply-timeout=0");
}

static void test_old_names(void **state)
{
	(void)state;
	expect_uri("nbd:host:10809", "nbd://host:10809/", 30, 30);
	expect_uri("nbd:host:10809:exportname=a b/c", "nbd://host:10809/a%20b/c", 30, 30);
	expect_uri("nbd:unix:/run/s", "nbd+unix:///?socket=/run/s", 30, 30);
	expect_uri("nbd:unix:/a&b:exportname=x?", "nbd+unix:///x%3F?socket=/a%26b", 30, 30);
	expect_bad("nbd:");
	expect_bad("nbd:host");
	expect_bad("nbd:host:");
	expect_bad("nbd::1");
	expect_bad("nbd:unix:");
	expect_bad("nbd:unix::exportname=x");
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(nbd_uri_matches("nbd://h"));
	assert_true(nbd_uri_matches("nbds+unix:///?socket=s"));
	assert_true(nbd_uri_matches("nbd:h:1"));
	assert_false(nbd_uri_matches("nbd"));
	assert_false(nbd_uri_matches("nbds:h"));
	assert_false(nbd_uri_matches("./nbd:h:1"));
	assert_false(nbd_uri_matches("json:{}"));
}

/* ---- runs ---- */

static void expect_run(const struct nbd_runs *runs, uint64_t offset, uint64_t bytes, bool zero)
{
	uint64_t got_bytes;
	bool got_zero;

	assert_true(nbd_runs_find(runs, offset, &got_bytes, &got_zero));
	assert_int_equal(got_bytes, bytes);
	assert_int_equal(got_zero, zero);
}

static void test_runs(void **state)
{
	struct nbd_runs runs;
	uint64_t bytes;
	bool zero;

	(void)state;
	nbd_runs_init(&runs, 1000);
	assert_false(nbd_runs_find(&runs, 1000, &bytes, &zero));
	assert_true(nbd_runs_add(&runs, 100, true, 2000));
	assert_true(nbd_runs_add(&runs, 50, true, 2000)); /* joined */
	assert_true(nbd_runs_add(&runs, 200, false, 2000));
	assert_false(nbd_runs_add(&runs, 0, true, 2000));
	expect_run(&runs, 1000, 150, true);
	expect_run(&runs, 1149, 1, true);
	expect_run(&runs, 1150, 200, false);
	expect_run(&runs, 1349, 1, false);
	assert_false(nbd_runs_find(&runs, 999, &bytes, &zero));
	assert_false(nbd_runs_find(&runs, 1350, &bytes, &zero));
	/* A server may say more than it was asked. */
	assert_true(nbd_runs_add(&runs, UINT32_MAX, true, 2000));
	assert_false(nbd_runs_add(&runs, 1, true, 2000));
	expect_run(&runs, 1350, 650, true);
	assert_int_equal(runs.end, 2000);
}

static void test_many_runs(void **state)
{
	struct nbd_runs runs;
	unsigned int i;

	(void)state;
	nbd_runs_init(&runs, 0);
	for (i = 0; nbd_runs_add(&runs, 10, i & 1, UINT64_MAX); i++)
		assert_true(i < NBD_MAX_RUNS);
	assert_int_equal(i, NBD_MAX_RUNS);
	/* One that is like the last needs no room. */
	assert_true(nbd_runs_add(&runs, 10, (i - 1) & 1, UINT64_MAX));
	expect_run(&runs, (i - 1) * 10, 20, true);
}

static void test_answers(void **state)
{
	struct nbd_answers *answers = malloc(sizeof(*answers));
	struct nbd_runs runs;
	uint64_t bytes;
	bool zero;

	(void)state;
	nbd_answers_init(answers);
	for (unsigned int i = 0; i <= NBD_ANSWERS; i++) {
		nbd_runs_init(&runs, i * 1000);
		nbd_runs_add(&runs, 400, i & 1, UINT64_MAX);
		nbd_runs_add(&runs, 600, !(i & 1), UINT64_MAX);
		nbd_answers_keep(answers, &runs);
	}
	/* The oldest had to go. */
	assert_false(nbd_answers_find(answers, 0, &bytes, &zero));
	for (unsigned int i = 1; i <= NBD_ANSWERS; i++) {
		assert_true(nbd_answers_find(answers, i * 1000 + 300, &bytes, &zero));
		assert_int_equal(bytes, 100);
		assert_int_equal(zero, i & 1);
		assert_true(nbd_answers_find(answers, i * 1000 + 999, &bytes, &zero));
		assert_int_equal(bytes, 1);
		assert_int_equal(zero, !(i & 1));
	}
	nbd_answers_forget(answers);
	assert_false(nbd_answers_find(answers, 1300, &bytes, &zero));
	nbd_answers_destroy(answers);
	free(answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uris),	  cmocka_unit_test(test_old_names),
		cmocka_unit_test(test_matches),	  cmocka_unit_test(test_runs),
		cmocka_unit_test(test_many_runs), cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
