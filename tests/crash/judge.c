// SPDX-License-Identifier: GPL-2.0
/*
 * Judging a crash image: it can be opened, needs no check, a check finds no
 * corruption, each sector that the guest uses has a version that the model allows, and
 * the rest of the guest's disk is unchanged.
 */
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "crash.h"

void judge_init(struct judge *judge, const struct record *rec, const struct files *files)
{
	memset(judge, 0, sizeof(*judge));
	judge->rec = rec;
	judge->files = files;
	model_init(&judge->model, rec);
	judge->kept = calloc(arena_sectors(&rec->geo), sizeof(*judge->kept));
	judge->content =
		aligned_alloc(BLOCK, round_up(arena_sectors(&rec->geo) * SECTOR_SIZE, BLOCK));
	CHECK(judge->kept && judge->content);
}

void judge_destroy(struct judge *judge)
{
	model_destroy(&judge->model);
	free(judge->kept);
	free(judge->content);
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	printf("# %s\n", line);
}

static bool no_corruption(struct blk_node *node)
{
	struct error err = ERROR_INIT;
	struct blk_check_result result;
	struct blk_info info;

	if (blk_co_info(node, &info) || info.dirty) {
		printf("# the image says that it needs a check\n");
		return false;
	}
	if (blk_co_check(node, 0, NULL, NULL, &result, &err)) {
		printf("# check failed: %s\n", error_text(&err));
		error_free(&err);
		return false;
	}
	if (!result.corruptions && !result.check_errors)
		return true;
	printf("# check finds %" PRIu64 " corruptions:\n", result.corruptions);
	(void)blk_co_check(node, 0, print_line, NULL, &result, NULL);
	return false;
}

static bool read_arena(const struct geometry *geo, struct blk_node *node, uint8_t *content)
{
	for (uint32_t spot = 0; spot < geo->spots; spot++) {
		uint8_t *to = content + spot * geo->spot_bytes;
		uint64_t bytes = geo->spot_bytes;
		int ret;

		if (geo->least_size) {
			bytes = min_u64(bytes, atomic_load(&node->size));
			memset(to + bytes, 0, geo->spot_bytes - bytes);
		}
		ret = blk_co_pread(node, spot * geo->spot_stride, bytes, to, 0);

		if (ret) {
			printf("# reading fails: %s\n", strerror(-ret));
			return false;
		}
	}
	return true;
}

/* Does data outside of the arena read as zeroes? */
static bool data_is_zero(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	uint8_t block[BLOCK] __attribute__((aligned(8)));
	uint64_t none;

	for (uint64_t pos = 0; pos < bytes; pos += SECTOR_SIZE) {
		if (blk_co_pread(node, offset + pos, SECTOR_SIZE, block, 0) ||
		    sector_identify(block, &none) != VERSION_ZERO) {
			printf("# guest sector %" PRIu64 ", never written, is not zero\n",
			       (offset + pos) / SECTOR_SIZE);
			return false;
		}
	}
	return true;
}

/* Check that a range never used by the guest has no data of its own. */
static bool rest_is_untouched(const struct geometry *geo, struct blk_node *node, uint64_t from,
			      uint64_t to)
{
	while (from < to) {
		struct blk_map map;
		int ret = node->driver->co_map(node, from, to - from, &map);

		if (ret) {
			printf("# no map: %s\n", strerror(-ret));
			return false;
		}
		if (map.kind == BLK_MAP_DATA && !data_is_zero(node, from, map.bytes))
			return false;
		if (map.kind != BLK_MAP_BACKING && from < geo->backing_bytes) {
			printf("# guest offset 0x%" PRIx64
			       ", never touched, hides the backing file\n",
			       from);
			return false;
		}
		from += map.bytes;
	}
	return true;
}

/*
 * Is the disk as long as it may be, and does the image have no bytes behind its end, which another
 * program that makes it longer would show?
 */
