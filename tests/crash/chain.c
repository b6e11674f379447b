// SPDX-License-Identifier: GPL-2.0
/*
 * Backing chains that change below the guest's image: it is committed into the image
 * below, or rebased from one backing file to another and back, or an image in the
 * middle is streamed and removed. Whatever a crash leaves, the image reads the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "crash.h"
#include "job/commit.h"
#include "job/rebase.h"

/* Version of the other backing file: its clusters equal the first one's, are zero, or differ. */
static uint32_t other_version(const struct geometry *geo, uint64_t sector)
{
	switch (mix64(sector * SECTOR_SIZE / geo->cluster_size + 1000) % 4) {
	case 0:
		return VERSION_ZERO;
	case 1:
		return VERSION_OTHER;
	case 2:
		return sector % 16 == 3 ? VERSION_OTHER : backing_version(geo, sector);
	default:
		return backing_version(geo, sector);
	}
}

void make_raw(const struct geometry *geo, const char *path, uint64_t bytes, version_fn *version)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t words[SECTOR_SIZE / 8];

	CHECK(fd >= 0 && ftruncate(fd, bytes) == 0);
	for (uint64_t s = 0; s < bytes / SECTOR_SIZE; s++) {
		if (version(geo, s) == VERSION_ZERO)
			continue;
		sector_fill(words, s, version(geo, s));
		CHECK(pwrite(fd, words, SECTOR_SIZE, s * SECTOR_SIZE) == SECTOR_SIZE);
	}
	close(fd);
}

static void create(const struct geometry *geo, const char *path, uint64_t size, const char *backing,
		   const char *format)
{
	struct blk_create_opts opts = {
		.filename = path,
		.format = "qed",
		.size = size,
		.cluster_size = geo->cluster_size,
		.table_size = geo->table_size,
		.backing_file = backing,
		.backing_format = format,
	};

	CHECK(blk_co_create(&opts, NULL) == 0);
}

/* Write some clusters of its own, some of them zero. */
void chain_co_fill(const struct geometry *geo, const char *path)
{
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR };
	uint64_t random = mix64(geo->seed);
	struct blk_node *node;

	CHECK(blk_co_open(&node, path, &opts, NULL) == 0);
	for (uint64_t s = 0; s < atomic_load(&node->size) / SECTOR_SIZE; s++) {
		uint64_t words[SECTOR_SIZE / 8];
		uint64_t kind = mix64(random ^ s * SECTOR_SIZE / geo->cluster_size) % 4;

		sector_fill(words, s, VERSION_OTHER);
		if (kind == 0)
			CHECK(blk_co_pwrite(node, s * SECTOR_SIZE, SECTOR_SIZE, words, 0) == 0);
		else if (kind == 1)
			CHECK(blk_co_pwrite_zeroes(node, s * SECTOR_SIZE, SECTOR_SIZE,
						   BLK_REQ_MAY_UNMAP) == 0);
	}
	CHECK(blk_co_close(node) == 0);
}

void chain_co_make_backing(const struct geometry *geo, const struct files *files)
{
	make_raw(geo, files->backing, geo->backing_bytes, backing_version);
	/* Its size differs: it ends before the first one, after it, or after the image. */
	if (geo->verb == CHAIN_REBASED)
		make_raw(geo, files->other,
			 round_down(geo->size * (60 + geo->seed % 60) / 100, SECTOR_SIZE),
			 other_version);
	/* Longer than its backing file; beyond that file's end the guest's image must hide it. */
	if (geo->verb == CHAIN_TO_BASE) {
		create(geo, files->middle, geo->size, "backing.raw", "raw");
		chain_co_fill(geo, files->middle);
	}
}

void chain_co_make(const struct geometry *geo, const struct files *files)
{
	const char *base = files->image[FILE_BASE].live;

	chain_co_make_backing(geo, files);
	if (geo->verb == CHAIN_CONVERTED) {
		make_raw(geo, files->image[FILE_TOP].live, 0, backing_version);
		return;
	}
	if (geo->verb == CHAIN_COMMITTED) {
		/*
		 * Shorter than the image and than its own backing file, whose rest must not show.
		 */
		create(geo, base, round_down(geo->size * 2 / 3, SECTOR_SIZE), "backing.raw", "raw");
		chain_co_fill(geo, base);
		create(geo, files->image[FILE_TOP].live, geo->size, strrchr(base, '/') + 1, "qed");
	} else if (geo->verb == CHAIN_TO_BASE) {
		create(geo, files->image[FILE_TOP].live, geo->size, "middle.qed", "qed");
	} else {
		create(geo, files->image[FILE_TOP].live, geo->size,
		       geo->backing_bytes ? "backing.raw" : NULL, "raw");
	}
}

static int co_commit(struct blk_node *top, struct error *err)
{
	struct commit_opts opts = { .top = top, .base = top->backing, .empty = true };

	return commit_co_run(&opts, err);
}

static int co_rebase(struct blk_node *top, const struct files *files, struct error *err)
{
	const char *to = strcmp(top->backing_name, "other.raw") ? "other.raw" : "backing.raw";
	struct blk_open_opts opts = { .format = "raw" };
	struct blk_node *base;
	int ret;

	CHECK(blk_co_open(&base, *to == 'o' ? files->other : files->backing, &opts, NULL) == 0);
	ret = rebase_co_copy(top, base, false, NULL, err);
	if (!ret)
		ret = blk_co_change_backing(top, to, "raw", err);
	CHECK(blk_co_close(base) == 0);
	return ret;
}

bool chain_co_verb(const struct record *rec, const struct files *files)
{
	bool commit = rec->geo.verb == CHAIN_COMMITTED;
	struct blk_open_opts opts = { .format = "qed",
				      .flags = BLK_O_RDWR,
				      .writable_depth = commit };
	struct error err = ERROR_INIT;
	struct blk_node *top;
	int ret = blk_co_open(&top, files->image[FILE_TOP].live, &opts, &err);

	if (!ret) {
		ret = commit ? co_commit(top, &err) : co_rebase(top, files, &err);
		if (blk_co_close(top) && !ret)
			ret = error_set(&err, -EIO, "closing");
	}
	if (ret && !rec->faults.dead && !rec->faults.failing)
		printf("# %s: %s\n", commit ? "commit" : "rebase", error_text(&err));
	error_free(&err);
	return !ret;
}
