// SPDX-License-Identifier: GPL-2.0
/*
 * Rebasing and committing: what is read and written, and what is not: images in both
 * chains, zeroes, equal data.
 */
#include "test_qed_common.h"

#include "job/commit.h"
#include "job/rebase.h"

#define CLUSTER	 (64 * KiB)
#define CLUSTERS 64u
#define SIZE	 (CLUSTERS * CLUSTER)

/* The state of a cluster: unallocated, zero, or data filled with this byte. */
#define NONE '-'
#define ZERO '0'

static char dir[PATH_MAX / 2];
static uint8_t buf[CLUSTER];

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct blk_node *open_image(const char *name, unsigned int flags, unsigned int depth)
{
	struct blk_open_opts opts = { .flags = flags, .writable_depth = depth };
	struct error err = ERROR_INIT;
	struct blk_node *node;

	if (blk_co_open(&node, path_of(name), &opts, &err)) {
		fprintf(stderr, "%s\n", error_text(&err));
		abort();
	}
	return node;
}

static void fill(struct blk_node *node, const char *clusters)
{
	for (uint64_t i = 0; clusters[i]; i++) {
		memset(buf, clusters[i], CLUSTER);
		if (clusters[i] == ZERO)
			CHECK(blk_co_pwrite_zeroes(node, i * CLUSTER, CLUSTER, BLK_REQ_MAY_UNMAP) ==
			      0);
		else if (clusters[i] != NONE)
			CHECK(blk_co_pwrite(node, i * CLUSTER, CLUSTER, buf, 0) == 0);
	}
}

static void make(const char *name, const char *backing, const char *clusters)
{
	struct blk_create_opts opts = {
		.filename = path_of(name), .format = "qed", .size = SIZE, .backing_file = backing
	};
	struct blk_node *node;

	CHECK(blk_co_create(&opts, NULL) == 0);
	node = open_image(name, BLK_O_RDWR, 0);
	fill(node, clusters);
	CHECK(blk_co_close(node) == 0);
}

/* Check the states of @node's own clusters. */
static void expect(struct blk_node *node, const char *clusters)
{
	struct blk_map map;

	for (uint64_t i = 0; i < CLUSTERS; i++) {
		char want = i < strlen(clusters) ? clusters[i] : NONE;
		enum blk_map_kind kind = want == NONE ? BLK_MAP_BACKING :
					 want == ZERO ? BLK_MAP_ZERO :
							BLK_MAP_DATA;

		CHECK(node->driver->co_map(node, i * CLUSTER, CLUSTER, &map) == 0);
		if (map.kind != kind)
			fprintf(stderr, "cluster %" PRIu64 " is no '%c'\n", i, want);
		CHECK(map.kind == kind);
		if (kind != BLK_MAP_DATA)
			continue;
		CHECK(blk_co_pread(node, i * CLUSTER, CLUSTER, buf, 0) == 0);
		CHECK(buf[0] == want && buf[CLUSTER - 1] == want);
	}
}

static uint64_t read_of(const struct blk_node *node)
{
	return blk_stats_get(&node->stats, BLK_STAT_read_bytes) / CLUSTER;
}

static void begin(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/qedblk-test-XXXXXX", base ? base : "/var/tmp");
	CHECK(mkdtemp(dir));
}

static void end(void)
{
	static const char *const names[] = { "base", "left", "right", "top", "other" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlink(path_of(names[i]));
	CHECK(rmdir(dir) == 0);
}

/* Two images over one base: neither common data nor zeroes are read. */
static void siblings(void *arg)
{
	struct blk_node *top, *right;

	(void)arg;
	begin();
	make("base", NULL, "abcdefghijklmnop");
	make("left", "base", "AB00-FG0Z-------");
	make("right", "base", "XB0-E-G----0----");
	make("top", "left", "------------t");
	top = open_image("top", BLK_O_RDWR, 0);
	right = open_image("right", 0, 0);
	CHECK(rebase_co_copy(top, right, false, NULL, NULL) == 0);
	expect(top, "A--0eF-0Z--lt");
	/* Where only one of them has data, the other shows the base. */
	CHECK(read_of(top->backing) == 7 && read_of(top->backing->backing) == 2);
	CHECK(read_of(right) == 6 && read_of(right->backing) == 2);
	CHECK(blk_co_change_backing(top, "right", "qed", NULL) == 0);
	CHECK(blk_co_close(right) == 0);
	CHECK(blk_co_close(top) == 0);
	/* Rebase onto an image of its own chain: only the images between are read. */
	top = open_image("top", BLK_O_RDWR, 0);
	right = open_image("base", 0, 0);
	CHECK(rebase_co_copy(top, right, false, NULL, NULL) == 0);
	expect(top, "AB00eFG0Z--lt");
	CHECK(read_of(top->backing) == 2 && read_of(right) == 2);
	CHECK(blk_co_close(right) == 0);
	CHECK(blk_co_close(top) == 0);
	end();
}

/* Rebase to no backing file, and from none. */
static void none(void *arg)
{
	struct blk_node *top, *other;

	(void)arg;
	begin();
	make("base", NULL, "ab00e");
	make("other", NULL, "0x0y-z");
	make("top", "base", "--tt");
	top = open_image("top", BLK_O_RDWR, 0);
	CHECK(rebase_co_copy(top, NULL, false, NULL, NULL) == 0);
	expect(top, "abtte");
	CHECK(read_of(top->backing) == 3);
	CHECK(blk_co_change_backing(top, NULL, NULL, NULL) == 0);
	CHECK(blk_co_close(top) == 0);
	top = open_image("top", BLK_O_RDWR, 0);
	other = open_image("other", 0, 0);
	CHECK(!top->backing && rebase_co_copy(top, other, false, NULL, NULL) == 0);
	expect(top, "abtte0");
	/* Zero clusters of the image are not compared. */
	CHECK(read_of(other) == 0);
	CHECK(blk_co_close(other) == 0);
	CHECK(blk_co_close(top) == 0);
	end();
}

/* Commit through a shorter middle image into a base that is shorter, too. */
static void committing(void *arg)
{
	struct commit_opts opts = { 0 };
	struct blk_node *top;

	(void)arg;
	begin();
	make("base", NULL, "abcdefgh");
	make("left", "base", "-B-0-");
	make("top", "left", "--C---0--j");
	top = open_image("top", BLK_O_RDWR, 2);
	opts.top = top;
	opts.base = top->backing->backing;
	CHECK(opts.base->flags & BLK_O_RDWR && !(top->backing->flags & BLK_O_RDWR));
	CHECK(commit_co_run(&opts, NULL) == 0);
	CHECK(read_of(top) == 3 && read_of(top->backing) == 1 && !read_of(opts.base));
	expect(opts.base, "aBC0ef0h-j");
	expect(top, "--C---0--j");
	CHECK(blk_co_close(top) == 0);
	top = open_image("top", BLK_O_RDWR, 1);
	opts = (struct commit_opts){ .top = top, .base = top->backing, .empty = true };
	CHECK(commit_co_run(&opts, NULL) == 0);
	expect(top->backing, "-BC0--0--j");
	expect(top, "");
	CHECK(blk_co_close(top) == 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(siblings),
		CO_TEST(none),
		CO_TEST(committing),
	};

	return cmocka_run_group_tests_name("job_rebase", tests, NULL, NULL);
}
