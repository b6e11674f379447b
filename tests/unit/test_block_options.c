// SPDX-License-Identifier: GPL-2.0
/* Options of images, and the parsing of names and options. No I/O. */
#include "test_aio_common.h"

#include "block/image_name.h"
#include "block/node.h"
#include "file/objects.h"

static void check_value(struct blk_options *o, const char *name, const char *value)
{
	const char *got = blk_options_take(o, name);

	assert_true(blk_options_has(o, name));
	if (value)
		assert_string_equal(got, value);
	else
		assert_null(got);
}

static void test_parts(void **state)
{
	struct error err = ERROR_INIT;
	struct blk_options *o, *part, *again;

	(void)state;
	assert_int_equal(blk_options_new(&o, &err), 0);
	assert_int_equal(blk_options_new(&part, &err), 0);
	assert_int_equal(blk_options_set(o, "a", "1"), 0);
	assert_int_equal(blk_options_set(part, "a", "2"), 0);
	assert_int_equal(blk_options_set(part, "b.c", NULL), 0);
	assert_int_equal(blk_options_add_part(o, "p", part), 0);
	check_value(part, "a", "2");
	check_value(o, "a", "1");
	check_value(o, "p.a", "2");
	check_value(o, "p.b.c", NULL);
	assert_int_equal(blk_options_take_part(o, "p", &again, &err), 0);
	check_value(again, "a", "2");
	check_value(again, "b.c", NULL);
	assert_false(blk_options_has(o, "p.a"));
	blk_options_free(again);
	blk_options_free(part);
	blk_options_free(o);
}

static void test_json(void **state)
{
	struct error err = ERROR_INIT;
	struct blk_options *o, *part;

	(void)state;
	assert_int_equal(blk_options_parse_json(&o,
						"json: {\"a\": {\"b\": {\"c\": \"x\"}, \"d\": 7},"
						" \"e.f\": true, \"g\": null, \"h\": [1, \"y\"]}",
						&err),
			 0);
	assert_string_equal(blk_options_left(o), "a.b.c");
	assert_int_equal(blk_options_take_part(o, "a", &part, &err), 0);
	check_value(part, "b.c", "x");
	check_value(part, "d", "7");
	assert_null(blk_options_left(part));
	blk_options_free(part);
	check_value(o, "e.f", "on");
	check_value(o, "g", NULL);
	check_value(o, "h.0", "1");
	assert_string_equal(blk_options_left(o), "h.1");
	assert_false(blk_options_has(o, "a.d"));
	assert_int_equal(blk_options_take_part(o, "a", &part, &err), 0);
	assert_null(part);
	blk_options_free(o);
}

/* What QEMU's parser takes beside JSON of the standard. */
static void test_loose_json(void **state)
{
	static const char *const texts[][2] = {
		{ "json:{'a': 'x'}", "x" },
		{ "json:{'a': 'x\\'y'}", "x'y" },
		{ "json:{'a': \"x'y\"}", "x'y" },
		{ "json:{\"a\": 'x\"y'}", "x\"y" },
		{ "json:{'a': 'x\\\"y'}", "x\"y" },
		{ "json:{\"a\": \"x\\'y\"}", "x'y" },
		{ "json:{'a': 'x\\\\'}", "x\\" },
		{ "json:{'\\u0061': '\\u00e4\\n'}", "\xc3\xa4\n" },
		{ "json:{'a': ''}", "" },
		{ "json:{'a': 1e3}", "1000" },
		{ "json:{'a': 12345678.0}", "12345678" },
	};
	struct error err = ERROR_INIT;
	struct blk_options *o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(blk_options_parse_json(&o, texts[i][0], &err), 0);
		check_value(o, "a", texts[i][1]);
		blk_options_free(o);
	}
}

/* Also check it as a name, whose parser must free the rest. */
static void expect_bad_json(const char *name)
{
	struct error err = ERROR_INIT;
	struct blk_image_name parsed;
	struct blk_options *o = NULL;

	assert_int_equal(blk_options_parse_json(&o, name, &err), -EINVAL);
	assert_non_null(err.text);
	assert_null(strchr(err.text, '\n'));
	assert_null(o);
	error_free(&err);
	assert_int_equal(blk_image_name_parse(&parsed, name, NULL, NULL, NULL), -EINVAL);
}

