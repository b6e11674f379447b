// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder: operations on the image file, and the guest's requests and
 * completions, in one order.
 *
 * It sits between the block layer and the kernel from the opening of a file on: the
 * linker redirects all calls of blk_file_co_open() to the function below (--wrap).
 * Operations get small random delays, so that even those of one loop overlap and end
 * in any order.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "file/file.h"
#include "crash.h"

/* The minimum duration of a header write that changes the backing file, in ns. */
#define CHANGE_NS 1500000ULL

static struct record *recording;
static const struct files *recorded_files;

/* The recorder's state of an open file. */
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

static void free_op(struct rec_op *op)
{
	free(op->data);
	free(op->old);
}

void record_destroy(struct record *rec)
{
	for (size_t i = 0; i < rec->nr_ops; i++)
		free_op(&rec->ops[i]);
	free(rec->ops);
	free(rec->guest);
	free(rec->restarts);
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

void record_pause(bool pause)
{
	recording = pause ? NULL : recorded[0].rec;
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
	struct guest_op op = { kind, fua, 0, NEVER, sector, count, rec->nr_restarts };
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
	/* A killed server completes no requests. */
	if (!rec->faults.dead)
		rec->guest[index].ack = ++rec->position;
	pthread_mutex_unlock(&rec->lock);
}

void record_restart(struct record *rec, const uint32_t *versions)
{
	uint64_t sectors = arena_sectors(&rec->geo);
	size_t op = record_issue(rec, GUEST_RESTART, false, 0, sectors);

	rec->restarts = reallocarray(rec->restarts, (rec->nr_restarts + 1) * sectors,
				     sizeof(*rec->restarts));
	CHECK(rec->restarts);
	memcpy(rec->restarts + rec->nr_restarts++ * sectors, versions, sectors * sizeof(*versions));
	record_ack(rec, op);
}

static size_t op_start(struct blk_file *file, enum rec_kind kind, uint64_t offset, uint64_t len,
		       uint8_t *data)
{
	const struct recorded *r = file->ops_data;
	struct rec_op op = { .kind = kind,
			     .file = r->file,
			     .end = NEVER,
			     .offset = offset,
			     .len = len,
			     .lost = NEVER,
			     .data = data };
	struct record *rec = r->rec;
	size_t index;

	op.grows = kind != REC_TRUNCATE && kind != REC_PUNCH && offset + len > file->size;
	op.cached = kind == REC_WRITE && !file->direct;
	if (kind == REC_WRITE && !offset)
		rec->header_written = true;
	fault_count(rec, kind == REC_FLUSH);
	pthread_mutex_lock(&rec->lock);
	rec->ops = make_room(rec->ops, rec->nr_ops, &rec->room_ops, sizeof(op));
	op.start = ++rec->position;
	index = rec->nr_ops++;
	rec->ops[index] = op;
	pthread_mutex_unlock(&rec->lock);
	return index;
}

/*
 * Record the completion, before the caller knows of it, so that every operation
 * started later comes after it. @done bytes reached the file; for operations without
 * data, 1 means done and 0 not done.
 */
static void op_end(struct record *rec, size_t index, size_t done, bool failed)
{
	struct rec_op *op;

	pthread_mutex_lock(&rec->lock);
	op = &rec->ops[index];
	op->end = ++rec->position;
	if (!done)
		op->kind = REC_NONE;
	else if (op->data)
		op->len = done;
	if (failed && op->kind == REC_DURABLE_WRITE)
		op->kind = REC_WRITE;
	if (op->kind == REC_FLUSH)
		rec->faults.flushed = max_u64(rec->faults.flushed, op->start);
	pthread_mutex_unlock(&rec->lock);
}

/* Yield for a few turns of the loop or for longer. */
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
	return r->rec->faults.dead ? -EIO : ret;
}

