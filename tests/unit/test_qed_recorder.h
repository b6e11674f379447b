/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of the order of the QED driver's writes and flushes: an operation table that
 * records each, and makes some fail or wait. Everything runs on one loop, so the recorder
 * needs no lock.
 */
#ifndef QEDBLK_TEST_QED_RECORDER_H
#define QEDBLK_TEST_QED_RECORDER_H

#include "test_qed_common.h"

#include <linux/falloc.h>

#include "format/qed/image.h"

#define MAX_OPS 8192u

enum op_kind { OP_WRITE, OP_FLUSH, OP_PUNCH, OP_TRUNCATE };

struct op {
	enum op_kind kind;
	uint64_t offset, len; /* bytes; for a truncation @offset is the new size */
	unsigned int begun, ended; /* positions in the order of all starts and completions */
	int ret;
};

struct recorder {
	struct op ops[MAX_OPS];
	unsigned int nr, position;
	uint64_t watched; /* file offset of a write whose bytes are saved in @seen */
	uint8_t seen[BLOCK];
	/* Errors, and the number of operations of the kind that succeed first. */
	int write_error, flush_error;
	int fail_write_after, fail_flush_after;
	uint64_t no_space_at; /* fail to allocate space at this file offset */
	bool failed_writes_land; /* failed writes reach the file nevertheless */
	/* Such operations wait until this is reset. */
	bool hold_flushes, hold_reads;
	unsigned int held;
};

static inline struct op *op_begin(struct recorder *rec, enum op_kind kind, uint64_t offset,
				  uint64_t len)
{
	struct op *op = &rec->ops[rec->nr++];

	CHECK(rec->nr <= MAX_OPS);
	*op = (struct op){ kind, offset, len, ++rec->position, UINT32_MAX, 0 };
	return op;
}

static inline int op_end(struct recorder *rec, struct op *op, int ret)
{
	op->ended = ++rec->position;
	op->ret = ret < 0 ? ret : 0;
	return ret;
}

static inline void wait_while(struct recorder *rec, const bool *hold)
{
	rec->held++;
	while (*hold)
		aio_co_sleep(MSEC / 4);
	rec->held--;
}

static inline ssize_t recorded_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
				      uint64_t offset)
{
	struct recorder *rec = file->ops_data;

	wait_while(rec, &rec->hold_reads);
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static inline ssize_t recorded_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
				       uint64_t offset)
{
	struct recorder *rec = file->ops_data;
	struct op *op = op_begin(rec, OP_WRITE, offset, 0);
	bool fails = rec->write_error && rec->fail_write_after-- <= 0;
	ssize_t ret = 0;

	for (int i = 0; i < iovcnt; i++)
		op->len += iov[i].iov_len;
	if (offset == rec->watched)
		memcpy(rec->seen, iov[0].iov_base, min_u64(iov[0].iov_len, BLOCK));
	if (!fails || rec->failed_writes_land)
		ret = blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
	return op_end(rec, op, fails ? rec->write_error : (int)ret);
}

static inline int recorded_flush(struct blk_file *file)
{
	struct recorder *rec = file->ops_data;
	struct op *op = op_begin(rec, OP_FLUSH, 0, 0);

	wait_while(rec, &rec->hold_flushes);
	if (rec->flush_error && rec->fail_flush_after-- <= 0)
		return op_end(rec, op, rec->flush_error);
	return op_end(rec, op, blk_file_kernel_ops.co_flush(file));
}

static inline int recorded_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	struct recorder *rec = file->ops_data;
	struct op *op;

	/* Preallocation changes no content. */
	if (mode == FALLOC_FL_KEEP_SIZE && offset <= rec->no_space_at &&
	    rec->no_space_at < offset + len)
		return -ENOSPC;
	if (mode == FALLOC_FL_KEEP_SIZE)
		return blk_file_kernel_ops.co_fallocate(file, mode, offset, len);
	op = op_begin(rec, OP_PUNCH, offset, len);
	return op_end(rec, op, blk_file_kernel_ops.co_fallocate(file, mode, offset, len));
}

static inline int recorded_truncate(struct blk_file *file, uint64_t size)
{
	struct recorder *rec = file->ops_data;
	struct op *op = op_begin(rec, OP_TRUNCATE, size, 0);

	return op_end(rec, op, blk_file_kernel_ops.co_truncate(file, size));
}

static const struct blk_file_ops recorded_ops = {
	.co_preadv = recorded_preadv,
	.co_pwritev = recorded_pwritev,
	.co_flush = recorded_flush,
	.co_fallocate = recorded_fallocate,
	.co_truncate = recorded_truncate,
};

static inline void record_file(struct blk_file *file, struct recorder *rec)
{
	memset(rec, 0, sizeof(*rec));
	rec->watched = rec->no_space_at = UINT64_MAX;
	file->ops = &recorded_ops;
	file->ops_data = rec;
}

