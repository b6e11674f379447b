// SPDX-License-Identifier: GPL-2.0
/* The options of a device: setting each, the errors, and that the help lists them all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/options.c"
#include "server/options.c"

#define MAX_ARGS 32

/* Parse the words after the program's name, terminated by NULL. */
static int parse(struct device_options *options, struct error *err, ...)
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
	struct device_options o;

	(void)state;
	assert_int_equal(parse(&o, &err, "--name", "a", "--image", "b", NULL), 0);
	assert_string_equal(o.name, "a");
	assert_string_equal(o.image, "b");
	assert_null(o.format);
	assert_true(o.discard);
	assert_int_equal(o.cache, DEVICE_CACHE_NONE);
	assert_false(o.read_only);
	assert_false(o.foreground);
	assert_false(o.copy_on_read || o.no_copy_on_read);
	assert_int_equal(o.depth, 128);
	assert_int_equal(o.detect_zeroes, DETECT_ZEROES_OFF);
	assert_in_range(o.queues, 1, 4);
	assert_null(o.given[DEVICE_OPTION_ready_fd]);
}

static void test_all(void **state)
{
	struct error err = ERROR_INIT;
	struct device_options o;

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
	assert_true(o.no_copy_on_read);
	assert_false(o.copy_on_read);
	assert_false(o.discard);
	assert_int_equal(o.cache, DEVICE_CACHE_WRITEBACK);
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

/* Check that NAME and IMAGE with these two words fail with @line. */
static void refused(const char *option, const char *value, const char *line)
{
	struct error err = ERROR_INIT;
	struct device_options o;
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
	refused("--size", "0", "--size: '0' is not a size: it must be above 0");
	refused("--size", "1 Gi", "--size: '1 Gi' is not a size");
	refused("--size", "-1", "--size: '-1' is not a size");
	refused("--size", "9223372036854775807",
		"--size: '9223372036854775807' is more than 9223372036854775295");
	refused("--size", "12q", "--size: '12q' is not a size");
	refused("--read-only=1", NULL, "--read-only: takes no value");
	refused("--queues", "0", "--queues: '0' is not a count");
	refused("--queues", "100000", "--queues: '100000' is more than 240");
	refused("--queues", "+1", "--queues: '+1' is not a count");
	refused("--queues", " 1", "--queues: ' 1' is not a count");
	refused("--depth", "4097", "--depth: '4097' is more than 4096");
	refused("--cluster-size", "8G", "--cluster-size: '8G' is more than 4294967295");
	refused("--discard", "on", "--discard: 'on' is not one of ignore|unmap");
	refused("--cache", "unsafe", "--cache: 'unsafe' is not one of none|writeback");
	refused("--backing-format", "raw", "--backing-format: needs the option backing");
	refused("--ready-fd", "99999999999", "--ready-fd: '99999999999' is not a count");
	refused("--image", "", "--image: an empty file name");
	refused("--streams", NULL, "--streams: unknown option");
	refused("--speed", "1M", "--speed: needs --stream or --prefetch");
	refused("--speed", "fast", "--speed: 'fast' is not a size");
	refused("--pending", "keep", "--pending: 'keep' is not one of drop|finish");
}

static void test_needed(void **state)
{
	struct error err = ERROR_INIT;
	struct device_options o;

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
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++) {
		char option[64];

		snprintf(option, sizeof(option), "  --%s", device_option_table[i].name);
		assert_int_equal(!!strstr(text, option),
				 !!(device_option_table[i].programs & DEVICE_QEDD));
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_in_range(strlen(line), 0, 80);
	free(text);
}

/* A flag and its opposite; an option of another program; options->given. */
static void test_given(void **state)
{
	struct error err = ERROR_INIT;
	struct device_options o;

	(void)state;
	assert_int_equal(parse(&o, &err, "--name", "a", "--image", "b", "--copy-on-read",
			       "--no-copy-on-read", "--backing", "none", NULL),
			 0);
	assert_true(o.no_copy_on_read && !o.copy_on_read);
	assert_null(o.given[DEVICE_OPTION_copy_on_read]);
	assert_string_equal(o.given[DEVICE_OPTION_no_copy_on_read], "");
	assert_true(o.no_backing);
	assert_null(o.backing);
	assert_string_equal(device_option_text(&o, DEVICE_OPTION_backing), "none");
	assert_string_equal(device_option_text(&o, DEVICE_OPTION_cache), "none");
	assert_null(o.given[DEVICE_OPTION_cache]);
	assert_null(device_option_find("no-dm", 5, DEVICE_QEDD));
	assert_non_null(device_option_find("no-dm", 5, DEVICE_QEDCTL));
	assert_null(device_option_opposite(&device_option_table[DEVICE_OPTION_stream]));
	refused("--known-zero", NULL, "--known-zero: unknown option");
	refused("--format", "qeb", "--format: 'qeb' is not one of qed|qcow2|raw");
}

static int change(struct device_options *o, enum device_option_id id, const char *value)
{
	return device_option_change(o, &device_option_table[id], value, NULL);
}

/* NAME=VALUE, for flags too. */
static void test_change(void **state)
{
	struct device_options o;

	(void)state;
	device_options_init(&o);
	assert_int_equal(change(&o, DEVICE_OPTION_copy_on_read, "off"), 0);
	assert_true(o.no_copy_on_read && !o.copy_on_read);
	assert_string_equal(o.given[DEVICE_OPTION_no_copy_on_read], "");
	assert_null(o.given[DEVICE_OPTION_copy_on_read]);
	assert_int_equal(change(&o, DEVICE_OPTION_copy_on_read, "on"), 0);
	assert_true(!o.no_copy_on_read && o.copy_on_read);
	assert_null(o.given[DEVICE_OPTION_no_copy_on_read]);
	assert_string_equal(o.given[DEVICE_OPTION_copy_on_read], "");
	assert_int_equal(change(&o, DEVICE_OPTION_stream, "on"), 0);
	assert_int_equal(change(&o, DEVICE_OPTION_stream, "off"), 0);
	assert_false(o.stream);
	assert_null(o.given[DEVICE_OPTION_stream]);
	assert_int_equal(change(&o, DEVICE_OPTION_stream, "yes"), -EINVAL);
	assert_int_equal(change(&o, DEVICE_OPTION_queues, "3"), 0);
	assert_int_equal(o.queues, 3);
	assert_int_equal(change(&o, DEVICE_OPTION_queues, "0"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_needed),
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_help_is_whole),
		cmocka_unit_test(test_given),	 cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
