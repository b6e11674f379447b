/* SPDX-License-Identifier: GPL-2.0 */
/* Common code of the tests of live commits: chains of images with a model of what they show. */
#ifndef QEDBLK_TEST_LIVE_COMMIT_H
#define QEDBLK_TEST_LIVE_COMMIT_H

#include "test_qed_common.h"

#include "job/live_commit.h"

#define BLOCKS 256u /* of the node */
#define IMAGES 6u /* at most, the node included */

struct chain {
	struct scratch scratch;
	char *paths[IMAGES];
	unsigned int nr; /* images made; the node is the last one */
	bool raw_base; /* the lowest one is raw */
	uint64_t seed, random;
	uint32_t version; /* the last one that was used */
	uint32_t model[2 * BLOCKS]; /* version of each block that the image made last shows */
	uint64_t blocks; /* its size */
	struct blk_node *node;
	_Atomic bool stop; /* the writers */
	_Atomic unsigned int running;
};

static inline uint64_t random_below(uint64_t *random, uint64_t n)
{
	return next_random(random) % n;
}

/* ---- Making a chain ---- */

static inline void write_block(struct chain *c, struct blk_node *node, uint64_t block,
			       uint32_t version)
{
	uint8_t buf[BLOCK] __attribute__((aligned(BLOCK)));

	fill_block(buf, block, version);
	CHECK(blk_co_pwrite(node, block * BLOCK, BLOCK, buf, 0) == 0);
	c->model[block] = version;
}

static inline void write_some(struct chain *c, struct blk_node *node)
{
	unsigned int n = 1 + random_below(&c->random, 80);

	while (n--) {
		uint64_t block = random_below(&c->random, c->blocks);
		uint64_t count = 1 + random_below(&c->random, 8);

		if (random_below(&c->random, 3)) {
			write_block(c, node, block, ++c->version);
			continue;
		}
		count = min_u64(count, c->blocks - block);
		CHECK(blk_co_pwrite_zeroes(node, block * BLOCK, count * BLOCK, BLK_REQ_MAY_UNMAP) ==
		      0);
		memset(c->model + block, 0, count * sizeof(*c->model));
	}
}

/* Add an image of @blocks blocks on top. */
static inline void add_image(struct chain *c, uint64_t blocks, bool raw)
{
	struct blk_create_opts create = {
		.format = raw ? "raw" : "qed",
		.size = blocks * BLOCK,
		.cluster_size = raw ? 0 : 4096u << random_below(&c->random, 5),
		.backing_file = c->nr ? c->paths[c->nr - 1] : NULL,
		.backing_format = c->nr == 1 && c->raw_base ? "raw" : NULL,
	};
	struct blk_open_opts opts = { .format = create.format, .flags = BLK_O_RDWR };
	struct error err = ERROR_INIT;
	struct blk_node *node;
	char *path;

	CHECK(asprintf(&path, "%s/image%u", c->scratch.dir, c->nr) > 0);
	c->paths[c->nr] = path;
	create.filename = path;
	CHECK(blk_co_create(&create, &err) == 0);
	CHECK(blk_co_open(&node, path, &opts, &err) == 0);
	if (blocks > c->blocks)
		memset(c->model + c->blocks, 0, (blocks - c->blocks) * sizeof(*c->model));
	c->blocks = blocks;
	write_some(c, node);
	CHECK(blk_co_close(node) == 0);
	c->nr++;
}

static inline void open_node(struct chain *c, unsigned int flags)
{
	struct blk_open_opts opts = { .format = "qed", .flags = flags & ~OPEN_COPY_ON_READ };
	struct error err = ERROR_INIT;

	if (blk_co_open(&c->node, c->paths[c->nr - 1], &opts, &err)) {
		fprintf(stderr, "%s\n", error_text(&err));
		abort();
	}
	if (flags & BLK_O_RDWR)
		CHECK(populate_co_attach(c->node, flags & OPEN_COPY_ON_READ, NULL) == 0);
}

/* A chain of @nr images; @raw: the lowest one is. */
static inline void make_chain(struct chain *c, unsigned int nr, bool raw)
{
	scratch_make(&c->scratch);
	c->raw_base = raw;
	for (unsigned int i = 0; i + 1 < nr; i++)
		add_image(c, BLOCKS / 4 + random_below(&c->random, BLOCKS), raw && !i);
	add_image(c, BLOCKS, false);
}

static inline void unmake_chain(struct chain *c)
{
	for (unsigned int i = 0; i < c->nr; i++) {
		(void)unlink(c->paths[i]);
		free(c->paths[i]);
	}
	scratch_remove(&c->scratch);
}

/* ---- Comparing ---- */

static inline void compare(const struct chain *c, const void *got, uint64_t block, const char *when)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, block, c->model[block]);
	if (memcmp(want, got, BLOCK))
		fprintf(stderr, "SEED=%" PRIu64 ": block %" PRIu64 " is not version %u %s\n",
			c->seed, block, c->model[block], when);
	CHECK(!memcmp(want, got, BLOCK));
}

static inline void compare_all(struct chain *c, const char *when)
{
	uint8_t *buf = aligned_alloc(BLOCK, BLOCKS * BLOCK);

	CHECK(buf && blk_co_pread(c->node, 0, BLOCKS * BLOCK, buf, 0) == 0);
	for (uint64_t block = 0; block < BLOCKS; block++)
		compare(c, buf + block * BLOCK, block, when);
	free(buf);
}

static inline unsigned int chain_length(const struct blk_node *node)
{
	unsigned int n = 0;

	for (; node; node = node->backing)
		n++;
	return n;
}

/* Compare all from the files, and look for damage; a writer finds leaks later. */
static inline void end_chain(struct chain *c, unsigned int length)
{
	CHECK(blk_co_close(c->node) == 0);
	open_node(c, 0);
	CHECK(chain_length(c->node) == length);
	compare_all(c, "at the end");
	for (struct blk_node *node = c->node; node; node = node->backing) {
		struct blk_check_result result;

		if (blk_co_check(node, 0, NULL, NULL, &result, NULL) == -ENOTSUP)
			continue;
		CHECK(!result.corruptions && !result.check_errors);
	}
	CHECK(blk_co_close(c->node) == 0);
	unmake_chain(c);
}

static inline struct blk_node *image_at(const struct chain *c, unsigned int depth)
{
	struct blk_node *node = c->node;

	while (depth--)
		node = node->backing;
	return node;
}

static inline struct live_commit *start_commit(struct chain *c, unsigned int top, unsigned int base,
					       uint64_t speed)
{
	struct live_commit_opts opts = { .top = image_at(c, top),
					 .base = image_at(c, base),
					 .speed = speed,
					 .back_off = MSEC / 10 };
	struct error err = ERROR_INIT;
	struct live_commit *commit;

	if (live_commit_co_start(&commit, c->node, &opts, &err)) {
		fprintf(stderr, "SEED=%" PRIu64 ": commit: %s\n", c->seed, error_text(&err));
		abort();
	}
	return commit;
}

static inline void end_commit(struct live_commit *commit, enum job_state state)
{
	struct live_commit_status status;

	job_co_wait_end(&commit->job);
	live_commit_get_status(commit, &status);
	if (status.state != state)
		fprintf(stderr, "commit is %s: %s\n", job_state_name(status.state), status.error);
	CHECK(status.state == state);
	CHECK(state != JOB_DONE || status.done == status.total);
	live_commit_co_free(commit);
}

#endif