/*
 * Return the first operation of @kind from @op on (NULL: from the first) that touches
 * [@from, @to), or NULL.
 */
static inline const struct op *next_op(const struct recorder *rec, const struct op *op,
				       enum op_kind kind, uint64_t from, uint64_t to)
{
	for (op = op ? op : rec->ops; op < rec->ops + rec->nr; op++)
		if (op->kind == kind && op->offset < to && op->offset + max_u64(op->len, 1) > from)
			return op;
	return NULL;
}

/*
 * Was there a flush that began after @a completed and succeeded before @b started
 * (NULL: at any time)?
 */
static inline bool flushed_between(const struct recorder *rec, const struct op *a,
				   const struct op *b)
{
	for (const struct op *op = rec->ops; op < rec->ops + rec->nr; op++)
		if (op->kind == OP_FLUSH && !op->ret && op->begun > a->ended &&
		    op->ended < (b ? b->begun : UINT32_MAX))
			return true;
	return false;
}

/* Was every change that started before @b flushed before it? */
static inline bool all_flushed_before(const struct recorder *rec, const struct op *b)
{
	for (const struct op *op = rec->ops; op < rec->ops + rec->nr; op++)
		if (op->kind != OP_FLUSH && op->begun < b->begun && !flushed_between(rec, op, b))
			return false;
	return true;
}

static inline bool all_flushed(const struct recorder *rec)
{
	for (const struct op *op = rec->ops; op < rec->ops + rec->nr; op++)
		if (op->kind != OP_FLUSH && !flushed_between(rec, op, NULL))
			return false;
	return true;
}

/* ---- Images ---- */

struct rec_test {
	struct scratch scratch;
	char rescue[PATH_MAX + 8];
	struct blk_node *node;
	struct recorder rec; /* of the image file */
	struct recorder below; /* of the backing file */
	uint8_t *buf; /* 1 MiB */
};

static inline struct qed_image *image_of(const struct rec_test *t)
{
	return t->node->opaque;
}

static inline void rec_open(struct rec_test *t, unsigned int flags, struct blk_rescue *rescue)
{
	struct blk_open_opts opts = { .format = "qed", .flags = flags, .rescue = rescue };

	CHECK(blk_co_open(&t->node, t->scratch.image, &opts, NULL) == 0);
	record_file(t->node->file, &t->rec);
	if (t->node->backing)
		record_file(t->node->backing->file, &t->below);
}

/* Before other threads do I/O, too: record nothing, and let nothing fail or wait. */
static inline void stop_recording(struct rec_test *t)
{
	t->node->file->ops = &blk_file_kernel_ops;
	if (t->node->backing)
		t->node->backing->file->ops = &blk_file_kernel_ops;
}

/*
 * Create the images. @backing_blocks of the backing file have content in version 1; 0:
 * no backing file.
 */
static inline void rec_create(struct rec_test *t, uint32_t cluster_size, uint64_t size,
			      uint64_t backing_blocks)
{
	struct blk_create_opts opts = {
		.filename = t->scratch.image,
		.format = "qed",
		.size = size,
		.cluster_size = cluster_size,
		.table_size = 1,
		.backing_file = backing_blocks ? "backing.raw" : NULL,
		.backing_format = "raw",
	};
	int fd = open(t->scratch.backing, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	for (uint64_t b = 0; b < backing_blocks; b++) {
		fill_block(t->buf, b, 1);
		CHECK(pwrite(fd, t->buf, BLOCK, b * BLOCK) == BLOCK);
	}
	close(fd);
	CHECK(blk_co_create(&opts, NULL) == 0);
}

static inline int rec_write(struct rec_test *t, uint64_t block, uint32_t version)
{
	fill_block(t->buf, block, version);
	return blk_co_pwrite(t->node, block * BLOCK, BLOCK, t->buf, 0);
}

static inline bool rec_reads(struct rec_test *t, uint64_t block, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, block, version);
	CHECK(blk_co_pread(t->node, block * BLOCK, BLOCK, t->buf, 0) == 0);
	return !memcmp(want, t->buf, BLOCK);
}

/* Copy the image, as a process killed now leaves it; @to stays the same inode. */
static inline void copy_file(const char *from, const char *to)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'", from, to);
	CHECK(system(command) == 0);
}

static inline void rec_run(void **state)
{
	co_fn **fn = *state;
	struct rec_test *t = calloc(1, sizeof(*t));

	CHECK(t);
	t->buf = aligned_alloc(BLOCK, 1 * MiB);
	CHECK(t->buf);
	scratch_make(&t->scratch);
	snprintf(t->rescue, sizeof(t->rescue), "%s/rescue", t->scratch.dir);
	run_co(64, *fn, t);
	(void)unlink(t->rescue);
	scratch_remove(&t->scratch);
	free(t->buf);
	free(t);
}

#endif
