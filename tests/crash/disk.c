// SPDX-License-Identifier: GPL-2.0
/*
 * The state of an image file after a loss of power.
 *
 * A flush makes the operations durable that had completed when it started. Of every other operation
 * that started before the crash any part may survive: none of it, all of it, or some of its sectors
 * (512 bytes or 4 KiB); growing or truncating the file happens or does not. They are applied in the
 * order of their starts. One that is not durable yet and started before a durable one was in flight
 * together with it, so either of them may be the later one on the disk.
 *
 * A durable write survives once it has completed, and makes the operations that it overwrites
 * irrelevant.
 *
 * Size and data are separate: a write within a file whose growth is lost is lost with it. Only a
 * write across the end of the file itself also grows the file.
 *
 * Data that a failed flush dropped stays lost: no later flush makes it durable.
 *
 * The file has the durable state; the survivors are applied to it for each crash image, and undone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/zero.h"
#include "crash.h"

/* How the survivors of one image are chosen. */
enum choice {
	CHOOSE_NONE,
	CHOOSE_ALL,
	CHOOSE_EACH, /* each independently, with one probability for all */
	CHOOSE_BUT_ONE, /* all except one, which is lost or torn */
	CHOOSE_ONE, /* only one */
	CHOOSE_FIRST, /* the first ones, the last of them torn */
	CHOICES
};

void disk_open(struct disk *disk, const struct record *rec, unsigned int file, const char *path)
{
	struct stat st;

	memset(disk, 0, sizeof(*disk));
	disk->rec = rec;
	disk->file = file;
	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(disk->fd >= 0 && fstat(disk->fd, &st) == 0);
	disk->size = disk->physical = st.st_size;
	disk->durable = calloc(rec->nr_ops + 1, sizeof(*disk->durable));
	disk->survivors = calloc(rec->nr_ops + 1, sizeof(*disk->survivors));
	CHECK(disk->durable && disk->survivors);
	for (size_t i = 0; i < rec->nr_ops; i++)
		disk->durable[i] = rec->ops[i].file != file;
}

void disk_close(struct disk *disk)
{
	while (disk->nr_undo)
		free(disk->undo[--disk->nr_undo].data);
	free(disk->undo);
	free(disk->durable);
	free(disk->survivors);
	close(disk->fd);
}

static uint64_t file_size(const struct disk *disk)
{
	struct stat st;

	CHECK(fstat(disk->fd, &st) == 0);
	return st.st_size;
}

static void put_bytes(const struct disk *disk, const uint8_t *data, uint64_t offset, uint64_t len)
{
	/* Keep holes, so that the file takes no more memory than the real one. */
	if (!data || buffer_is_zero(data, len)) {
		if (offset + len > file_size(disk))
			CHECK(ftruncate(disk->fd, offset + len) == 0);
		CHECK(fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
				len) == 0);
		return;
	}
	CHECK(pwrite(disk->fd, data, len, offset) == (ssize_t)len);
}

/* Save the content of [@offset, @offset + @len), up to the end of the file, for undo. */
static void remember(struct disk *disk, uint64_t offset, uint64_t len)
{
	uint64_t size = file_size(disk);
	struct undo *undo;

	if (offset >= size)
		return;
	if (disk->nr_undo == disk->room_undo) {
		disk->room_undo = disk->room_undo ? disk->room_undo * 2 : 64;
		disk->undo = reallocarray(disk->undo, disk->room_undo, sizeof(*disk->undo));
		CHECK(disk->undo);
	}
	undo = &disk->undo[disk->nr_undo++];
	undo->offset = offset;
	undo->len = min_u64(len, size - offset);
	undo->data = malloc(undo->len);
	CHECK(undo->data);
	CHECK(pread(disk->fd, undo->data, undo->len, offset) == (ssize_t)undo->len);
}

/* Save the data that truncating the file to @size removes. */
static void remember_tail(struct disk *disk, uint64_t size)
{
	off_t pos = size, end;

	while ((pos = lseek(disk->fd, pos, SEEK_DATA)) >= 0) {
		end = lseek(disk->fd, pos, SEEK_HOLE);
		CHECK(end > pos);
		remember(disk, pos, end - pos);
		pos = end;
	}
	CHECK(errno == ENXIO);
}

void disk_undo(struct disk *disk)
{
	if (file_size(disk) != disk->physical)
		CHECK(ftruncate(disk->fd, disk->physical) == 0);
	while (disk->nr_undo) {
		struct undo *undo = &disk->undo[--disk->nr_undo];

		put_bytes(disk, undo->data, undo->offset, undo->len);
		free(undo->data);
	}
	if (file_size(disk) != disk->physical)
		CHECK(ftruncate(disk->fd, disk->physical) == 0);
	disk->nr_survivors = 0;
}

static void cut(struct disk *disk, uint64_t size, bool for_good)
{
	if (file_size(disk) <= size)
		return;
	if (!for_good)
		remember_tail(disk, size);
	CHECK(ftruncate(disk->fd, size) == 0);
}

