// SPDX-License-Identifier: GPL-2.0
/*
 * Making durable what was written to an image file.
 *
 * One fdatasync at a time: whoever comes while one runs waits for the next, which all
 * that wait share.  For the kernel tells of pages that it could not write back once, to the
 * first fdatasync of the descriptor that ends after that; of two that run side by side the
 * other would be told that all is well.
 *
 * And after such a failure every flush fails.  What was not written may have been thrown
 * away, and no later fdatasync knows of it.  Without the page cache it is the disk that
 * failed to empty its own cache, and a later success is one for all that was written.
 */
#include "block/file_internal.h"

void blk_file_flushes_init(struct blk_file_flushes *flushes)
{
	pthread_mutex_init(&flushes->mutex, NULL);
	co_queue_init(&flushes->waiters);
	flushes->begun = flushes->ended = 0;
	flushes->result = 0;
	atomic_init(&flushes->lost, 0);
}

void blk_file_flushes_destroy(struct blk_file_flushes *flushes)
{
	pthread_mutex_destroy(&flushes->mutex);
}

/* With the mutex held, which is dropped meanwhile. */
static void flush_now(struct blk_file *file)
{
	struct blk_file_flushes *f = &file->flushes;
	int ret;

	f->begun++;
	pthread_mutex_unlock(&f->mutex);
	ret = file->ops->co_flush(file);
	pthread_mutex_lock(&f->mutex);
	if (ret && !file->direct)
		atomic_store_explicit(&f->lost, ret, memory_order_relaxed);
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
