// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments of commands.  Complaints go to standard output, as in qemu-io.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qed-io/io.h"
#include "util/units.h"

int io_parse_bytes(const char *text, uint64_t *bytes)
{
	int ret = parse_size(text, bytes);

	if (ret == -ERANGE && text[0] != '-') {
		printf("Parsing error: argument too large -- %s\n", text);
		return -EINVAL;
	}
	if (ret < 0) {
		printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix "
		       "-- %s\n",
		       text);
		return -EINVAL;
	}
	return 0;
}

int io_parse_pattern(const char *text, int *pattern)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 0);
	if (errno || end == text || *end || n < 0 || n > 255) {
		printf("%s is not a valid pattern byte\n", text);
		return -EINVAL;
	}
	*pattern = (int)n;
	return 0;
}

int io_parse_lengths(int argc, char **argv, uint64_t *bytes)
{
	uint64_t len;
	int i, ret;

	*bytes = 0;
	for (i = 0; i < argc; i++) {
		ret = io_parse_bytes(argv[i], &len);
		if (ret < 0)
			return ret;
		if (len > IO_MAX_REQUEST) {
			printf("Argument '%s' exceeds maximum size %" PRIu64 "\n", argv[i],
			       IO_MAX_REQUEST);
			return -EINVAL;
		}
		*bytes += len;
		if (*bytes > IO_MAX_REQUEST) {
			printf("The total number of bytes exceed the maximum size %" PRIu64 "\n",
			       IO_MAX_REQUEST);
			return -EINVAL;
		}
	}
	return 0;
}

int io_parse_cache(const char *text, struct image_cache *cache)
{
	if (image_cache_parse(text, cache) == 0)
		return 0;
	fprintf(stderr, "qed-io: Invalid cache option: %s\n", text);
	return -EINVAL;
}

int io_parse_discard(const char *text, bool *ignore)
{
	if (!strcmp(text, "ignore") || !strcmp(text, "off")) {
		*ignore = true;
		return 0;
	}
	if (!strcmp(text, "unmap") || !strcmp(text, "on")) {
		*ignore = false;
		return 0;
	}
	fprintf(stderr, "qed-io: Invalid discard option: %s\n", text);
	return -EINVAL;
}

int io_parse_aio(const char *text, bool *native)
{
	*native = !strcmp(text, "native");
	if (*native || !strcmp(text, "threads") || !strcmp(text, "io_uring"))
		return 0;
	fprintf(stderr, "qed-io: Invalid aio option: %s\n", text);
	return -EINVAL;
}

void *io_buffer(uint64_t bytes, int fill)
{
	void *buf;

	if (posix_memalign(&buf, 4096, bytes ? bytes : 1)) {
		printf("%s\n", strerror(ENOMEM));
		return NULL;
	}
	memset(buf, fill, bytes);
	return buf;
}