static uint64_t *size_of(struct disk *disk, bool for_good)
{
	return for_good ? &disk->size : &disk->limit;
}

static void apply_truncate(struct disk *disk, const struct rec_op *op, bool for_good)
{
	uint64_t before = op->offset, after = op->len, *size = size_of(disk, for_good);

	/* Growing never truncates data that another operation wrote further on, and the reverse. */
	if (after < before)
		cut(disk, after, for_good);
	*size = after >= before ? max_u64(*size, after) : min_u64(*size, after);
}

/* Apply a part of an operation; @for_good: permanently, without undo. */
static void apply_range(struct disk *disk, const struct rec_op *op, uint64_t from, uint64_t to,
			bool for_good)
{
	if (op->kind == REC_PUNCH) /* never grows the file */
		to = min_u64(to, max_u64(from, file_size(disk)));
	if (from == to)
		return;
	if (!for_good)
		remember(disk, from, to - from);
	put_bytes(disk, op->data ? op->data + (from - op->offset) : NULL, from, to - from);
	if (op->grows)
		*size_of(disk, for_good) = max_u64(*size_of(disk, for_good), to);
}

static void apply_whole(struct disk *disk, const struct rec_op *op, bool for_good)
{
	switch (op->kind) {
	case REC_WRITE:
	case REC_DURABLE_WRITE:
	case REC_PUNCH:
	case REC_ZERO:
		apply_range(disk, op, op->offset, op->offset + op->len, for_good);
		break;
	case REC_TRUNCATE:
		apply_truncate(disk, op, for_good);
		break;
	case REC_NONE:
	case REC_FLUSH:
		break;
	}
}

/* Return the end of the disk's sector that contains @offset. */
static uint64_t sector_end(const struct disk *disk, uint64_t offset)
{
	return round_down(offset, disk->rec->geo.sector) + disk->rec->geo.sector;
}

/* Choose the surviving sectors of a torn operation: the first, the last, or any, few or many. */
static bool sector_survives(uint64_t random, uint64_t index, uint64_t count)
{
	uint64_t cut = (random >> 8) % (count + 1);

	switch (random % 4) {
	case 0:
		return index < cut;
	case 1:
		return index >= cut;
	default:
		return mix64(random ^ index << 40) % 8 < 1 + (random >> 4) % 7;
	}
}

static uint64_t apply_torn(struct disk *disk, const struct rec_op *op, uint64_t random)
{
	uint64_t end = op->offset + op->len, sectors = 0, index = 0;
	uint64_t unit = disk->rec->geo.sector;
	uint64_t count = (round_up(end, unit) - round_down(op->offset, unit)) / unit;
	uint64_t pos = op->offset;

	while (pos < end) {
		uint64_t from = pos;

		while (pos < end && sector_survives(random, index, count)) {
			sectors |= index < 64 ? 1ULL << index : 0;
			pos = min_u64(sector_end(disk, pos), end);
			index++;
		}
		apply_range(disk, op, from, pos, false);
		for (; pos < end && !sector_survives(random, index, count); index++)
			pos = min_u64(sector_end(disk, pos), end);
	}
	return sectors;
}

bool disk_lies_below(const struct rec_op *op, const struct rec_op *over)
{
	if (op->kind == REC_NONE || op->kind == REC_FLUSH || op->kind == REC_TRUNCATE)
		return false;
	return op->end < over->start && op->offset < over->offset + over->len &&
	       over->offset < op->offset + op->len;
}

/* Make operation @i durable, with those that it overwrites, which cannot reappear. */
static void make_durable(struct disk *disk, size_t i)
{
	const struct rec_op *ops = disk->rec->ops;

	for (size_t below = disk->first_pending; below < i; below++)
		if (!disk->durable[below] && disk_lies_below(&ops[below], &ops[i]))
			make_durable(disk, below);
	apply_whole(disk, &ops[i], true);
	disk->durable[i] = true;
}

/* Apply the durable writes that completed by @position. */
static void settle_writes(struct disk *disk, uint64_t position)
{
	const struct record *rec = disk->rec;

	for (size_t i = disk->first_pending; i < rec->nr_ops && rec->ops[i].start <= position; i++)
		if (rec->ops[i].kind == REC_DURABLE_WRITE && !disk->durable[i] &&
		    rec->ops[i].end <= position)
			make_durable(disk, i);
}

/* Drop the data lost by failed flushes that completed by @position. */
static void settle_losses(struct disk *disk, uint64_t position)
{
	const struct record *rec = disk->rec;

	for (size_t i = disk->first_pending; i < rec->nr_ops && rec->ops[i].start <= position; i++)
		if (rec->ops[i].lost <= position)
			disk->durable[i] = true;
}

