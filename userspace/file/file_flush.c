// SPDX-License-Identifier: GPL-2.0
/*
 * Make writes to an image file durable.
 *
 * One fdatasync runs at a time: a caller that arrives while one runs waits for the next, which
 * all waiting callers share.  The kernel reports pages that it could not write back once, to the
 * first fdatasync of the descriptor that ends after that; of two that run concurrently the other
 * would report success.
 *
 * The sync after a durable write (RWF_DSYNC) may consume that one report, too.  Whether it did is
 * known only when the write's failure has been judged (file_align.c), well after the kernel gave
 * the report.  So a flush whose fdatasync succeeded waits for all durable writes that began before
 * that fdatasync ended; those that begin later cannot consume a report of pages that are on the
 * disk by then.  Durable writes are counted by the epoch in which they begin, and a flush advances
 * the epoch, so it does not wait for a stream of new ones.  The cost for a durable write is two
 * atomic additions and a few loads; it takes the mutex only to wake the flush that waits for it.
 *
 * After a failure every flush fails until the file is opened again.  The kernel marks pages that
 * it could not write as clean, may drop them, and no later fdatasync reports them.  That applies
 * to O_DIRECT, too: zeroing a part of a file system's block goes through the page cache
 * (FALLOC_FL_ZERO_RANGE, the edges of a hole, the end of a file that is truncated or extended),
 * and a file system without a journal keeps in such pages the extents and sizes by which all data
 * in new clusters is found.  A file system with a journal shuts itself down at that point, so
 * there this costs nothing.  Elsewhere, when the disk recovers, the image can be read and written,
 * but its flushes fail, as the guest's own file system expects of a disk that lost data.  The user
 * recovers by opening the image again (remove the device, add it again), which shows what is left.
 *
 * The exception is a block device with O_DIRECT.  None of its data is in this machine's memory:
 * the failure is the device's own, and the guest gets the same results as from the device itself,
 * including success once a path has recovered.
 *
 * A new descriptor does not see errors that were reported to another one, and the lost pages may
 * still be in the page cache, clean, with bytes that the disk never had.  Nothing on the disk
 * records this: a raw image has no place for it, and a QED image that was only written in place
 * does not change.  So each open for writing flushes, which makes durable what a killed writer
 * left, and reports an error that no process has seen; in cached mode it then drops the file's
 * pages.
 */
#include "file/file_internal.h"

void blk_file_flushes_init(struct blk_file_flushes *flushes)
{
	pthread_mutex_init(&flushes->mutex, NULL);
	co_queue_init(&flushes->waiters);
	flushes->begun = flushes->ended = 0;
	flushes->result = 0;
	atomic_init(&flushes->lost, 0);
	atomic_init(&flushes->epoch, 0);
	atomic_init(&flushes->durable[0], 0);
	atomic_init(&flushes->durable[1], 0);
	atomic_init(&flushes->edges_begun, 0);
	atomic_init(&flushes->edges_ended, 0);
	atomic_init(&flushes->edges_flushed, 0);
}

void blk_file_flushes_destroy(struct blk_file_flushes *flushes)
{
	pthread_mutex_destroy(&flushes->mutex);
}

void blk_file_set_lost(struct blk_file *file, int error)
{
	if (!file->direct || !file->is_device)
		atomic_store_explicit(&file->flushes.lost, error, memory_order_relaxed);
}

/*
 * All operations here are sequentially consistent.  A write counts itself, then loads the epoch; a
 * flush advances the epoch, then loads the count: so either the write sees the new epoch and counts
 * itself there, or the flush sees the write.  At the end it is the same with count and epoch in the
 * other order: the last write of an epoch that is over sees that, and wakes the flush.
 */
uint64_t blk_file_durable_begin(struct blk_file_flushes *flushes)
{
	for (;;) {
		uint64_t epoch = atomic_load(&flushes->epoch);

		atomic_fetch_add(&flushes->durable[epoch % 2], 1);
		if (atomic_load(&flushes->epoch) == epoch)
			return epoch;
		blk_file_durable_end(flushes, epoch);
	}
}

void blk_file_durable_end(struct blk_file_flushes *flushes, uint64_t epoch)
{
	if (atomic_fetch_sub(&flushes->durable[epoch % 2], 1) > 1 ||
	    atomic_load(&flushes->epoch) == epoch)
		return;
	/* The flush loads the count under the mutex: by now it sees 0, or is in the queue. */
	pthread_mutex_lock(&flushes->mutex);
	co_queue_wake_all(&flushes->waiters);
	pthread_mutex_unlock(&flushes->mutex);
}

/*
 * Wait until the durable writes that began before the call are over.  Called with the mutex held,
 * which is dropped while it waits, and by the one flush that runs: so when the epoch advances, no
 * write of the epoch before is left, and the count of the new epoch begins at 0.
 */
static void wait_for_durable(struct blk_file_flushes *f)
{
	uint64_t epoch = atomic_fetch_add(&f->epoch, 1);

	while (atomic_load(&f->durable[epoch % 2]))
		co_queue_wait(&f->waiters, &f->mutex);
}

/* Run one fdatasync.  Called with the mutex held; drops it while the fdatasync runs. */
static void flush_now(struct blk_file *file)
{
	struct blk_file_flushes *f = &file->flushes;
	uint64_t edges = atomic_load(&f->edges_ended);
	int ret;

	f->begun++;
	pthread_mutex_unlock(&f->mutex);
	ret = file->ops->co_flush(file);
	pthread_mutex_lock(&f->mutex);
	if (ret) {
		blk_file_set_lost(file, ret);
	} else {
		/* First: judge_failure() of such a write needs the old value of @edges_flushed. */
		wait_for_durable(f);
		atomic_store(&f->edges_flushed, edges);
	}
	f->result = ret;
	f->ended = f->begun;
	co_queue_wake_all(&f->waiters);
}

int blk_file_co_flush(struct blk_file *file)
{
	struct blk_file_flushes *f = &file->flushes;
	uint64_t want;
	int ret;

	if (!file->writable || file->no_flush)
		return 0;
	pthread_mutex_lock(&f->mutex);
	want = f->begun + 1;
	while (f->ended < want) {
		if (f->begun == f->ended)
			flush_now(file);
		else
			co_queue_wait(&f->waiters, &f->mutex);
	}
	ret = blk_file_lost(file);
	if (!ret)
		ret = f->result;
	pthread_mutex_unlock(&f->mutex);
	return ret;
}

int blk_file_co_settle(struct blk_file *file)
{
	int ret;

	if (!file->writable || file->no_flush)
		return 0;
	ret = blk_file_co_flush(file);
	if (ret || file->direct || !file->ops->co_drop_cache)
		return ret;
	return file->ops->co_drop_cache(file);
}