static bool ends_well(const struct geometry *geo, struct blk_node *node)
{
	uint64_t from = atomic_load(&node->size);
	uint64_t end = round_up(geo->size, geo->cluster_size);
	uint8_t block[SECTOR_SIZE] __attribute__((aligned(8)));

	if (from < geo->least_size || from > geo->size) {
		printf("# the disk has %" PRIu64 " bytes\n", from);
		return false;
	}
	while (from < end) {
		struct blk_map map;
		uint64_t none;

		CHECK(!node->driver->co_map(node, from, end - from, &map));
		for (uint64_t pos = 0; map.kind == BLK_MAP_DATA && pos < map.bytes;
		     pos += SECTOR_SIZE) {
			CHECK(!blk_file_co_pread(map.file, block, SECTOR_SIZE,
						 map.file_offset + pos));
			if (sector_identify(block, &none) == VERSION_ZERO)
				continue;
			printf("# guest sector %" PRIu64 ", behind the end, is not zero\n",
			       (from + pos) / SECTOR_SIZE);
			return false;
		}
		from += map.bytes;
	}
	return true;
}

static bool look_at(const struct record *rec, struct blk_node *node, uint8_t *content)
{
	const struct geometry *geo = &rec->geo;

	if (!no_corruption(node) || !read_arena(geo, node, content))
		return false;
	if (geo->least_size)
		return ends_well(geo, node);
	for (uint32_t spot = 0; spot < geo->spots; spot++) {
		uint64_t from = spot * geo->spot_stride + geo->spot_bytes;
		uint64_t to = spot + 1 < geo->spots ? (spot + 1) * geo->spot_stride : geo->size;

		if (!rest_is_untouched(geo, node, from, to))
			return false;
	}
	return true;
}

bool judge_co_read(const struct record *rec, const char *path, uint8_t *content)
{
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_NO_LOCK };
	struct error err = ERROR_INIT;
	struct blk_node *node;
	bool ok;

	if (blk_co_open(&node, path, &opts, &err)) {
		printf("# it does not open: %s\n", error_text(&err));
		error_free(&err);
		return false;
	}
	ok = look_at(rec, node, content);
	if (blk_co_close(node)) {
		printf("# closing fails\n");
		ok = false;
	}
	return ok;
}

uint32_t judge_version(const struct judge *judge, uint64_t s, uint64_t *sector)
{
	uint32_t version = sector_identify(judge->content + s * SECTOR_SIZE, sector);

	if (version != VERSION_ZERO && *sector != named_sector(&judge->rec->geo, s, version))
		return VERSION_GARBAGE;
	return version;
}

void judge_explain(const struct judge *judge, uint64_t s, uint64_t position)
{
	const uint8_t *found = judge->content + s * SECTOR_SIZE;
	uint64_t sector = 0;
	uint32_t version = sector_identify(found, &sector);

	printf("# guest sector %" PRIu64 " (byte 0x%" PRIx64 "): found ",
	       guest_sector(&judge->rec->geo, s), guest_sector(&judge->rec->geo, s) * SECTOR_SIZE);
	if (version == VERSION_GARBAGE) {
		printf("garbage:");
		for (unsigned int i = 0; i < 24; i++)
			printf(" %02x", found[i]);
		printf("\n");
	} else if (version == VERSION_ZERO) {
		printf("zeroes\n");
	} else {
		printf("version %u of sector %" PRIu64 "\n", version, sector);
	}
	model_explain(&judge->model, s, position);
}

/* Return the image to read: one that needs a check is copied and checked. */
static const char *co_image_to_read(struct judge *judge)
{
	const struct files *files = judge->files;
	const char *crash = files->image[FILE_TOP].crash;

	judge->dirty = judge->rec->geo.verb == CHAIN_CHECKED && damage_is_dirty(crash);
	if (!judge->dirty)
		return crash;
	copy_sparse(crash, files->copy);
	return damage_co_check(files->copy) ? files->copy : NULL;
}

bool judge_co_image(struct judge *judge, uint64_t position)
{
	const char *path;
	uint64_t sectors = arena_sectors(&judge->rec->geo), bad = 0, sector;

	if (judge->rec->geo.verb == CHAIN_CONVERTED)
		return convert_co_judge(judge, position);
	path = co_image_to_read(judge);
	if (!path || !judge_co_read(judge->rec, path, judge->content))
		return false;
	for (uint64_t s = 0; s < sectors; s++) {
		if (model_allows(&judge->model, s, position, judge_version(judge, s, &sector)))
			continue;
		if (!bad++)
			judge_explain(judge, s, position);
	}
	if (bad)
		printf("# %" PRIu64 " sectors hold what they must not\n", bad);
	return !bad;
}
