// SPDX-License-Identifier: GPL-2.0
/*
 * Making metadata durable: group commit in two phases.
 *
 *	1. fdatasync: the data that the entries to be written point to, and the
 *	   size of the file, are on disk
 *	2. the changed L2 slices and L1 entries are written; fdatasync
 *
 * So whatever part of phase 2 a crash leaves, every entry on disk points to a
 * cluster inside the file whose data was written.  A new L2 table is all zeroes
 * on disk before its first slice is written (see alloc.c), so that an L1 entry
 * that reaches the disk before its slices shows unallocated clusters.
 *
 * The slices and entries of phase 2 are copied before phase 1: an entry that is
 * set later waits for the next commit.  Slices are copied without a lock; a change
 * during the copy either is in it, and then its data was complete before the
 * fdatasync, or marks the slice dirty again, or both.
 *
 * Commits run one at a time.  A flush needs a commit that starts after the flush
 * came.  A flush that finds no commit running leads the next, for all flushes that
 * wait by then.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/qed/alloc.h"
#include "format/qed/commit.h"
#include "format/qed/flusher.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/log.h"
#include "util/units.h"

/* A coroutine that waits for a commit which starts after the coroutine asked for one. */
struct flush_waiter {
	struct cds_list_head link; /* in img->commit.waiters */
	struct co *co;
	uint64_t want; /* the commit's number */
	bool guest; /* it serves a FLUSH of the guest */
	int ret;
	bool done;
};

/* Most dirty slices that a commit copies at once: 4 MiB. */
#define MAX_BATCH 1024u

