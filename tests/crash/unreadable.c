// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that cannot read a 4 KiB block that it was writing when power was lost. The content of
 * such a block is lost: with a slice of a table its clusters, with L1 or the header the image.
 * But no more: a cluster must not count as free, zero or unallocated because its entry cannot be
 * read. So a reader gets correct data or an error, also after the image was written to, and once
 * the block can be read again the image is consistent.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>

#include "aio/sys.h"
#include "file/file.h"
#include "block/io.h"
#include "crash.h"

#define WRITES 30u

/* The unreadable blocks, by offset in the file @name. */
static struct {
	const char *name; /* NULL: none */
	uint64_t block[2];
	unsigned int nr;
} bad;

void unreadable_choose(const struct disk *disk, uint64_t random)
{
	bad.nr = 0;
	for (unsigned int i = 0; disk->nr_survivors && i < ARRAY_SIZE(bad.block); i++) {
		size_t index = next_random(&random) % disk->nr_survivors;
		const struct survivor *s = &disk->survivors[index];
		const struct rec_op *op = &disk->rec->ops[s->op];
		uint64_t block =
			round_down(op->offset + next_random(&random) % max_u64(op->len, 1), BLOCK);

		if (op->kind == REC_WRITE && s->fate != FATE_WHOLE && block + BLOCK <= disk->limit)
			bad.block[bad.nr++] = block;
	}
}

static uint64_t bytes_of(const struct iovec *iov, int iovcnt)
{
	uint64_t sum = 0;

	for (int i = 0; i < iovcnt; i++)
		sum += iov[i].iov_len;
	return sum;
}

static bool hits(uint64_t offset, uint64_t len, uint64_t block)
{
	return offset < block + BLOCK && block < offset + len;
}

static bool is_bad(uint64_t offset, uint64_t len)
{
	for (unsigned int i = 0; i < bad.nr; i++)
		if (hits(offset, len, bad.block[i]))
			return true;
	return false;
}

/* A block that is overwritten as a whole becomes readable; a partial write fails. */
static int overwrite(uint64_t offset, uint64_t len)
{
	for (unsigned int i = bad.nr; i-- > 0;) {
		uint64_t block = bad.block[i];

		if (!hits(offset, len, block))
			continue;
		if (offset > block || block + BLOCK > offset + len)
			return -EIO;
		bad.block[i] = bad.block[--bad.nr];
	}
	return 0;
}

static ssize_t bad_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			  uint64_t offset)
{
	if (is_bad(offset, bytes_of(iov, iovcnt)))
		return -EIO;
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static ssize_t bad_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			   uint64_t offset)
{
	int ret = overwrite(offset, bytes_of(iov, iovcnt));

	return ret ? ret : blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int bad_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret = mode == FALLOC_FL_KEEP_SIZE ? 0 : overwrite(offset, len);

	return ret ? ret : blk_file_kernel_ops.co_fallocate(file, mode, offset, len);
}

void unreadable_opened(struct blk_file *file)
{
	static struct blk_file_ops ops;

	if (!bad.name || strcmp(file->name, bad.name))
		return;
	ops = blk_file_kernel_ops;
	ops.co_preadv = bad_preadv;
	ops.co_pwritev = bad_pwritev;
	ops.co_pwritev_durable = NULL;
	ops.co_fallocate = bad_fallocate;
	file->ops = &ops;
	CHECK(blk_file_set_align(file, BLOCK, SECTOR_SIZE) == 0);
}

/* Is the header or L1 unreadable? Without them the image cannot be opened. */
static bool image_is_lost(const struct geometry *geo)
{
	return is_bad(0, (uint64_t)geo->cluster_size * (1 + geo->table_size));
}

static bool co_check(struct blk_node *node)
{
	struct blk_check_result result = { 0 };
	int ret = blk_co_check(node, 0, NULL, NULL, &result, NULL);

	if ((ret && ret != -EIO) || result.corruptions)
		printf("# with an unreadable block a check ends with %d, %" PRIu64 " corruptions\n",
		       ret, result.corruptions);
	return (!ret || ret == -EIO) && !result.corruptions;
}