static void test_bad_json(void **state)
{
	char deep[1024] = "json:";

	(void)state;
	expect_bad_json("json:");
	expect_bad_json("json: \n");
	expect_bad_json("json:[]");
	expect_bad_json("json:\"a\"");
	expect_bad_json("json:{\"a\":}");
	expect_bad_json("json:{'a");
	expect_bad_json("json:{'a': 'b\\");
	expect_bad_json("json:{'a': 'b\\'");
	expect_bad_json("json:{'a': 'b\"}");
	expect_bad_json("json:{'a': 1, \"a\": 1}");
	expect_bad_json("json:{'a': 1,}");
	expect_bad_json("json:{'a': 1} x");
	expect_bad_json("json:{a: 1}");
	expect_bad_json("json:{'a': 'b\nc'}");
	for (int i = 0; i < 100; i++)
		strcat(deep, "{\"a\":");
	strcat(deep, "1");
	for (int i = 0; i < 100; i++)
		strcat(deep, "}");
	expect_bad_json(deep);
}

static void test_values(void **state)
{
	struct error err = ERROR_INIT;
	struct blk_options *o;
	uint64_t size = 0;
	bool on = false;

	(void)state;
	assert_int_equal(blk_options_new(&o, &err), 0);
	assert_int_equal(blk_options_set(o, "size", "3k"), 0);
	assert_int_equal(blk_options_set(o, "on", "on"), 0);
	assert_int_equal(blk_options_set(o, "bad", "1"), 0);
	assert_int_equal(blk_options_take_size(o, "size", &size, &err), 1);
	assert_int_equal(size, 3072);
	assert_int_equal(blk_options_take_size(o, "none", &size, &err), 0);
	assert_int_equal(blk_options_take_switch(o, "on", &on, &err), 1);
	assert_true(on);
	assert_int_equal(blk_options_take_switch(o, "bad", &on, &err), -EINVAL);
	error_free(&err);
	assert_int_equal(blk_options_take_size(o, "on", &size, &err), -EINVAL);
	error_free(&err);
	assert_null(blk_options_left(o));
	blk_options_free(o);
}

static void expect_name(const char *given, const char *format, const char *file, unsigned int flags)
{
	struct error err = ERROR_INIT;
	struct blk_image_name name;

	assert_int_equal(blk_image_name_parse(&name, given, NULL, NULL, &err), 0);
	assert_string_equal(name.filename, file);
	if (format)
		assert_string_equal(name.format, format);
	else
		assert_null(name.format);
	assert_int_equal(name.flags_on, flags);
	blk_image_name_free(&name);
}

static void expect_no_name(const char *given, const char *words)
{
	struct error err = ERROR_INIT;
	struct blk_image_name name;

	assert_int_not_equal(blk_image_name_parse(&name, given, NULL, NULL, &err), 0);
	assert_string_equal(err.text, words);
	error_free(&err);
}

