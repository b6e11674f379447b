// SPDX-License-Identifier: GPL-2.0
/* Arguments of commands. Error messages go to standard output, as in qemu-io. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_opts.h"
#include "image/size.h"
#include "qed-io/io.h"
#include "util/units.h"

/* Does the number overflow 64 bits? Regardless of the sign. */
static bool is_too_large(const char *text)
{
	errno = 0;
	strtoull(text, NULL, 10);
	return errno == ERANGE || text[0] != '-';
}

int io_parse_bytes_as(const char *text, const char *shown, uint64_t *bytes)
{
	int ret = image_parse_size(text, bytes);

	if (ret == -ERANGE && is_too_large(text)) {
		printf("Parsing error: argument too large -- %s\n", shown);
		return -EINVAL;
	}
	if (ret < 0) {
		printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix "
		       "-- %s\n",
		       shown);
		return -EINVAL;
	}
	return 0;
}

int io_parse_bytes(const char *text, uint64_t *bytes)
{
	return io_parse_bytes_as(text, text, bytes);
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

int io_parse_cache(const char *text, struct image_cache *cache)
{
	if (image_cache_parse(text, cache) == 0)
		return 0;
	io_error("Invalid cache option: %s", text);
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
	io_error("Invalid discard option: %s", text);
	return -EINVAL;
}

int io_parse_aio(const char *text, bool *native)
{
	bool is_native = !strcmp(text, "native");

	if (!is_native && strcmp(text, "threads") && strcmp(text, "io_uring")) {
		io_error("Invalid aio option: %s", text);
		return -EINVAL;
	}
	*native |= is_native;
	return 0;
}

int io_parse_options(const char *text, struct blk_options **options)
{
	struct error err = ERROR_INIT;
	struct blk_options *more = NULL;
	int ret = image_opts_parse(&more, text, NULL, false, &err);

	if (ret == 0 && *options && blk_options_add_missing(more, *options))
		ret = error_set_errno(&err, -ENOMEM, "options");
	if (ret < 0) {
		blk_options_free(more);
		io_error_free(&err);
		return ret;
	}
	blk_options_free(*options);
	*options = more;
	return 0;
}
