// SPDX-License-Identifier: GPL-2.0
/* Shared by fuzz targets: a loop, files in memory, a scratch directory, texts. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aio/loop.h"
#include "fuzz.h"
#include "util/log.h"

void fuzz_require(bool good, const char *what)
{
	if (good)
		return;
	fuzz_quiet(false);
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

void fuzz_run_co(void (*fn)(void *arg), void *arg)
{
	struct aio_loop *loop = aio_loop_current();

	if (!loop) {
		log_init("fuzz", false, LOG_LEVEL_ERROR);
		fuzz_require(!aio_loop_create(&loop, 32, NULL), "no io_uring");
	}
	fuzz_require(!aio_loop_run_co(loop, fn, arg), "the ring failed");
}

int fuzz_memfd(const char *name, const void *data, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	fuzz_require(fd >= 0 && write(fd, data, size) == (ssize_t)size, "no memory for a file");
	return fd;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	fuzz_require(text, "no memory");
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

size_t fuzz_seed_text(const char *const texts[], size_t count, unsigned int n, uint8_t *buf)
{
	if (n >= count)
		return 0;
	memcpy(buf, texts[n], strlen(texts[n]));
	return strlen(texts[n]);
}

void fuzz_quiet(bool quiet)
{
	static FILE *null, *out, *err;

	if (quiet && !out) {
		if (!null)
			null = fopen("/dev/null", "we");
		fuzz_require(null, "no /dev/null");
		out = stdout;
		err = stderr;
		stdout = stderr = null;
	} else if (!quiet && out) {
		stdout = out;
		stderr = err;
		out = NULL;
	}
}

static char scratch[128];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_scratch(void)
{
	nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_scratch(void)
{
	const char *tmp = getenv("TMPDIR");

	if (!scratch[0]) {
		snprintf(scratch, sizeof(scratch), "%s/fuzz-XXXXXX", tmp ? tmp : "/var/tmp");
		fuzz_require(mkdtemp(scratch), "no scratch folder");
		atexit(remove_scratch);
	}
	return scratch;
}

void fuzz_put_be32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = value >> (24 - 8 * i);
}

void fuzz_put_be64(uint8_t *at, uint64_t value)
{
	fuzz_put_be32(at, value >> 32);
	fuzz_put_be32(at + 4, value);
}
