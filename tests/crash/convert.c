// SPDX-License-Identifier: GPL-2.0
/*
 * An image converted from another one, by the job of qed-img convert. Before that succeeds, a
 * crash leaves a file that cannot be opened, or the whole image, or the previous one; afterwards
 * the whole image.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "crash.h"
#include "format/qed/format.h"
#include "job/convert.h"

/* Version of the source: another content each round, with clusters that are zero or partly zero. */
static uint32_t source_version(const struct geometry *geo, uint64_t sector)
{
	uint64_t cluster = sector * SECTOR_SIZE / geo->cluster_size;
	uint64_t kind = mix64(geo->seed ^ cluster) % 4;

	if (kind == 0 || (kind == 1 && sector % 16 < 8))
		return VERSION_ZERO;
	return geo->first_version;
}

static int co_make_target(const struct geometry *geo, const char *path, struct blk_node **target,
			  struct error *err)
{
	struct blk_create_opts create = {
		.filename = path,
		.format = "qed",
		.size = geo->size,
		.cluster_size = geo->cluster_size,
		.table_size = geo->table_size,
		.incomplete = true,
	};
	struct blk_open_opts open = { .format = "qed", .flags = BLK_O_RDWR | BLK_O_INCOMPLETE };
	int ret = blk_co_create(&create, err);

	return ret ? ret : blk_co_open(target, path, &open, err);
}

/* Choose qed-img's options: sparse or not, in any order, with FUA, one coroutine. */
static void choose_options(struct convert_opts *opts, uint64_t random)
{
	static const uint64_t sparse[] = { CONVERT_DEFAULT_SPARSE, 0, 64 * KiB };

	opts->min_sparse = sparse[random % ARRAY_SIZE(sparse)];
	opts->any_order = random >> 8 & 1;
	opts->workers = random >> 9 & 1 ? PIECES_WORKERS : 1;
	opts->write_flags = (random >> 10) % 8 ? 0 : BLK_REQ_FUA;
}

bool convert_co_run(struct record *rec, const struct files *files)
{
	const struct geometry *geo = &rec->geo;
	struct convert_source source = { .size = geo->size };
	struct convert_opts opts = {
		.sources = &source,
		.source_count = 1,
		.total = geo->size,
		.target_is_new = true,
		.flush = true,
	};
	struct blk_open_opts open = { .format = "raw" };
	struct error err = ERROR_INIT;
	size_t op;
	int ret;

	make_raw(geo, files->backing, geo->size, source_version);
	CHECK(blk_co_open(&source.node, files->backing, &open, NULL) == 0);
	choose_options(&opts, mix64(geo->seed));
	op = record_issue(rec, GUEST_CONVERT, false, 0, 0);
	ret = co_make_target(geo, files->image[FILE_TOP].live, &opts.target, &err);
	if (!ret)
		ret = convert_co_copy(&opts, &err);
	if (!ret)
		record_ack(rec, op);
	if (opts.target && blk_co_close(opts.target) && !ret)
		ret = -EIO;
	CHECK(blk_co_close(source.node) == 0);
	if (ret)
		printf("# convert: %s\n", error_text(&err));
	error_free(&err);
	return !ret;
}

/* Is the file marked as incomplete? */
static bool says_incomplete(const char *path)
{
	uint8_t disk[QED_HEADER_BYTES] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct qed_header header;

	CHECK(fd >= 0 && pread(fd, disk, sizeof(disk), 0) >= 0);
	close(fd);
	if (!qed_is_magic(disk, sizeof(disk)))
		return true;
	qed_header_decode(&header, disk);
	return header.features & QED_F_INCOMPLETE;
}

static bool co_is_refused(const char *path)
{
	struct blk_open_opts opts = { .format = "qed" };
	struct blk_node *node;
	int ret = blk_co_open(&node, path, &opts, NULL);

	if (ret == -EINVAL)
		return true;
	if (!ret)
		CHECK(blk_co_close(node) == 0);
	printf("# what is incomplete is %s\n", ret ? "refused for another reason" : "opened");
	return false;
}

/*
 * Return the first sector that differs from the result of the round, or with @before
 * from the state before it; -1: none.
 */
static int64_t find_wrong(const struct judge *judge, bool before)
{
	const struct record *rec = judge->rec;

	for (uint64_t s = 0; s < arena_sectors(&rec->geo); s++) {
		uint32_t wanted = before ? rec->initial[s] : source_version(&rec->geo, s);
		uint64_t sector = s;

		if (wanted == VERSION_GARBAGE ||
		    sector_identify(judge->content + s * SECTOR_SIZE, &sector) != wanted ||
		    sector != s)
			return (int64_t)s;
	}
	return -1;
}

bool convert_co_judge(struct judge *judge, uint64_t position)
{
	const struct record *rec = judge->rec;
	const char *path = judge->files->image[FILE_TOP].crash;
	bool succeeded = rec->guest[0].ack <= position;
	uint64_t sector = 0;
	int64_t wrong;

	judge->refused = says_incomplete(path);
	if (judge->refused) {
		judge->nr_refused++;
		memset(judge->content, 0xff, arena_sectors(&rec->geo) * SECTOR_SIZE);
		if (succeeded)
			printf("# the conversion has succeeded, and the image is incomplete\n");
		return !succeeded && co_is_refused(path);
	}
	if (!judge_co_read(rec, path, judge->content))
		return false;
	wrong = find_wrong(judge, false);
	if (wrong < 0 || (!succeeded && find_wrong(judge, true) < 0))
		return true;
	printf("# it opens %s the conversion has succeeded, and is not whole: sector %" PRId64
	       " has version %u in place of %u\n",
	       succeeded ? "after" : "before", wrong,
	       sector_identify(judge->content + wrong * SECTOR_SIZE, &sector),
	       source_version(&rec->geo, (uint64_t)wrong));
	return false;
}
