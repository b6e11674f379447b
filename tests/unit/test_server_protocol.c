// SPDX-License-Identifier: GPL-2.0
/*
 * The control socket's protocol: which requests are accepted, which are refused with which error,
 * and no line, however malformed, does harm.  A seed is an argument.
 */
#include "test_aio_common.h"

#include "server/protocol.c"

static uint64_t seed;

static uint64_t random_next(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 33;
}

static void test_request(void **state)
{
	static const char line[] =
		" {\"id\": \"one\", \"execute\":\"quit\",\"arguments\":{\"force\":true}}";
	struct protocol_request request;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(protocol_parse(&request, line, strlen(line), &err), 0);
	assert_string_equal(request.execute, "quit");
	assert_true(json_is_true(json_object_get(request.arguments, "force")));
	assert_true(json_is_string(request.id));
	protocol_request_free(&request);
}

static void refused(const char *line, const char *why)
{
	struct protocol_request request;
	struct error err = ERROR_INIT;
	int ret = protocol_parse(&request, line, strlen(line), &err);

	if (ret != -EINVAL || strncmp(error_text(&err), why, strlen(why)))
		fail_msg("%s: %d, %s", line, ret, error_text(&err));
	protocol_request_free(&request);
	error_free(&err);
}

static void test_refused(void **state)
{
	(void)state;
	refused("", "not JSON");
	refused("{", "not JSON");
	refused("{\"execute\":\"a\"} x", "not JSON");
	refused("{\"execute\":\"a\",\"execute\":\"b\"}", "not JSON");
	refused("{\"execute\":\"\xff\"}", "not JSON");
	refused("[1]", "not a JSON object");
	refused("{}", "member 'execute'");
	refused("{\"execute\":1}", "member 'execute'");
	refused("{\"execute\":\"a\",\"arguments\":[]}", "member 'arguments'");
	refused("{\"execute\":\"a\",\"id\":[1]}", "member 'id'");
	refused("{\"execute\":\"a\",\"id\":{}}", "member 'id'");
	refused("{\"execute\":\"a\",\"argument\":{}}", "member 'argument' is not known");
}

/* An argument that the server ignores would be one that a client relied on. */
static void test_arguments(void **state)
{
	static const char known[] = "file:s force:b pid:i f:s";
	static const char *const good[] = {
		"{}",
		"{\"force\":false,\"pid\":-1,\"file\":\"\",\"f\":\"x\"}",
	};
	static const char *const bad[][2] = {
		{ "{\"forc\":true}", "argument 'forc' is not known" },
		{ "{\"\":true}", "argument '' is not known" },
		{ "{\"force:b pid\":1}", "argument 'force:b pid' is not known" },
		{ "{\"b\":1}", "argument 'b' is not known" },
		{ "{\"pid\":1,\"force\":1}", "argument 'force' is not true or false" },
		{ "{\"force\":null}", "argument 'force' is not true or false" },
		{ "{\"pid\":1.0}", "argument 'pid' is not an integer" },
		{ "{\"file\":[\"a\"]}", "argument 'file' is not a string" },
	};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(protocol_check_arguments(NULL, "", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		json_t *json = json_loads(good[i], 0, NULL);

		assert_int_equal(protocol_check_arguments(json, known, &err), 0);
		json_decref(json);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *json = json_loads(bad[i][0], 0, NULL);

		assert_int_equal(protocol_check_arguments(json, known, &err), -EINVAL);
		assert_string_equal(error_text(&err), bad[i][1]);
		error_free(&err);
		json_decref(json);
	}
}

/* As deep as the parser allows, on a coroutine's stack. */
static void deep(void *arg)
{
	const size_t depth = 30000;
	char *line = malloc(2 * depth + 1);
	bool *done = arg;

	memset(line, '[', depth);
	memset(line + depth, ']', depth);
	for (size_t n = 1; n <= depth; n = n < 4000 ? n + 1 : n * 2) {
		struct protocol_request request;
		struct error err = ERROR_INIT;

		CHECK(protocol_parse(&request, line + depth - n, 2 * n, &err) == -EINVAL);
		protocol_request_free(&request);
		error_free(&err);
	}
	free(line);
	*done = true;
}

static void test_deep(void **state)
{
	bool done = false;

	(void)state;
	run_co(32, deep, &done);
	assert_true(done);
}

static void equal_and_free(char *text, const char *wanted)
{
	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_answers(void **state)
{
	struct error err = ERROR_INIT;
	json_t *id = json_integer(7);

	(void)state;
	equal_and_free(protocol_return(NULL, NULL), "{\"return\":{}}\n");
	equal_and_free(protocol_return(json_pack("{s:i}", "a", 1), id),
		       "{\"return\":{\"a\":1},\"id\":7}\n");
	error_set(&err, -EBUSY, "two\nlines");
	equal_and_free(protocol_error(&err, id), "{\"error\":{\"class\":\"DeviceBusy\","
						 "\"desc\":\"two\\nlines\"},\"id\":7}\n");
	error_free(&err);
	error_set(&err, -ENOSYS, "x");
	equal_and_free(protocol_error(&err, NULL),
		       "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"x\"}}\n");
	error_free(&err);
	error_set(&err, -EIO, "caf\xe9");
	equal_and_free(protocol_error(&err, NULL),
		       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"caf\xef\xbf\xbd\"}}\n");
	error_free(&err);
	json_decref(id);
}

/* Each answer is one line, whatever the id. */
static void answer_is_one_line(const struct protocol_request *request)
{
	char *line = protocol_return(NULL, request->id);

	assert_non_null(line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	free(line);
}

static void damage(char *line, size_t *len, size_t room)
{
	static const char bytes[] = "{}[]\":,\\ntrue0-1.eE\0\xff\xc3\n";

	switch (random_next() % 4) {
	case 0:
		line[random_next() % *len] = bytes[random_next() % (sizeof(bytes) - 1)];
		break;
	case 1:
		line[random_next() % *len] ^= 1 << random_next() % 8;
		break;
	case 2:
		*len = 1 + random_next() % *len;
		break;
	default:
		if (2 * *len < room) {
			memcpy(line + *len, line, *len);
			*len *= 2;
		}
	}
}

static void test_fuzz(void **state)
{
	static const char *const lines[] = {
		"{\"execute\":\"status\",\"arguments\":{},"
		"\"id\":\"\\u00e4\"}",
		"{\"execute\":\"quit\",\"arguments\":{\"force\":true},\"id\":-1}",
		"[[[[[[[[[[[[[[[[{\"a\":{\"b\":{}}}]]]]]]]]]]]]]]]]",
	};
	unsigned int good = 0, bad = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		const char *line = lines[i % 3];
		struct protocol_request request;
		struct error err = ERROR_INIT;
		size_t len = strlen(line), changes = random_next() % 6;
		char *copy, text[4096];

		memcpy(text, line, len);
		while (changes--)
			damage(text, &len, sizeof(text));
		/* In a separate allocation, so that a read out of bounds is detected. */
		copy = malloc(len);
		memcpy(copy, text, len);
		if (!protocol_parse(&request, copy, len, &err)) {
			assert_non_null(request.execute);
			answer_is_one_line(&request);
			good++;
		} else {
			assert_int_equal(err.code, -EINVAL);
			free(protocol_error(&err, request.id));
			bad++;
		}
		protocol_request_free(&request);
		error_free(&err);
		free(copy);
	}
	assert_true(good > 100 && bad > 100);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),	  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_deep),
		cmocka_unit_test(test_answers),	  cmocka_unit_test(test_fuzz),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