static void test_names(void **state)
{
	(void)state;
	expect_name("a b", NULL, "a b", 0);
	expect_name("json:{\"file.filename\":\"a\"}", NULL, "a", 0);
	expect_name("file:a:b", NULL, "./a:b", 0);
	/* The value of an option is a path. */
	expect_name("json:{\"driver\":\"qed\",\"file\":{\"filename\":\"file:a\"}}", "qed", "file:a",
		    0);
	expect_name("json:{\"driver\":\"file\",\"filename\":\"nbd://a\"}", "file", "./nbd://a", 0);
	expect_name("json:{\"file.filename\":\"nbd://a\"}", NULL, "./nbd://a", 0);
	expect_name("json:{\"file.filename\":\"a\",\"file.locking\":\"off\"}", NULL, "a",
		    BLK_O_NO_LOCK);
	expect_name("json:{\"file.filename\":\"a\",\"cache\":{\"direct\":true}}", NULL, "a",
		    BLK_O_DIRECT);
	expect_name("json:{\"driver\":\"nbd\",\"host\":\"h\",\"port\":\"1\",\"export\":\"a?\"}",
		    "nbd", "nbd://h:1/a%3F", 0);
	expect_name("json:{\"driver\":\"nbd\",\"server\":{\"type\":\"inet\",\"host\":\"::1\","
		    "\"port\":\"2\"},\"reconnect-delay\":5}",
		    "nbd", "nbd://[::1]:2/?reconnect-delay=5", 0);
	expect_name("json:{\"driver\":\"raw\",\"file\":{\"driver\":\"nbd\",\"path\":\"/s k\"}}",
		    "raw", "nbd+unix:///?socket=/s%20k", 0);
	expect_name("json:{\"driver\":\"null-co\",\"size\":4096}", "null-co", "null-co://4096", 0);
	expect_no_name("json:{\"driver\":\"vmdk\"}", "Unknown driver 'vmdk'");
	expect_no_name("", "The 'file' block driver requires a file name");
	expect_no_name("file:", "The 'file' block driver requires a file name");
	expect_no_name("a:b", "Unknown protocol 'a': a file of this name is ./a:b");
	expect_no_name("json:{\"driver\":\"raw\",\"file\":\"x\"}",
		       "Cannot find device='x' nor node-name='x'");
	expect_no_name("json:{\"driver\":\"raw\",\"file.filename\":\"a\",\"file.x\":1}",
		       "Block protocol 'file' doesn't support the option 'x'");
}

static void test_backing(void **state)
{
	struct error err = ERROR_INIT;
	struct blk_image_name name;
	const char *given = "json:{\"driver\":\"qed\",\"file.filename\":\"a\",\"backing\":"
			    "{\"driver\":\"raw\",\"backing\":null},\"offset\":1}";

	(void)state;
	assert_int_equal(blk_image_name_parse(&name, given, "raw", NULL, &err), 0);
	assert_string_equal(name.format, "raw"); /* an explicit option overrides it */
	assert_false(name.no_backing);
	assert_false(blk_options_say_file(name.backing));
	check_value(name.backing, "driver", "raw");
	check_value(name.backing, "backing", NULL);
	assert_int_equal(blk_image_name_check_left(&name, "raw", &err), -EINVAL);
	assert_string_equal(err.text, "Block format 'raw' does not support the option 'offset'");
	error_free(&err);
	check_value(name.options, "offset", "1");
	assert_int_equal(blk_image_name_check_left(&name, "raw", &err), 0);
	blk_image_name_free(&name);
	given = "json:{\"driver\":\"qed\",\"file.filename\":\"a\",\"backing\":null}";
	assert_int_equal(blk_image_name_parse(&name, given, NULL, NULL, &err), 0);
	assert_true(name.no_backing);
	blk_image_name_free(&name);
}

/* Credentials referenced by an option. */
static void test_objects(void **state)
{
	struct error err = ERROR_INIT;
	struct blk_options *creds;

	(void)state;
	assert_int_equal(
		blk_options_parse_json(&creds,
				       "json:{\"qom-type\":\"tls-creds-x509\",\"id\":\"t\","
				       "\"dir\":\"/d\",\"endpoint\":\"client\"}",
				       &err),
		0);
	assert_int_equal(blk_object_add(creds, &err), 0);
	assert_ptr_equal(blk_object_find("t"), creds);
	assert_null(blk_object_find("u"));
	expect_name("json:{\"driver\":\"nbd\",\"host\":\"h\",\"tls-creds\":\"t\"}", "nbd",
		    "nbds://h/?tls-certificates=/d", 0);
	expect_no_name("json:{\"driver\":\"nbd\",\"host\":\"h\",\"tls-creds\":\"u\"}",
		       "No TLS credentials with id 'u'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),	   cmocka_unit_test(test_json),
		cmocka_unit_test(test_loose_json), cmocka_unit_test(test_bad_json),
		cmocka_unit_test(test_values),	   cmocka_unit_test(test_names),
		cmocka_unit_test(test_backing),	   cmocka_unit_test(test_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
