/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of KUnit that this project's tests use, on top of cmocka: the same source is a kernel
 * test and a user-space program.
 */
#ifndef QEDBLK_KUNIT_TEST_H
#define QEDBLK_KUNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct kunit {
	void *priv;
	/* Memory from kunit_kzalloc(), freed when the case ends. */
	void *blocks[16];
	unsigned int block_count;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
};

struct kunit_suite {
	const char *name;
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
};

/* clang-format off */
#define KUNIT_CASE(function) { .run_case = function, .name = #function }
/* clang-format on */

#define KUNIT_EXPECT_TRUE(test, x)     ((void)(test), assert_true(x))
#define KUNIT_EXPECT_FALSE(test, x)    ((void)(test), assert_false(x))
#define KUNIT_EXPECT_EQ(test, a, b)    ((void)(test), assert_int_equal(a, b))
#define KUNIT_EXPECT_LE(test, a, b)    ((void)(test), assert_true((a) <= (b)))
#define KUNIT_ASSERT_EQ(test, a, b)    KUNIT_EXPECT_EQ(test, a, b)
#define KUNIT_ASSERT_NOT_NULL(test, p) ((void)(test), assert_non_null(p))
/* The message is printed first, where the kernel prints it last: the assertion does not return. */
#define KUNIT_ASSERT_EQ_MSG(test, a, b, ...)      \
	do {                                      \
		(void)(test);                     \
		if ((a) != (b))                   \
			print_error(__VA_ARGS__); \
		assert_int_equal(a, b);           \
	} while (0)
#define KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p) KUNIT_ASSERT_NOT_NULL(test, p)

static inline void *kunit_kzalloc(struct kunit *test, size_t size, int flags)
{
	void *block = test->block_count < 16 ? calloc(1, size) : NULL;

	(void)flags;
	if (block)
		test->blocks[test->block_count++] = block;
	return block;
}

static inline int kunit_run_suite(const struct kunit_suite *suite);

/* The one suite of a program. */
static const struct kunit_suite *kunit_suite_now;

static int kunit_setup(void **state)
{
	static struct kunit test;

	test = (struct kunit){ 0 };
	*state = &test;
	return kunit_suite_now->init ? kunit_suite_now->init(&test) : 0;
}

static int kunit_teardown(void **state)
{
	struct kunit *test = *state;

	if (kunit_suite_now->exit)
		kunit_suite_now->exit(test);
	while (test->block_count)
		free(test->blocks[--test->block_count]);
	return 0;
}

/* cmocka passes the case as the initial state, which the setup replaces. */
static const struct kunit_case *kunit_cases_now;
static unsigned int kunit_case_now;

static void kunit_run_case(void **state)
{
	kunit_cases_now[kunit_case_now++].run_case(*state);
}

static inline int kunit_run_suite(const struct kunit_suite *suite)
{
	struct CMUnitTest tests[64] = { 0 };
	size_t count = 0;

	kunit_suite_now = suite;
	kunit_cases_now = suite->test_cases;
	for (; suite->test_cases[count].run_case && count < 64; count++)
		tests[count] = (struct CMUnitTest){ suite->test_cases[count].name, kunit_run_case,
						    kunit_setup, kunit_teardown, NULL };
	return _cmocka_run_group_tests(suite->name, tests, count, NULL, NULL);
}

#define kunit_test_suite(suite)                   \
	int main(void)                            \
	{                                         \
		return kunit_run_suite(&(suite)); \
	}

#define MODULE_LICENSE(text)	 struct kunit_no_license
#define MODULE_DESCRIPTION(text) struct kunit_no_description

#endif