/* Check that readable sectors have versions that the model allows. */
static bool co_read(struct judge *judge, struct blk_node *node, uint64_t position)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t sectors = arena_sectors(geo), sector;

	for (uint64_t s = 0; s < sectors; s += BLOCK_SECTORS) {
		uint64_t n = min_u64(BLOCK_SECTORS, sectors - s);
		int ret = blk_co_pread(node, guest_sector(geo, s) * SECTOR_SIZE, n * SECTOR_SIZE,
				       judge->content + s * SECTOR_SIZE, 0);

		if (ret && ret != -EIO) {
			printf("# reading beside an unreadable block: %s\n", strerror(-ret));
			return false;
		}
		for (uint64_t i = s; !ret && i < s + n; i++)
			if (!model_allows(&judge->model, i, position,
					  judge_version(judge, i, &sector))) {
				judge_explain(judge, i, position);
				return false;
			}
	}
	return true;
}

static bool co_look(struct judge *judge, uint64_t position)
{
	struct blk_open_opts opts = { .format = "qed" };
	struct blk_node *node;
	bool ok;
	int ret;

	bad.name = judge->files->image[FILE_TOP].crash;
	ret = blk_co_open(&node, bad.name, &opts, NULL);
	if (ret) {
		judge->refused = true;
		ok = ret == -EIO && image_is_lost(&judge->rec->geo);
		if (!ok)
			printf("# it does not open: %s\n", strerror(-ret));
	} else {
		ok = co_check(node) && co_read(judge, node, position);
		CHECK(blk_co_close(node) == 0);
	}
	bad.name = NULL;
	return ok;
}

/* Write to a copy; update @wanted after successful writes, and set @unknown after failed ones. */
static bool co_write(const struct judge *judge, uint64_t random, uint8_t *wanted, bool *unknown)
{
	const struct geometry *geo = &judge->rec->geo;
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR };
	struct blk_node *node;
	int ret;

	bad.name = judge->files->copy;
	ret = blk_co_open(&node, bad.name, &opts, NULL);
	for (unsigned int i = 0; !ret && i < WRITES; i++) {
		uint64_t block = next_random(&random) % (geo->size / BLOCK);
		uint8_t *content = wanted + block * BLOCK;

		for (uint64_t s = 0; s < BLOCK_SECTORS; s++)
			sector_fill(content + s * SECTOR_SIZE, block * BLOCK_SECTORS + s,
				    VERSION_GARBAGE - 1);
		ret = blk_co_pwrite(node, block * BLOCK, BLOCK, content, 0);
		unknown[block] = ret;
		if (ret == -EIO)
			ret = 0;
		if (i % 10 == 9)
			aio_co_sleep(2000000); /* let the search for leaks proceed */
	}
	if (node)
		(void)blk_co_close(node);
	bad.name = NULL;
	if (ret && ret != -EIO)
		printf("# writing beside an unreadable block: %s\n", strerror(-ret));
	return !ret || ret == -EIO;
}

static bool co_go_on(struct judge *judge, uint64_t random)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t bytes = round_up(geo->size, BLOCK);
	uint8_t *again = aligned_alloc(BLOCK, bytes), *wanted = aligned_alloc(BLOCK, bytes);
	bool *unknown = calloc(bytes / BLOCK, sizeof(*unknown));
	bool ok;

	CHECK(again && wanted && unknown);
	memcpy(wanted, judge->content, geo->size);
	copy_sparse(judge->files->image[FILE_TOP].crash, judge->files->copy);
	ok = co_write(judge, random, wanted, unknown) &&
	     judge_co_read(judge->rec, judge->files->copy, again);
	for (uint64_t b = 0; ok && b < geo->size / BLOCK; b++)
		ok = unknown[b] || !memcmp(again + b * BLOCK, wanted + b * BLOCK, BLOCK);
	if (!ok)
		printf("# that is after writing beside an unreadable block\n");
	free(unknown);
	free(wanted);
	free(again);
	return ok;
}

bool unreadable_co_judge(struct judge *judge, uint64_t position, uint64_t random)
{
	judge->refused = false;
	if (bad.nr && !co_look(judge, position))
		return false;
	judge->nr_refused += judge->refused;
	/* With all blocks readable again. */
	if (!judge_co_image(judge, position))
		return false;
	return !bad.nr || random % 8 || co_go_on(judge, random);
}

void unreadable_explain(void)
{
	for (unsigned int i = 0; i < bad.nr; i++)
		printf("#   block 0x%" PRIx64 " cannot be read\n", bad.block[i]);
}
