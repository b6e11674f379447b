/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the QED driver share: images in a scratch folder, content
 * that tells where it belongs, and loops on threads.
 */
#ifndef QEDBLK_TEST_QED_COMMON_H
#define QEDBLK_TEST_QED_COMMON_H

#include "test_aio_common.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include "block/io.h"

#define BLOCK 4096u

struct scratch {
	char dir[PATH_MAX / 2];
	char image[PATH_MAX], backing[PATH_MAX];
};

/* On the disk that the build is on, so that O_DIRECT is what it is in use. */
static inline void scratch_make(struct scratch *s)
{
	const char *base = getenv("TMPDIR");

	snprintf(s->dir, sizeof(s->dir), "%s/qedblk-test-XXXXXX", base ? base : "/var/tmp");
	CHECK(mkdtemp(s->dir));
	snprintf(s->image, sizeof(s->image), "%s/image.qed", s->dir);
	snprintf(s->backing, sizeof(s->backing), "%s/backing.raw", s->dir);
}

static inline void scratch_remove(struct scratch *s)
{
	(void)unlink(s->image);
	(void)unlink(s->backing);
	(void)rmdir(s->dir);
}

/* One generator for content and for choices: splitmix64. */
static inline uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint64_t next_random(uint64_t *state)
{
	return mix64((*state)++);
}

/* The content of block @block in version @version; version 0 is zeroes. */
static inline void fill_block(void *buf, uint64_t block, uint32_t version)
{
	uint64_t *words = buf;

	for (unsigned int i = 0; i < BLOCK / 8; i++)
		words[i] = version ? mix64(block << 32 ^ (uint64_t)version << 10 ^ i) | 1 : 0;
}

/* Run @fn(@arg) as a coroutine on a loop of this thread. */
static inline void in_coroutine(co_fn *fn, void *arg)
{
	struct aio_loop *loop = new_loop(64);

	CHECK(aio_loop_run_co(loop, fn, arg) == 0);
	aio_loop_destroy(loop);
}

#endif
