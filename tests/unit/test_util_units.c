// SPDX-License-Identifier: GPL-2.0
/* Sizes: what is parsed, what is refused, and how sizes are printed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "util/units.h"

static const struct {
	const char *text;
	int ret;
	uint64_t bytes;
} parses[] = {
	{ "0", 0, 0 },
	{ "1", 0, 1 },
	{ "12345", 0, 12345 },
	{ "007", 0, 7 },
	{ "5b", 0, 5 },
	{ "5B", 0, 5 },
	{ "1k", 0, 1024 },
	{ "1K", 0, 1024 },
	{ "64K", 0, 65536 },
	{ "3m", 0, 3 * MiB },
	{ "3M", 0, 3 * MiB },
	{ "2G", 0, 2 * GiB },
	{ "16T", 0, 16 * TiB },
	{ "1P", 0, 1024 * TiB },
	{ "1E", 0, 1024 * 1024 * TiB },
	{ "7e", 0, 7 * 1024 * 1024 * TiB },
	{ "1.5G", 0, 1536 * MiB },
	{ "0.5k", 0, 512 },
	{ "0.1k", 0, 102 },
	{ "0.0005k", 0, 1 },
	{ "0.9999k", 0, 1024 },
	{ "1.000000000000000000000000000001k", 0, 1024 },
	{ "1.99999999999999999999999999K", 0, 2048 },
	{ "1.0", 0, 1 },
	{ "0x10", 0, 16 },
	{ "0XfF", 0, 255 },
	{ "0x8K", 0, 8192 },
	{ "0x1b", 0, 27 },
	{ "0x7fffffffffffffff", 0, INT64_MAX },
	{ "9223372036854775807", 0, INT64_MAX },
	{ "+1", 0, 1 },
	{ "1.K", 0, 1024 },
	{ "1.", 0, 1 },

	{ "9223372036854775808", -ERANGE, 0 },
	{ "18446744073709551615", -ERANGE, 0 },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "99999999999999999999999999999999", -ERANGE, 0 },
	{ "8E", -ERANGE, 0 },
	{ "7.9999999999999999999E", -ERANGE, 0 },
	{ "9007199254740992K", -ERANGE, 0 },
	{ "-0", -ERANGE, 0 },
	{ "-1", -ERANGE, 0 },
	{ "-1G", -ERANGE, 0 },
	{ "-99999999999999999999", -ERANGE, 0 },

	{ "", -EINVAL, 0 },
	{ "-", -EINVAL, 0 },
	{ "--1", -EINVAL, 0 },
	{ "+", -EINVAL, 0 },
	{ "+-1", -EINVAL, 0 },
	{ "-+1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 ", -EINVAL, 0 },
	{ "1 K", -EINVAL, 0 },
	{ "K", -EINVAL, 0 },
	{ "1.5", -EINVAL, 0 },
	{ "1.5b", -EINVAL, 0 },
	{ ".5K", -EINVAL, 0 },
	{ "1.5.5K", -EINVAL, 0 },
	{ "1e3", -EINVAL, 0 },
	{ "1KB", -EINVAL, 0 },
	{ "1KiB", -EINVAL, 0 },
	{ "1x", -EINVAL, 0 },
	{ "0x", -EINVAL, 0 },
	{ "0xK", -EINVAL, 0 },
	{ "0x1.8K", -EINVAL, 0 },
	{ "nan", -EINVAL, 0 },
	{ "inf", -EINVAL, 0 },
};

static void test_parse(void **state)
{
	uint64_t bytes;
	size_t i;
	int ret;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(parses); i++) {
		bytes = 0;
		ret = parse_size(parses[i].text, &bytes);
		if (ret != parses[i].ret || (!ret && bytes != parses[i].bytes))
			fail_msg("\"%s\": returned %d, %llu bytes", parses[i].text, ret,
				 (unsigned long long)bytes);
	}
}

static const struct {
	uint64_t bytes;
	const char *text;
} formats[] = {
	{ 0, "0 B" },
	{ 1, "1 B" },
	{ 512, "512 B" },
	{ 999, "999 B" },
	{ 1000, "0.977 KiB" },
	{ 1023, "0.999 KiB" },
	{ 1024, "1 KiB" },
	{ 1536, "1.5 KiB" },
	{ 201 * KiB, "201 KiB" },
	{ 65536, "64 KiB" },
	{ 999 * KiB, "999 KiB" },
	{ 1000 * KiB, "0.977 MiB" },
	{ 1572864, "1.5 MiB" },
	{ 1073741824, "1 GiB" },
	{ 1073741824 + 1, "1 GiB" },
	{ 10 * GiB + 300 * MiB, "10.3 GiB" },
	{ 16 * TiB, "16 TiB" },
	{ 1024 * TiB, "1 PiB" },
	{ 8 * 1024 * 1024 * TiB, "8 EiB" },
	{ UINT64_MAX, "16 EiB" },
};

static void test_format(void **state)
{
	char buf[32];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		assert_ptr_equal(format_size(buf, sizeof(buf), formats[i].bytes), buf);
		assert_string_equal(buf, formats[i].text);
	}
	/* Truncated, no overrun. */
	buf[4] = 'x';
	assert_string_equal(format_size(buf, 4, 65536), "64 ");
	assert_int_equal(buf[4], 'x');
}

static void test_rounding(void **state)
{
	(void)state;
	assert_int_equal(round_down(4095, 512), 3584);
	assert_int_equal(round_up(1, 4096), 4096);
	assert_int_equal(round_up(4096, 4096), 4096);
	assert_int_equal(round_up(0, 4096), 0);
	assert_int_equal(div_round_up(0, 7), 0);
	assert_int_equal(div_round_up(14, 7), 2);
	assert_int_equal(div_round_up(15, 7), 3);
	assert_true(div_round_up(UINT64_MAX, 2) == 1ULL << 63);
	assert_true(is_power_of_2(1) && is_power_of_2(1ULL << 63));
	assert_false(is_power_of_2(0) || is_power_of_2(12));
}

/* What is printed is accepted, and means about the same. */
static void test_printed(void **state)
{
	static const char *const same[] = {
		"1G", "1GiB", "1 GiB", "1 G", "1024 MiB", "1073741824 B"
	};
	static const char *const bad[] = { "GiB",  " GiB",   "1  GiB", "1GB",
					   "1 iB", "1 GiB ", "iB",     "" };
	uint64_t bytes;
	char text[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_int_equal(parse_printed_size(same[i], &bytes), 0);
		assert_int_equal(bytes, GiB);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_printed_size(bad[i], &bytes), -EINVAL);
	for (uint64_t n = 1; n < UINT64_MAX / 7; n = n * 3 + 1) {
		format_size(text, sizeof(text), n);
		assert_int_equal(parse_printed_size(text, &bytes), 0);
		assert_in_range(bytes, n - n / 100, n + n / 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_printed),
		cmocka_unit_test(test_rounding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
