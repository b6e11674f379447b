// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder: what reaches the image file, and what the guest asks and is
 * told, in one order.
 *
 * It sits between the block layer and the kernel from the moment the file is
 * opened: the linker hands blk_file_co_open() of the whole program to the
 * function below (--wrap).  Operations are delayed a little, at random, so that
 * those of one loop, too, overlap and end in any order.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "aio/co.h"
#include "aio/io.h"
#include "block/file.h"
#include "crash.h"

static struct record *recording;
static const struct files *recorded_files;

/* What the operations of an open file are noted with. */
static struct recorded {
	struct record *rec;
	unsigned int file;
} recorded[MAX_FILES];

void record_init(struct record *rec, const struct geometry *geo)
{
	memset(rec, 0, sizeof(*rec));
	rec->geo = *geo;
	rec->jitter = mix64(geo->seed);
	pthread_mutex_init(&rec->lock, NULL);
	rec->initial = calloc(arena_sectors(geo), sizeof(*rec->initial));
	CHECK(rec->initial);
}

void record_destroy(struct record *rec)
{
	for (size_t i = 0; i < rec->nr_ops; i++)
		free(rec->ops[i].data);
	free(rec->ops);
	free(rec->guest);
	free(rec->initial);
	pthread_mutex_destroy(&rec->lock);
}

void record_files(struct record *rec, const struct files *files)
{
	recording = rec;
	recorded_files = files;
	for (unsigned int i = 0; i < MAX_FILES; i++)
		recorded[i] = (struct recorded){ rec, i };
}

static void *make_room(void *array, size_t nr, size_t *room, size_t size)
{
	if (nr < *room)
		return array;
	*room = *room ? *room * 2 : 1024;
	array = reallocarray(array, *room, size);
	CHECK(array);
	return array;
}

size_t record_issue(struct record *rec, enum guest_kind kind, bool fua, uint64_t sector,
		    uint64_t count)
{
	struct guest_op op = { kind, fua, 0, NEVER, sector, count };
	size_t index;

	pthread_mutex_lock(&rec->lock);
	rec->guest = make_room(rec->guest, rec->nr_guest, &rec->room_guest, sizeof(op));
	op.issue = ++rec->position;
	index = rec->nr_guest++;
	rec->guest[index] = op;
	pthread_mutex_unlock(&rec->lock);
	return index;
}

void record_ack(struct record *rec, size_t index)
{
	pthread_mutex_lock(&rec->lock);
	rec->guest[index].ack = ++rec->position;
	pthread_mutex_unlock(&rec->lock);
}

static size_t op_start(const struct recorded *r, enum rec_kind kind, uint64_t offset, uint64_t len,
		       uint8_t *data)
{
	struct rec_op op = { kind, r->file, 0, NEVER, offset, len, data };
	struct record *rec = r->rec;
	size_t index;

	pthread_mutex_lock(&rec->lock);
	rec->ops = make_room(rec->ops, rec->nr_ops, &rec->room_ops, sizeof(op));
	op.start = ++rec->position;
	index = rec->nr_ops++;
	rec->ops[index] = op;
	pthread_mutex_unlock(&rec->lock);
	return index;
}

/* The caller learns of it after this, so that it was complete whatever began later. */
static void op_end(struct record *rec, size_t index, bool ok)
{
	pthread_mutex_lock(&rec->lock);
	rec->ops[index].end = ++rec->position;
	if (!ok)
		rec->ops[index].kind = REC_NONE;
	pthread_mutex_unlock(&rec->lock);
}

/* Let others go first, for a few turns of the loop or for longer. */
static void delay(struct record *rec)
{
	uint64_t r = mix64(rec->jitter++);

	if (r % 64 == 0)
		aio_co_sleep(1000 * (r >> 32) % 300000);
	else if (r % 4 == 0)
		for (uint64_t turns = (r >> 32) % 12; turns; turns--) {
			co_wake(co_self());
			co_park();
		}
}

static ssize_t recorded_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	struct recorded *r = file->ops_data;
	ssize_t ret;

	delay(r->rec);
	ret = blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
	delay(r->rec);
	return ret;
}

