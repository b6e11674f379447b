// SPDX-License-Identifier: GPL-2.0
/*
 * Printable text: control characters are escaped, in errors and elsewhere, and all else is
 * unchanged.
 */
#include "test_aio_common.h"

#include "util/error.h"
#include "util/text.h"

__attribute__((format(printf, 1, 2))) static char *formatted(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_format("", fmt, ap);
	va_end(ap);
	return text;
}

static void expect(const char *text, size_t size, const char *shown)
{
	char *copy, to[64];

	assert_true(size <= sizeof(to));
	memset(to, 'x', sizeof(to));
	assert_int_equal(text_printable(to, size, text, ""), strlen(shown));
	assert_string_equal(to, shown);
	for (size_t i = size; i < sizeof(to); i++)
		assert_int_equal(to[i], 'x');
	if (size < sizeof(to))
		return;
	copy = formatted("%s", text);
	assert_string_equal(copy, shown);
	free(copy);
}

static void test_printable(void **state)
{
	(void)state;
	expect("", 64, "");
	expect("a b~\xc3\xa9", 64, "a b~\xc3\xa9");
	expect("a\nb\x1b[1m\x7f\t", 64, "a\\x0ab\\x1b[1m\\x7f\\x09");
	/* A UTF-8 control character; an invalid byte is no terminal command. */
	expect("\xc2\x9b", 64, "\\xc2\\x9b");
	expect("\xc2", 64, "\xc2");
	expect("\xc2\xa0", 64, "\xc2\xa0");
	expect("abc\n", 1, "");
	expect("abc\n", 4, "abc");
	expect("abc\n", 7, "abc");
	expect("abc\n", 8, "abc\\x0a");
}

static void test_errors(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, -EIO, "a %s", "x\ny");
	error_prefix(&err, "a%sb", "\r");
	assert_string_equal(error_text(&err), "a\\x0db: a x\\x0ay");
	error_free(&err);
	/* Text passed on from another error has line breaks of its own. */
	error_set(&err, -EIO, "%s", "x\ny\033");
	assert_string_equal(error_text(&err), "x\ny\\x1b");
	error_free(&err);
	error_set_errno(&err, -EIO, "%s", "\033");
	assert_string_equal(error_text(&err), "\\x1b: Input/output error");
	error_free(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
