// SPDX-License-Identifier: GPL-2.0
/*
 * The guest: workers that write, zero, discard, flush and read.
 *
 * Every block of the arena has one owner, the only worker that changes it, one request
 * after another. The first quarter is assigned by single blocks and the second by
 * parts of clusters, so that clusters have several owners; the third by clusters, the
 * last by runs of clusters. After that comes the scratch, which all workers change
 * concurrently, so that requests overlap in flight. Its content matters little, but
 * must not appear elsewhere.
 *
 * Where the disk changes its size, there is no scratch: the first worker owns all that the disk
 * may lack, and is the only one that changes the size.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aio/sys.h"
#include "block/io.h"
#include "crash.h"

#define MAX_WRITE (32 * BLOCK)

struct worker {
	struct guest *guest;
	unsigned int owner;
	uint64_t random;
	uint8_t *buf; /* MAX_WRITE bytes and some more, to start at any sector of a page */
};

/* A range of arena sectors in one spot. */
struct range {
	uint64_t sector, count;
};

/* Return the number of sectors with an owner: all before the scratch. */
static uint64_t owned_sectors(const struct geometry *geo)
{
	return arena_sectors(geo) - geo->scratch;
}

static uint64_t owned_blocks(const struct geometry *geo)
{
	if (geo->spots > 1)
		return geo->spots * div_round_up(geo->spot_bytes, BLOCK);
	return div_round_up(geo->size / SECTOR_SIZE - geo->scratch, BLOCK_SECTORS);
}

static unsigned int owner_of(const struct guest *guest, uint64_t block)
{
	const struct geometry *geo = &guest->rec->geo;
	uint64_t per_cluster = geo->cluster_size / BLOCK;
	uint64_t unit[4] = { 1, max_u64(per_cluster / 2, 1), per_cluster, per_cluster * 4 };

	if (geo->least_size && (block + 1) * BLOCK > geo->least_size)
		return 0;
	return block / unit[block * 4 / owned_blocks(geo)] % guest->owners;
}

static struct range pick_scratch(struct worker *w, uint64_t max)
{
	const struct geometry *geo = &w->guest->rec->geo;
	uint64_t start = next_random(&w->random) % geo->scratch;
	uint64_t count = 1 + next_random(&w->random) % (max * BLOCK_SECTORS);

	if (next_random(&w->random) % 2)
		start = round_down(start, geo->cluster_size / SECTOR_SIZE);
	return (struct range){ arena_sectors(geo) - geo->scratch + start,
			       min_u64(count, geo->scratch - start) };
}

/*
 * Choose the first block: a random one. If the backing file changes while the guest
 * runs: before the change one in the second half, then one after another in the first
 * half, so that all workers meet in clusters not written before.
 */
static uint64_t first_block(struct worker *w, uint64_t blocks)
{
	if (!w->guest->streaming || w->guest->w->verb != CHAIN_TO_BASE)
		return next_random(&w->random) % blocks;
	if (w->guest->rec->header_written)
		return w->guest->next_block++ % (blocks / 2);
	return blocks / 2 + next_random(&w->random) % (blocks / 2);
}

/* Is the block one that the worker may change? No other worker changes the size meanwhile. */
static bool may_change(const struct worker *w, uint64_t block)
{
	const struct geometry *geo = &w->guest->rec->geo;

	if (owner_of(w->guest, block) != w->owner)
		return false;
	return !geo->least_size || block * BLOCK < atomic_load(&w->guest->node->size);
}

/* Choose a range of the worker's blocks, or of the scratch; at most @max blocks. */
static struct range pick(struct worker *w, uint64_t max)
{
	const struct geometry *geo = &w->guest->rec->geo;
	uint64_t blocks = owned_blocks(geo), per_spot = blocks / geo->spots;
	uint64_t block = first_block(w, blocks), count = 1, start, end;

