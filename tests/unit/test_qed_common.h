/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the tests of the QED driver: images in a scratch directory,
 * self-describing content, and loops on threads.
 */
#ifndef QEDBLK_TEST_QED_COMMON_H
#define QEDBLK_TEST_QED_COMMON_H

#include "test_aio_common.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include "block/io.h"
#include "populate/populate.h"
#include "shared/random.h"

/* A flag of the tests' own open functions, not of blk_co_open(): copy-on-read for all reads. */
#define OPEN_COPY_ON_READ (1u << 31)

#define BLOCK 4096u

struct scratch {
	char dir[PATH_MAX / 2];
	char image[PATH_MAX], backing[PATH_MAX];
};

/* Create it on the disk of the build, so that O_DIRECT works as in real use. */
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

/* Open the image. @l2_cache in bytes, 0: the default. */
static inline struct blk_node *scratch_co_open(const struct scratch *s, unsigned int flags,
					       uint64_t l2_cache)
{
	struct blk_open_opts opts = { .format = "qed",
				      .flags = flags & ~OPEN_COPY_ON_READ,
				      .l2_cache_size = l2_cache };
	struct error err = ERROR_INIT;
	struct blk_node *node;

	if (blk_co_open(&node, s->image, &opts, &err)) {
		fprintf(stderr, "%s\n", error_text(&err));
		abort();
	}
	CHECK(populate_co_attach(node, flags & OPEN_COPY_ON_READ, NULL) == 0);
	return node;
}

/* Fill @buf with the content of block @block in version @version; version 0 is zeroes. */
static inline void fill_block(void *buf, uint64_t block, uint32_t version)
{
	uint64_t *words = buf;

	for (unsigned int i = 0; i < BLOCK / 8; i++)
		words[i] = version ? mix64(block << 32 ^ (uint64_t)version << 10 ^ i) | 1 : 0;
}

#endif