static ssize_t recorded_write(struct blk_file *file, enum rec_kind kind, const struct iovec *iov,
			      int iovcnt, uint64_t offset)
{
	struct recorded *r = file->ops_data;
	size_t len = 0, op;
	uint8_t *data;
	ssize_t ret;

	for (int i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	data = malloc(len);
	CHECK(data);
	for (size_t i = 0, pos = 0; i < (size_t)iovcnt; pos += iov[i++].iov_len)
		memcpy(data + pos, iov[i].iov_base, iov[i].iov_len);
	op = op_start(r, kind, offset, len, data);
	delay(r->rec);
	ret = blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
	delay(r->rec);
	op_end(r->rec, op, ret == (ssize_t)len);
	return ret;
}

static ssize_t recorded_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
				uint64_t offset)
{
	return recorded_write(file, REC_WRITE, iov, iovcnt, offset);
}

static ssize_t recorded_pwritev_durable(struct blk_file *file, const struct iovec *iov, int iovcnt,
					uint64_t offset)
{
	return recorded_write(file, REC_DURABLE_WRITE, iov, iovcnt, offset);
}

static int recorded_flush(struct blk_file *file)
{
	struct recorded *r = file->ops_data;
	size_t op = op_start(r, REC_FLUSH, 0, 0, NULL);
	int ret;

	delay(r->rec);
	ret = blk_file_kernel_ops.co_flush(file);
	delay(r->rec);
	op_end(r->rec, op, ret == 0);
	return ret;
}

/* tmpfs has no ZERO_RANGE; inside the file a hole reads the same. */
static int zero_or_punch(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret = blk_file_kernel_ops.co_fallocate(file, mode, offset, len);

	if (ret == -EOPNOTSUPP && offset + len <= file->size)
		ret = blk_file_kernel_ops.co_fallocate(
			file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);
	return ret;
}

static int recorded_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	struct recorded *r = file->ops_data;
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;
	size_t op;
	int ret;

	/* Space for later: changes nothing that anybody can read. */
	if (mode == FALLOC_FL_KEEP_SIZE)
		return blk_file_kernel_ops.co_fallocate(file, mode, offset, len);
	CHECK(punch || (mode & FALLOC_FL_ZERO_RANGE));
	op = op_start(r, punch ? REC_PUNCH : REC_ZERO, offset, len, NULL);
	delay(r->rec);
	ret = zero_or_punch(file, mode, offset, len);
	delay(r->rec);
	op_end(r->rec, op, ret == 0);
	return ret;
}

static int recorded_truncate(struct blk_file *file, uint64_t size)
{
	struct recorded *r = file->ops_data;
	size_t op = op_start(r, REC_TRUNCATE, file->size, size, NULL);
	int ret;

	delay(r->rec);
	ret = blk_file_kernel_ops.co_truncate(file, size);
	delay(r->rec);
	op_end(r->rec, op, ret == 0);
	return ret;
}

static const struct blk_file_ops recorded_ops = {
	.co_preadv = recorded_preadv,
	.co_pwritev = recorded_pwritev,
	.co_pwritev_durable = recorded_pwritev_durable,
	.co_flush = recorded_flush,
	.co_fallocate = recorded_fallocate,
	.co_truncate = recorded_truncate,
};

int __real_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err);
int __wrap_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err);

int __wrap_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err)
{
	int ret = __real_blk_file_co_open(file, name, flags, perm, shared, err);
	struct recorded *r = NULL;

	if (ret || !recording)
		return ret;
	for (unsigned int i = 0; i < nr_files(&recording->geo); i++)
		if (!strcmp(name, recorded_files->image[i].live))
			r = &recorded[i];
	if (!r && strcmp(name, recorded_files->backing))
		return 0;
	/* Nobody writes to the backing file, so that nothing of it is recorded. */
	(*file)->ops = &recorded_ops;
	(*file)->ops_data = r ? r : &recorded[FILE_TOP];
	/* Playing O_DIRECT, with all that goes with it. */
	if (r && recording->geo.align > 1) {
		CHECK(blk_file_set_align(*file, recording->geo.align, 512) == 0);
		(*file)->direct = true;
	}
	return 0;
}