static ssize_t recorded_write(struct blk_file *file, enum rec_kind kind, const struct iovec *iov,
			      int iovcnt, uint64_t offset)
{
	struct recorded *r = file->ops_data;
	size_t len = 0, op, part;
	struct iovec whole;
	uint8_t *data;
	int ret;

	for (int i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	data = aligned_alloc(BLOCK, round_up(len, BLOCK));
	CHECK(data);
	for (size_t i = 0, pos = 0; i < (size_t)iovcnt; pos += iov[i++].iov_len)
		memcpy(data + pos, iov[i].iov_base, iov[i].iov_len);
	op = op_start(file, kind, offset, len, data);
	/* Let requests start while the backing file changes and end afterwards. */
	if (r->rec->geo.verb == CHAIN_TO_BASE && r->rec->header_written && op % 4 == 0)
		aio_co_sleep(CHANGE_NS);
	if (r->rec->geo.verb == CHAIN_TO_BASE && !offset)
		aio_co_sleep(CHANGE_NS * 2);
	delay(r->rec);
	part = fault_write(r->rec, op, len, max_u64(file->align, SECTOR_SIZE), &ret);
	whole = (struct iovec){ data, part };
	if (part)
		CHECK(blk_file_kernel_ops.co_pwritev(file, &whole, 1, offset) == (ssize_t)part);
	delay(r->rec);
	op_end(r->rec, op, part, ret);
	/* A synchronous write also reports, and so consumes, write errors of other pages. */
	if (ret && kind == REC_DURABLE_WRITE) {
		fault_lose(r->rec, op, recorded_files->image[r->file].live);
		/* The caller learns of that later than a flush can miss the error. */
		delay(r->rec);
	}
	return ret ? ret : (ssize_t)len;
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
	size_t op = op_start(file, REC_FLUSH, 0, 0, NULL);
	int ret;

	delay(r->rec);
	ret = fault_op(r->rec, op, FLUSHES_PER_FAILURE);
	if (!ret)
		ret = blk_file_kernel_ops.co_flush(file);
	delay(r->rec);
	op_end(r->rec, op, ret == 0, ret);
	if (ret)
		fault_lose(r->rec, op, recorded_files->image[r->file].live);
	return ret;
}

/* tmpfs has no ZERO_RANGE; within the file a hole reads the same. */
static int zero_or_punch(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret = blk_file_kernel_ops.co_fallocate(file, mode, offset, len);

	if (ret == -EOPNOTSUPP && offset + len <= file->size)
		ret = blk_file_kernel_ops.co_fallocate(
			file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);
	return ret;
}

/* Record the start of zeroing [@from, @to). For an edge, with @cached, also save the old data. */
static size_t zero_start(struct blk_file *file, enum rec_kind kind, uint64_t from, uint64_t to,
			 bool cached)
{
	struct recorded *r = file->ops_data;
	size_t op = op_start(file, kind, from, to - from, NULL);
	uint8_t *old = NULL;

	if (cached && r->rec->faults.failing)
		old = fault_read_old(recorded_files->image[r->file].live, from, to - from);
	pthread_mutex_lock(&r->rec->lock);
	r->rec->ops[op].cached = cached;
	r->rec->ops[op].old = old;
	pthread_mutex_unlock(&r->rec->lock);
	return op;
}

/*
 * Zero a range or punch a hole. Partial blocks of the file system go through the page
 * cache, even beside O_DIRECT, so these edges are operations of their own.
 */
static int recorded_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	struct recorded *r = file->ops_data;
	enum rec_kind kind = mode & FALLOC_FL_PUNCH_HOLE ? REC_PUNCH : REC_ZERO;
	uint64_t end = offset + len, from = offset;
	size_t ops[3], nr = 0;
	int ret;

	/* Preallocation: changes no content. */
	if (mode == FALLOC_FL_KEEP_SIZE)
		return blk_file_kernel_ops.co_fallocate(file, mode, offset, len);
	CHECK(kind == REC_PUNCH || (mode & FALLOC_FL_ZERO_RANGE));
	while (from < end) {
		uint64_t to =
			min_u64(from % BLOCK ? round_up(from, BLOCK) : round_down(end, BLOCK), end);

		if (to <= from)
			to = end;
		ops[nr++] = zero_start(file, kind, from, to, from % BLOCK || to % BLOCK);
		from = to;
	}
	delay(r->rec);
	ret = nr ? fault_op(r->rec, ops[0], ZEROES_PER_FAILURE) : 0;
	if (!ret)
		ret = zero_or_punch(file, mode, offset, len);
	delay(r->rec);
	for (size_t i = 0; i < nr; i++)
		op_end(r->rec, ops[i], ret == 0, ret);
	return ret;
}

static int recorded_truncate(struct blk_file *file, uint64_t size)
{
	struct recorded *r = file->ops_data;
	size_t op = op_start(file, REC_TRUNCATE, file->size, size, NULL);
	int ret;

	delay(r->rec);
	ret = fault_op(r->rec, op, TRUNCATIONS_PER_FAILURE);
	if (!ret)
		ret = blk_file_kernel_ops.co_truncate(file, size);
	delay(r->rec);
	op_end(r->rec, op, ret == 0, ret);
	return ret;
}

/* Reads now come from the disk, without the data lost by failed flushes. */
static int recorded_drop_cache(struct blk_file *file)
{
	struct recorded *r = file->ops_data;

	delay(r->rec);
	if (r->rec->faults.dead)
		return -EIO;
	if (r->rec->faults.losses)
		fault_drop_cache(r->rec, recorded_files);
	return 0;
}

static const struct blk_file_ops recorded_ops = {
	.co_preadv = recorded_preadv,
	.co_pwritev = recorded_pwritev,
	.co_pwritev_durable = recorded_pwritev_durable,
	.co_flush = recorded_flush,
	.co_fallocate = recorded_fallocate,
	.co_truncate = recorded_truncate,
	.co_drop_cache = recorded_drop_cache,
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

	if (!ret)
		unreadable_opened(*file);
	if (ret || !recording)
		return ret;
	for (unsigned int i = 0; i < nr_files(&recording->geo); i++)
		if (!strcmp(name, recorded_files->image[i].live))
			r = &recorded[i];
	if (!r && strcmp(name, recorded_files->backing))
		return 0;
	/* The backing file is not written, so it is not recorded. */
	(*file)->ops = &recorded_ops;
	(*file)->ops_data = r ? r : &recorded[FILE_TOP];
	/* Pretend O_DIRECT, with its alignment. */
	if (r && recording->geo.align > 1) {
		CHECK(blk_file_set_align(*file, recording->geo.align, 512) == 0);
		(*file)->direct = true;
	}
	return 0;
}