	if (geo->scratch && next_random(&w->random) % 5 == 0)
		return pick_scratch(w, max);
	while (!may_change(w, block))
		block = (block + 1) % blocks;
	while (count < max && (block + count) % per_spot && may_change(w, block + count))
		count++;
	start = block / per_spot * geo->spot_bytes + block % per_spot * BLOCK;
	end = min_u64(start + count * BLOCK, (block / per_spot + 1) * geo->spot_bytes);
	if (geo->least_size && w->owner == 0)
		end = min_u64(end, atomic_load(&w->guest->node->size));
	return (struct range){ start / SECTOR_SIZE, (end - start) / SECTOR_SIZE };
}

/* Sometimes cut some sectors off the ends. */
static void trim(struct worker *w, struct range *range)
{
	uint64_t head, tail;

	if (next_random(&w->random) % 3)
		return;
	head = next_random(&w->random) % min_u64(range->count, BLOCK_SECTORS);
	range->sector += head;
	range->count -= head;
	tail = next_random(&w->random) % min_u64(range->count, BLOCK_SECTORS);
	range->count -= tail;
}

static uint64_t offset_of(const struct worker *w, const struct range *range)
{
	return guest_sector(&w->guest->rec->geo, range->sector) * SECTOR_SIZE;
}

static void fail(struct worker *w, const char *what, uint64_t offset, int ret)
{
	if (!atomic_exchange(&w->guest->failed, true))
		printf("# %s at guest offset 0x%" PRIx64 ": %s\n", what, offset,
		       ret ? strerror(-ret) : "not what was written last");
}

static size_t issue(struct worker *w, enum guest_kind kind, bool fua, const struct range *range)
{
	size_t index = record_issue(w->guest->rec, kind, fua, range->sector, range->count);
	uint32_t version = kind == GUEST_WRITE ?
				   w->guest->rec->geo.first_version + (uint32_t)index :
				   VERSION_ZERO;

	for (uint64_t s = range->sector; s < range->sector + range->count; s++)
		if (s < owned_sectors(&w->guest->rec->geo))
			w->guest->current[s] = version;
	return index;
}

static void answered(struct worker *w, size_t index, const char *what, uint64_t offset, int ret)
{
	struct record *rec = w->guest->rec;
	const struct guest_op *op;

	if (!ret) {
		record_ack(rec, index);
		return;
	}
	if (!rec->faults.failing && !rec->faults.dead)
		fail(w, what, offset, ret);
	/* Part of the failed write may be there. */
	pthread_mutex_lock(&rec->lock);
	op = &rec->guest[index];
	for (uint64_t s = op->sector; s < op->sector + op->count; s++)
		if (s < owned_sectors(&rec->geo))
			w->guest->current[s] = VERSION_GARBAGE;
	pthread_mutex_unlock(&rec->lock);
}

/*
 * Write like a block device's request that needs no coroutine: directly to the image
 * file. Returns false if that is impossible.
 */
static bool write_directly(struct worker *w, uint64_t offset, uint64_t bytes, uint8_t *buf,
			   int *ret)
{
	struct blk_node *node = w->guest->node;
	unsigned int token = inflight_begin(&node->inflight);
	struct iovec iov = { buf, bytes };
	struct blk_map map;
	bool can;

	blk_map_write(node, offset, bytes, &map);
	can = map.kind == BLK_MAP_DATA && map.bytes == bytes &&
	      blk_file_is_aligned(map.file, buf, bytes, map.file_offset);
	/* Delay the write: its mapping must stay valid however slow the request is. */
	if (can && next_random(&w->random) % 4 == 0)
		aio_co_sleep(next_random(&w->random) % 3000000);
	if (can)
		*ret = map.file->ops->co_pwritev(map.file, &iov, 1, map.file_offset) < 0 ? -EIO : 0;
	inflight_end(&node->inflight, token);
	return can;
}