int qed_commit_init(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;
	void *copies;

	CDS_INIT_LIST_HEAD(&c->waiters);
	co_queue_init(&c->dirty_waiters);
	c->max_batch = min_u64(MAX_BATCH, img->cache.capacity);
	c->max_dirty = c->max_batch / 2;
	c->batch = calloc(c->max_batch, sizeof(*c->batch));
	copies = mmap(NULL, (size_t)c->max_batch * QED_SLICE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	c->copies = copies == MAP_FAILED ? NULL : copies;
	return c->batch && c->copies ? 0 : -ENOMEM;
}

void qed_commit_destroy(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;

	if (c->copies)
		munmap(c->copies, (size_t)c->max_batch * QED_SLICE_BYTES);
	free(c->batch);
	cluster_runs_destroy(&c->new_tables);
	cluster_runs_destroy(&c->batch_tables);
	memset(c, 0, sizeof(*c));
}

static int compare_slices(const void *a, const void *b)
{
	const struct l2_slice *x = *(struct l2_slice *const *)a;
	const struct l2_slice *y = *(struct l2_slice *const *)b;
	uint64_t ox = qed_slice_offset(x->img, x->index);
	uint64_t oy = qed_slice_offset(y->img, y->index);

	return ox < oy ? -1 : ox > oy;
}

/* Take the slices and tables to commit.  True: some are left for another batch. */
static bool take_batch(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;
	bool more;

	pthread_mutex_lock(&img->meta_lock);
	for (c->nr_batch = 0; c->dirty && c->nr_batch < c->max_batch; c->nr_batch++) {
		struct l2_slice *slice = c->dirty;

		c->dirty = slice->list_next;
		c->nr_dirty--;
		slice->dirty = false;
		slice->committing = true;
		c->batch[c->nr_batch] = slice;
	}
	more = c->dirty;
	/*
	 * Tables and dropped clusters go with the batch that takes the last of
	 * the slices: then all changes of entries that belong to them are in this
	 * batch or an earlier one.  If there is no memory to append the new tables to
	 * those of a failed commit, the tables go with the next batch.
	 */
	if (!more)
		more = cluster_runs_move(&c->batch_tables, &c->new_tables);
	if (!more)
		qed_drops_committing(img);
	qed_rescue_tables_taken(img, !more);
	pthread_mutex_unlock(&img->meta_lock);
	return more;
}

static void copy_batch(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;

	/* In the file's order, so that neighbours can be written together. */
	qsort(c->batch, c->nr_batch, sizeof(*c->batch), compare_slices);
	for (unsigned int b = 0; b < c->nr_batch; b++) {
		uint64_t *to = (uint64_t *)(c->copies + (size_t)b * QED_SLICE_BYTES);

		for (unsigned int i = 0; i < QED_SLICE_ENTRIES; i++)
			to[i] = htole64(atomic_load_explicit(&c->batch[b]->entries[i],
							     memory_order_acquire));
	}
	for (size_t t = 0; t < c->batch_tables.nr; t++) {
		const struct cluster_run *run = &c->batch_tables.runs[t];

		for (uint64_t i = run->start; i < run->start + run->count; i++)
			img->l1_disk[i] =
				htole64(atomic_load_explicit(&img->l1[i], memory_order_acquire));
	}
}

/* Slices are written by this many coroutines at once. */
#define MAX_WRITERS 16

struct slice_writers {
	struct qed_image *img;
	unsigned int next; /* index of the first slice of the batch not taken yet */
	unsigned int running;
	struct co *leader; /* yields until the last writer ends; NULL: not waiting */
	int ret;
};

/* Take the next slices that are adjacent in the file; return how many, 0: none are left. */
static unsigned int take_neighbours(struct slice_writers *w, unsigned int *first)
{
	const struct qed_commit *c = &w->img->commit;
	unsigned int n = 1;
	uint64_t offset;

	*first = w->next;
	if (w->next == c->nr_batch)
		return 0;
	offset = qed_slice_offset(w->img, c->batch[*first]->index);
	while (*first + n < c->nr_batch && qed_slice_offset(w->img, c->batch[*first + n]->index) ==
						   offset + (uint64_t)n * QED_SLICE_BYTES)
		n++;
	w->next += n;
	return n;
}

/* All writers run on the leader's loop: what they share needs no lock. */
static void writer_main(void *arg)
{
	struct slice_writers *w = arg;
	const struct qed_commit *c = &w->img->commit;
	unsigned int first, n;

	while (!w->ret && (n = take_neighbours(w, &first))) {
		int ret;

		if (c->watching)
			c->watching->co_overwrites(c->watching, &c->batch[first], n);
		ret = blk_file_co_pwrite(w->img->file, c->copies + (size_t)first * QED_SLICE_BYTES,
					 (size_t)n * QED_SLICE_BYTES,
					 qed_slice_offset(w->img, c->batch[first]->index));
		if (ret)
			w->ret = ret;
	}
	if (!--w->running && w->leader)
		co_wake(w->leader);
}

static int write_slices(struct qed_image *img)
{
	struct slice_writers w = { .img = img };

	for (unsigned int i = 0; i < MAX_WRITERS && w.next < img->commit.nr_batch; i++) {
		w.running++;
		/* Out of memory: the leader writes itself, beside the writers started so far. */
		if (co_start(writer_main, &w)) {
			writer_main(&w);
			break;
		}
	}
	if (w.running) {
		w.leader = co_self();
		co_park();
	}
	return w.ret;
}

/*
 * Both phases.  Phase 1 fails as well if an earlier flush has failed for good: no entry is written
 * that points to data that may be lost.
 */
static int write_batch(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;
	int ret;

	/*
	 * Once the commit is durable, a dropped cluster is unreferenced until it is reused, and a
	 * crash leaks it.  A hole at the file's end makes the next opener search (leak_scan.c).  It
	 * is only a hint, so that an error is ignored.
	 */
	if (img->alloc.committing.nr)
		(void)qed_co_extend(img, 0);
	copy_batch(img);
	ret = qed_co_flush_file(img);
	if (ret || !(c->nr_batch || c->batch_tables.nr))
		return ret;
	ret = write_slices(img);
	if (!ret)
		ret = qed_co_l1_write(img, &c->batch_tables);
	if (!ret)
		ret = qed_co_flush_file(img);
	blk_stats_add(&img->node->stats, BLK_STAT_commits, 1);
	return ret;
}

/* After a failure the slice is dirty again, since what is on disk is unknown. */
static void put_back(struct qed_image *img, struct l2_slice *slice)
{
	struct qed_commit *c = &img->commit;

	if (slice->dirty)
		return;
	slice->dirty = true;
	slice->list_next = c->dirty;
	c->dirty = slice;
	c->nr_dirty++;
}

static void end_batch(struct qed_image *img, int ret)
{
	struct qed_commit *c = &img->commit;

	pthread_mutex_lock(&img->meta_lock);
	for (unsigned int b = 0; b < c->nr_batch; b++) {
		c->batch[b]->committing = false;
		if (ret)
			put_back(img, c->batch[b]);
		else if (!c->batch[b]->dirty)
			qed_rescue_slice_clean(img, c->batch[b]);
	}
	c->nr_batch = 0;
	c->last_error = ret;
	if (ret) {
		/* If memory runs out, the rest stays in batch_tables, for the next batch. */
		(void)cluster_runs_move(&c->new_tables, &c->batch_tables);
		qed_drops_not_durable(img);
	} else {
		c->batch_tables.nr = 0;
		qed_rescue_tables_clean(img);
		qed_drops_durable(img);
	}
	/* Slices became clean: wake writers that wait for that, and loads that may now evict. */
	co_queue_wake_all(&c->dirty_waiters);
	co_queue_wake_all(&img->cache.waiters);
	pthread_mutex_unlock(&img->meta_lock);
}

static int run_commit(struct qed_image *img)
{
	bool more;
	int ret;

	do {
		more = take_batch(img);
		ret = write_batch(img);
		end_batch(img, ret);
	} while (more && !ret);
	if (!ret && img->commit.watching)
		img->commit.watching->committed(img->commit.watching);
	if (ret) {
		static struct log_ratelimit limit;

		if (log_allowed(&limit))
			log_error("%s: could not write metadata: %s", img->node->filename,
				  strerror(-ret));
	}
	return ret;
}

/*
 * Under meta_lock: complete all flushes that wait for commit @number or an earlier one, and return
 * how many.  *@told is set if one of them is the guest's.
 */
static unsigned int complete_waiters(struct qed_commit *c, uint64_t number, int ret, bool *told)
{
	struct flush_waiter *waiter, *next;
	unsigned int n = 0;

	cds_list_for_each_entry_safe(waiter, next, &c->waiters, link) {
		if (waiter->want > number)
			continue;
		cds_list_del(&waiter->link);
		waiter->ret = ret;
		waiter->done = true;
		*told |= waiter->guest;
		n++;
		/* The waiter's frame may be gone as soon as the lock is dropped. */
		co_wake(waiter->co);
	}
	return n;
}

/* Under meta_lock: count a commit that served @n requests. */
static void count_group(struct qed_image *img, unsigned int n)
{
	img->commit.largest_group = max_u64(img->commit.largest_group, n);
	blk_stats_add(&img->node->stats, BLK_STAT_commit_rounds, 1);
	blk_stats_add(&img->node->stats, BLK_STAT_commit_requests, n);
}

/*
 * Lead commits until the one numbered @want has ended.  Under meta_lock, dropped for the I/O.
 * @guest: the caller is the guest's FLUSH, which reports an error.
 */
static int lead(struct qed_image *img, uint64_t want, bool guest)
{
	struct qed_commit *c = &img->commit;
	int ret = 0;

	c->running = true;
	while (c->finished < want) {
		uint64_t number = ++c->started;
		bool told = guest;

		c->watching = c->watch;
		pthread_mutex_unlock(&img->meta_lock);
		ret = run_commit(img);
		pthread_mutex_lock(&img->meta_lock);
		c->finished = number;
		c->succeeded |= !ret;
		/* The leader counts as well, in its last turn. */
		count_group(img, complete_waiters(c, number, ret, &told) + (number >= want));
		/* An error that no FLUSH reports now is left for the next one. */
		if (ret)
			c->owed_error = told ? 0 : ret;
	}
	c->running = false;
	return ret;
}

/* Under meta_lock, dropped to wait: wait for commit @want, or to be made a leader. */
static int follow(struct qed_image *img, uint64_t want, bool guest)
{
	struct flush_waiter self = { .co = co_self(), .want = want, .guest = guest };

	blk_stats_add(&img->node->stats, BLK_STAT_commit_waiters, 1);
	cds_list_add(&self.link, &img->commit.waiters);
	pthread_mutex_unlock(&img->meta_lock);
	co_park();
	pthread_mutex_lock(&img->meta_lock);
	return self.done ? self.ret : lead(img, want, guest);
}

/* Under meta_lock: hand the lead to one of the flushes that still wait. */
static void pass_lead(struct qed_commit *c)
{
	struct flush_waiter *waiter;

	if (cds_list_empty(&c->waiters))
		return;
	waiter = cds_list_first_entry(&c->waiters, struct flush_waiter, link);
	cds_list_del(&waiter->link);
	c->running = true; /* so that no other flush leads before the waiter runs */
	co_wake(waiter->co);
}

/* Under meta_lock, dropped meanwhile: wait for, or lead, a commit that starts after now. */
static int commit(struct qed_image *img, bool guest)
{
	struct qed_commit *c = &img->commit;
	uint64_t want = c->started + 1;
	int ret = c->running ? follow(img, want, guest) : lead(img, want, guest);

	if (!c->running)
		pass_lead(c);
	return ret;
}

int qed_co_commit(struct qed_image *img)
{
	int ret;

	if (!img->writable)
		return 0;
	pthread_mutex_lock(&img->meta_lock);
	ret = commit(img, false);
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

int qed_co_flush(struct blk_node *node)
{
	struct qed_image *img = node->opaque;
	int ret;

	if (!img->writable)
		return 0;
	pthread_mutex_lock(&img->meta_lock);
	ret = commit(img, true);
	/* The error of a commit that no FLUSH waited for is reported once. */
	if (!ret) {
		ret = img->commit.owed_error;
		img->commit.owed_error = 0;
	}
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

int qed_co_commit_dirty(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;
	int ret = 0;

	pthread_mutex_lock(&img->meta_lock);
	if (c->dirty || c->new_tables.nr || c->batch_tables.nr || img->alloc.dropped.nr)
		ret = commit(img, false);
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

bool qed_too_much_is_dirty(const struct qed_image *img)
{
	const struct qed_commit *c = &img->commit;

	/* The running commit's slices become dirty again if it fails. */
	return c->nr_dirty > c->max_dirty || c->nr_dirty + c->nr_batch > c->max_batch ||
	       qed_too_many_dropped(img) || !qed_rescue_has_room(img);
}

int qed_co_throttle(struct qed_image *img)
{
	struct qed_commit *c = &img->commit;
	int ret = 0;

	pthread_mutex_lock(&img->meta_lock);
	while (!ret && qed_too_much_is_dirty(img)) {
		qed_flusher_commit(img, true);
		co_queue_wait(&c->dirty_waiters, &img->meta_lock);
		/* While metadata can't be written, no more may become dirty. */
		if (qed_too_much_is_dirty(img))
			ret = c->last_error;
	}
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}
