// SPDX-License-Identifier: GPL-2.0
/* qedd's command line: every option, what is refused and how, and that the help has them all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/options.c"

#define MAX_ARGS 32

/* Parse the words after the program's name, which NULL ends. */
static int parse(struct options *options, struct error *err, ...)
{
	char *argv[MAX_ARGS] = { "qedd" };
	int argc = 1;
	va_list ap;

	va_start(ap, err);
	while (argc < MAX_ARGS - 1 && (argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	argv[argc] = NULL;
	return options_parse(options, argc, argv, err);
}

static void test_defaults(void **state)
{
	struct error err = ERROR_INIT;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, &err, "--name", "a", "--image", "b", NULL), 0);
	assert_string_equal(o.name, "a");
	assert_string_equal(o.image, "b");
	assert_null(o.format);
	assert_true(o.discard);
	assert_true(o.direct);
	assert_false(o.read_only);
	assert_false(o.foreground);
	assert_int_equal(o.copy_on_read, COPY_ON_READ_AUTO);
	assert_int_equal(o.depth, 128);
	assert_int_equal(o.detect_zeroes, DETECT_ZEROES_OFF);
	assert_in_range(o.queues, 1, 4);
	assert_int_equal(o.ready_fd, -1);
}

static void test_all(void **state)
{
	struct error err = ERROR_INIT;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, &err, "--name=vm1", "--image=x=y", "--size", "1000", "--backing",
			       "g", "--backing-format", "raw", "--cluster-size", "64K",
			       "--table-size", "4", "--no-copy-on-read", "--discard", "ignore",
			       "--detect-zeroes", "unmap", "--cache", "writeback", "--queues", "3",
			       "--depth", "4096", NULL),
			 0);
	assert_string_equal(o.image, "x=y");
	assert_int_equal(o.size, 1024);
	assert_string_equal(o.backing, "g");
	assert_string_equal(o.backing_format, "raw");
	assert_int_equal(o.cluster_size, 65536);
	assert_int_equal(o.table_size, 4);
	assert_int_equal(o.copy_on_read, COPY_ON_READ_OFF);
	assert_false(o.discard);
	assert_false(o.direct);
	assert_int_equal(o.queues, 3);
	assert_int_equal(o.depth, 4096);
	assert_int_equal(parse(&o, &err, "--name", "a", "--image", "b", "--read-only", "--l2-cache",
			       "64M", "--foreground", "--ready-fd", "7", "--format", "qed", NULL),
			 0);
	assert_true(o.read_only);
	assert_int_equal(o.l2_cache, 64 << 20);
	assert_true(o.foreground);
	assert_int_equal(o.ready_fd, 7);
	assert_string_equal(o.format, "qed");
	assert_false(o.stream || o.finish_pending);
	assert_int_equal(parse(&o, &err, "--name", "a", "--image", "b", "--stream", "--speed=3M",
			       "--prefetch", "t", "--pending", "finish", NULL),
			 0);
	assert_true(o.stream && o.finish_pending);
	assert_int_equal(o.speed, 3 << 20);
	assert_string_equal(o.prefetch, "t");
}

/* NAME and IMAGE are given, and then these two words. */
static void refused(const char *option, const char *value, const char *line)
{
	struct error err = ERROR_INIT;
	struct options o;
	int ret = parse(&o, &err, "--name", "a", "--image", "b", option, value, NULL);

	if (ret != -EINVAL || strcmp(error_text(&err), line))
		fail_msg("%s %s: %d, %s", option, value ? value : "", ret, error_text(&err));
	error_free(&err);
}

static void test_refused(void **state)
{
	(void)state;
	refused("--bogus", NULL, "--bogus: unknown option");
	refused("--nam", "x", "--nam: unknown option");
	refused("x", NULL, "x: unexpected argument");
	refused("-q", NULL, "-q: unexpected argument");
	refused("--size", NULL, "--size: needs a value");
	refused("--size", "0", "--size: not a valid value: 0");
	refused("--size", "-1", "--size: not a valid value: -1");
	refused("--size", "9223372036854775807", "--size: not a valid value: 9223372036854775807");
	refused("--size", "12q", "--size: not a valid value: 12q");
	refused("--read-only=1", NULL, "--read-only: takes no value");
	refused("--queues", "0", "--queues: not a number from 1 to 240: 0");
	refused("--queues", "100000", "--queues: not a number from 1 to 240: 100000");
	refused("--queues", "+1", "--queues: not a number from 1 to 240: +1");
	refused("--queues", " 1", "--queues: not a number from 1 to 240:  1");
	refused("--depth", "4097", "--depth: not a number from 1 to 4096: 4097");
	refused("--cluster-size", "8G", "--cluster-size: not a valid value: 8G");
	refused("--discard", "on", "--discard: not one of ignore|unmap: on");
	refused("--cache", "unsafe", "--cache: not one of none|writeback: unsafe");
	refused("--backing-format", "raw", "--backing-format: needs --backing");
	refused("--ready-fd", "99999999999", "--ready-fd: not a valid value: 99999999999");
	refused("--image", "", "--image: not a valid value: ");
	refused("--streams", NULL, "--streams: unknown option");
	refused("--speed", "1M", "--speed: needs --stream or --prefetch");
	refused("--speed", "fast", "--speed: not a valid value: fast");
	refused("--pending", "keep", "--pending: not one of drop|finish: keep");
}

static void test_needed(void **state)
{
	struct error err = ERROR_INIT;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, &err, "--image", "b", NULL), -EINVAL);
	assert_string_equal(error_text(&err), "--name is needed");
	error_free(&err);
	assert_int_equal(parse(&o, &err, "--name", "b", NULL), -EINVAL);
	assert_string_equal(error_text(&err), "--image is needed");
	error_free(&err);
	assert_int_equal(parse(&o, &err, "--name", "a", "--image", "b", "--read-only",
			       "--copy-on-read", NULL),
			 -EINVAL);
	error_free(&err);
	assert_int_equal(parse(&o, &err, "--help", NULL), 0);
	assert_true(o.help);
	assert_int_equal(parse(&o, &err, "--version", NULL), 0);
	assert_true(o.version);
}

static void test_names(void **state)
{
	char longest[DEVICE_NAME_MAX + 2];

	(void)state;
	assert_true(device_name_is_valid("a"));
	assert_true(device_name_is_valid("vm1.disk-0_x#+:=@"));
	assert_true(device_name_is_valid("..."));
	assert_false(device_name_is_valid(""));
	assert_false(device_name_is_valid("."));
	assert_false(device_name_is_valid(".."));
	assert_false(device_name_is_valid("control"));
	assert_true(device_name_is_valid("controls"));
	assert_false(device_name_is_valid("a/b"));
	assert_false(device_name_is_valid("a b"));
	assert_false(device_name_is_valid("a\n"));
	assert_false(device_name_is_valid("\xc3\xa4"));
	memset(longest, 'x', sizeof(longest));
	longest[DEVICE_NAME_MAX + 1] = '\0';
	assert_false(device_name_is_valid(longest));
	longest[DEVICE_NAME_MAX] = '\0';
	assert_true(device_name_is_valid(longest));
}

static void test_help_is_whole(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	options_print_help(to);
	fclose(to);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char option[64];

		snprintf(option, sizeof(option), "  --%s", table[i].name);
		assert_non_null(strstr(text, option));
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_in_range(strlen(line), 0, 80);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_needed),
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_help_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