static void do_write(struct worker *w, bool fua)
{
	struct range range = pick(w, 1 + next_random(&w->random) % (MAX_WRITE / BLOCK));
	uint8_t *buf = w->buf + next_random(&w->random) % BLOCK_SECTORS * SECTOR_SIZE;
	uint64_t offset, bytes;
	int ret = 0;
	size_t op;

	trim(w, &range);
	offset = offset_of(w, &range);
	bytes = range.count * SECTOR_SIZE;
	if (next_random(&w->random) % 2)
		buf = w->buf;
	op = issue(w, GUEST_WRITE, fua, &range);
	for (uint64_t s = 0; s < range.count; s++)
		sector_fill(buf + s * SECTOR_SIZE, offset / SECTOR_SIZE + s,
			    w->guest->rec->geo.first_version + (uint32_t)op);
	if (fua || next_random(&w->random) % 2 || !write_directly(w, offset, bytes, buf, &ret))
		ret = blk_co_pwrite(w->guest->node, offset, bytes, buf, fua ? BLK_REQ_FUA : 0);
	answered(w, op, "a write", offset, ret);
}

static void do_zeroes(struct worker *w)
{
	struct range range = pick(w, 1 + next_random(&w->random) % 64);
	bool unmap = next_random(&w->random) % 2, fua = next_random(&w->random) % 8 == 0;
	unsigned int flags = (unmap ? BLK_REQ_MAY_UNMAP : 0) | (fua ? BLK_REQ_FUA : 0);
	size_t op;
	int ret;

	trim(w, &range);
	op = issue(w, unmap ? GUEST_ZERO_UNMAP : GUEST_ZERO_KEEP, fua, &range);
	ret = blk_co_pwrite_zeroes(w->guest->node, offset_of(w, &range), range.count * SECTOR_SIZE,
				   flags);
	answered(w, op, "write-zeroes", offset_of(w, &range), ret);
}

/* Return the whole clusters of a range; the disk's last one may be short. */
static struct range whole_clusters(const struct worker *w, const struct range *range)
{
	const struct geometry *geo = &w->guest->rec->geo;
	uint64_t per_cluster = geo->cluster_size / SECTOR_SIZE;
	uint64_t first = guest_sector(geo, range->sector), end = first + range->count;
	uint64_t start = round_up(first, per_cluster);

	if (end * SECTOR_SIZE != atomic_load(&w->guest->node->size))
		end = round_down(end, per_cluster);
	return (struct range){ range->sector + (start - first), end > start ? end - start : 0 };
}

/* Discard a range; partial clusters at its ends do not change. */
static void do_discard(struct worker *w)
{
	struct range range, whole = { 0 };
	size_t op;
	int ret;

	for (unsigned int tries = 0; !whole.count && tries < 8; tries++) {
		range = pick(w, 64);
		trim(w, &range);
		whole = whole_clusters(w, &range);
	}
	if (!whole.count)
		return;
	op = issue(w, GUEST_DISCARD, false, &whole);
	ret = blk_co_pdiscard(w->guest->node, offset_of(w, &range), range.count * SECTOR_SIZE);
	answered(w, op, "a discard", offset_of(w, &range), ret);
}

/* Make the disk shorter, or longer, in which case it gains zeroes. */
static void do_resize(struct worker *w)
{
	const struct geometry *geo = &w->guest->rec->geo;
	uint64_t least = geo->least_size / SECTOR_SIZE, most = geo->size / SECTOR_SIZE;
	uint64_t old = atomic_load(&w->guest->node->size) / SECTOR_SIZE;
	uint64_t now = least + 1 + next_random(&w->random) % (most - least);
	struct range lost;
	size_t op = 0;
	int ret;

	if (next_random(&w->random) % 3 == 0)
		now = min_u64(round_up(now, geo->cluster_size / SECTOR_SIZE), most);
	lost = (struct range){ now, now < old ? old - now : 0 };
	if (lost.count)
		op = issue(w, GUEST_CUT, true, &lost);
	ret = blk_co_truncate(w->guest->node, now * SECTOR_SIZE, NULL);
	if (lost.count)
		answered(w, op, "making the disk shorter", now * SECTOR_SIZE, ret);
	else if (ret && !w->guest->rec->faults.dead)
		fail(w, "making the disk longer", old * SECTOR_SIZE, ret);
	w->guest->resized += !ret && now != old;
}

static void do_flush(struct worker *w)
{
	struct range none = { 0 };
	size_t op = issue(w, GUEST_FLUSH, false, &none);

	answered(w, op, "a flush", 0, blk_co_flush(w->guest->node));
}