void disk_settle(struct disk *disk, uint64_t position)
{
	const struct record *rec = disk->rec;
	uint64_t settled = disk->settled;

	settle_losses(disk, position);
	for (size_t i = disk->first_pending; i < rec->nr_ops && rec->ops[i].start <= position; i++)
		if (rec->ops[i].kind == REC_FLUSH && rec->ops[i].file == disk->file &&
		    rec->ops[i].end <= position)
			settled = max_u64(settled, rec->ops[i].start);
	disk->settled = settled;
	for (size_t i = disk->first_pending; i < rec->nr_ops && rec->ops[i].start < settled; i++) {
		if (disk->durable[i] || rec->ops[i].end >= settled)
			continue;
		apply_whole(disk, &rec->ops[i], true);
		disk->durable[i] = true;
	}
	settle_writes(disk, position);
	while (disk->first_pending < rec->nr_ops && disk->durable[disk->first_pending])
		disk->first_pending++;
	if (file_size(disk) < disk->size)
		CHECK(ftruncate(disk->fd, disk->size) == 0);
	disk->physical = file_size(disk);
}

static enum fate choose(enum choice choice, size_t i, size_t n, uint64_t image_random,
			uint64_t random)
{
	size_t chosen = (image_random >> 16) % n;
	enum fate some = random >> 8 & 1 ? FATE_TORN : FATE_WHOLE;

	switch (choice) {
	case CHOOSE_NONE:
		return FATE_LOST;
	case CHOOSE_ALL:
		return FATE_WHOLE;
	case CHOOSE_EACH:
		return (random >> 16) % 8 < 1 + (image_random >> 8) % 7 ? some : FATE_LOST;
	case CHOOSE_BUT_ONE:
		if (i != chosen)
			return FATE_WHOLE;
		return some == FATE_TORN ? FATE_TORN : FATE_LOST;
	case CHOOSE_ONE:
		return i == chosen ? some : FATE_LOST;
	case CHOOSE_FIRST:
		return i < chosen ? FATE_WHOLE : i == chosen ? FATE_TORN : FATE_LOST;
	case CHOICES:
		break;
	}
	return FATE_LOST;
}

/* Collect the operations started by now that are not durable. */
static void collect_pending(struct disk *disk)
{
	const struct record *rec = disk->rec;

	disk->nr_survivors = 0;
	for (size_t i = disk->first_pending; i < rec->nr_ops; i++) {
		const struct rec_op *op = &rec->ops[i];

		if (op->start > disk->position)
			break;
		if (!disk->durable[i] && op->kind != REC_FLUSH && op->kind != REC_NONE)
			disk->survivors[disk->nr_survivors++].op = i;
	}
}

void disk_crash(struct disk *disk, uint64_t position, uint64_t random)
{
	enum choice choice = random % CHOICES;

	disk_undo(disk);
	disk_settle(disk, position);
	disk->position = position;
	disk->limit = disk->size;
	collect_pending(disk);
	for (size_t i = 0; i < disk->nr_survivors; i++) {
		struct survivor *s = &disk->survivors[i];
		const struct rec_op *op = &disk->rec->ops[s->op];
		uint64_t op_random = mix64(random ^ s->op);

		s->fate = choose(choice, i, disk->nr_survivors, random, op_random);
		s->sectors = 0;
		if (s->fate == FATE_TORN && op->kind == REC_TRUNCATE)
			s->fate = FATE_LOST;
		if (s->fate == FATE_WHOLE)
			apply_whole(disk, op, false);
		else if (s->fate == FATE_TORN)
			s->sectors = apply_torn(disk, op, mix64(op_random));
	}
	cut(disk, disk->limit, false);
	if (file_size(disk) < disk->limit)
		CHECK(ftruncate(disk->fd, disk->limit) == 0);
}

void disk_replay(const struct record *rec, unsigned int file, const char *path)
{
	struct disk disk;

	disk_open(&disk, rec, file, path);
	for (size_t i = 0; i < rec->nr_ops; i++)
		if (!disk.durable[i] && rec->ops[i].lost == NEVER)
			apply_whole(&disk, &rec->ops[i], true);
	cut(&disk, disk.size, true);
	if (file_size(&disk) < disk.size)
		CHECK(ftruncate(disk.fd, disk.size) == 0);
	disk_close(&disk);
}

void disk_explain(const struct disk *disk)
{
	static const char *const kinds[] = { "nothing", "write",  "flush",	  "punch",
					     "zero",	"resize", "durable write" };
	static const char *const fates[] = { "lost", "there", "torn" };

	printf("# %s, 0x%" PRIx64 " bytes: durable: what returned before %" PRIu64
	       "; of the rest:\n",
	       disk->file == FILE_BASE ? "the base" : "the image", disk->limit, disk->settled);
	for (size_t i = 0; i < disk->nr_survivors; i++) {
		const struct survivor *s = &disk->survivors[i];
		const struct rec_op *op = &disk->rec->ops[s->op];

		printf("#   %-5s %-6s 0x%" PRIx64 " %c 0x%" PRIx64 " called %" PRIu64,
		       fates[s->fate], kinds[op->kind], op->offset,
		       op->kind == REC_TRUNCATE ? '>' : '+', op->len, op->start);
		if (op->end <= disk->position)
			printf(", returned %" PRIu64, op->end);
		if (s->fate == FATE_TORN)
			printf(", sectors 0x%" PRIx64, s->sectors);
		printf("\n");
	}
}
