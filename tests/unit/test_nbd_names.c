// SPDX-License-Identifier: GPL-2.0
/*
 * Names of NBD exports.
 */
#include "test_aio_common.h"

#include "file/nbd/uri.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_old_names),
		cmocka_unit_test(test_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