/* Does the sector have what the worker wrote last, or the initial content? */
static bool reads_right(const struct worker *w, uint64_t s, const void *found)
{
	const struct geometry *geo = &w->guest->rec->geo;
	uint64_t sector = named_sector(geo, s, VERSION_ZERO);
	uint32_t version = sector_identify(found, &sector);

	if (w->guest->current[s] == VERSION_GARBAGE || w->guest->rec->faults.lossy)
		return version != VERSION_GARBAGE && sector == named_sector(geo, s, version);
	return version == w->guest->current[s] && sector == named_sector(geo, s, version);
}

static void tell_read(const struct worker *w, uint64_t s, const void *found)
{
	uint64_t sector = 0;
	uint32_t version = sector_identify(found, &sector);

	printf("#   sector %" PRIu64 " in version %u, not %u, at position %" PRIu64 "\n", sector,
	       version, w->guest->current[s], w->guest->rec->position);
}

static void do_read(struct worker *w)
{
	const struct geometry *geo = &w->guest->rec->geo;
	uint64_t owned = owned_sectors(geo);
	bool own = next_random(&w->random) % 2;
	struct range range = pick(w, MAX_WRITE / BLOCK);
	int ret;

	trim(w, &range);
	/* Read blocks of other workers, too, so that copy-on-read keeps them. */
	if (!own)
		range.sector = min_u64(next_random(&w->random) % geo->spots * geo->spot_bytes +
					       next_random(&w->random) % geo->spot_bytes,
				       (geo->spots * geo->spot_bytes) - SECTOR_SIZE) /
			       SECTOR_SIZE;
	range.count = min_u64(range.count, geo->spot_bytes / SECTOR_SIZE -
						   range.sector % (geo->spot_bytes / SECTOR_SIZE));
	ret = blk_co_pread(w->guest->node, offset_of(w, &range), range.count * SECTOR_SIZE, w->buf,
			   0);
	if (ret) {
		bool may_lack = geo->least_size &&
				offset_of(w, &range) + range.count * SECTOR_SIZE > geo->least_size;

		if (!w->guest->rec->faults.failing && !w->guest->rec->faults.dead && !may_lack)
			fail(w, "a read", offset_of(w, &range), ret);
		return;
	}
	for (uint64_t s = 0; own && s < range.count && range.sector + s < owned; s++)
		if (!reads_right(w, range.sector + s, w->buf + s * SECTOR_SIZE)) {
			fail(w, "a read", offset_of(w, &range) + s * SECTOR_SIZE, 0);
			tell_read(w, range.sector + s, w->buf + s * SECTOR_SIZE);
			return;
		}
}

/*
 * Yield until the stream changes the backing file, or a timeout, so that half of the
 * requests come afterwards.
 */
static void await_change(const struct guest *guest)
{
	for (unsigned int i = 0; i < 5000 && !guest->rec->header_written; i++)
		aio_co_sleep(100000);
}

void guest_co_work(struct guest *guest, unsigned int owner, unsigned int ops, uint64_t seed)
{
	struct worker w = { .guest = guest, .owner = owner, .random = mix64(seed) };
	const struct workload *load = guest->w;

	w.buf = aligned_alloc(BLOCK, MAX_WRITE + BLOCK);
	CHECK(w.buf);
	for (unsigned int i = 0; i < ops && !guest->failed && !guest->rec->faults.dead; i++) {
		unsigned int op = next_random(&w.random) % 100;

		if (i == ops / 2 && guest->streaming && load->verb == CHAIN_TO_BASE)
			await_change(guest);
		if (!owner && load->resizes && next_random(&w.random) % 100 < load->resizes)
			do_resize(&w);
		else if (op < load->writes)
			do_write(&w, false);
		else if ((op -= load->writes) < load->fuas)
			do_write(&w, true);
		else if ((op -= load->fuas) < load->zeroes)
			do_zeroes(&w);
		else if ((op -= load->zeroes) < load->discards)
			do_discard(&w);
		else if ((op -= load->discards) < load->flushes)
			do_flush(&w);
		else
			do_read(&w);
	}
	free(w.buf);
}
