/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An open QED image: what the files of this driver share.
 *
 * Who may touch what
 * ------------------
 * - Look-ups (map.c) take no lock: they walk the hash of cached L2 slices with
 *   acquire loads; a slice's memory stays valid until the caller parks
 *   (aio/rcu.h), an entry is one atomic load.
 * - Every change of an entry, of the L1 table, of the allocator's and the
 *   commit's lists happens under @meta_lock, which is held for a few
 *   instructions and never across a park or I/O.
 * - A change that copies from the backing file takes long: from its look at the
 *   entry until the new entry is set it holds the cluster's range in @clusters
 *   (a range lock in cluster numbers).  So does every change to zero or
 *   unallocated, which must not happen in the middle of such a copy.  A cluster
 *   that reads as zeroes and gets a fresh one needs no copy, and no range.
 * - Which of the two a write is depends on the backing file, which a stream may
 *   replace at any moment (block/rebase.c): the node's @backing is not under our
 *   locks.  So what a request decided by it, or by an entry, holds only under the
 *   meta_lock under which it looked.  A writer that sets an entry looks again at it
 *   under the same meta_lock, and sets it only if it is what the writer decided by
 *   (qed_co_take_clusters(), qed_co_set_unallocated(), zero.c); if not, it gives
 *   back what it took and starts over.  Nothing else is needed: what is unallocated
 *   reads alike by the old backing file and the new one.
 * - A cluster of the file that lost its reference is used again only after the
 *   loss is durable and all requests that could have seen it are over
 *   (free_list.c), so an address that was looked up stays good for as long as
 *   the request is in flight.
 *
 * The file on disk
 * ----------------
 * Data goes to the file at once, metadata when it is committed (commit.c): the
 * file is always a consistent image, older than memory by at most what was not
 * flushed.  Fresh clusters read as zeroes (they lie in a hole at the file's
 * end, or were punched), hence a new L2 table needs no writing before it is
 * referenced, and the untouched rest of a fresh cluster none at all.
 */
#ifndef QEDBLK_FORMAT_QED_QED_H
#define QEDBLK_FORMAT_QED_QED_H

#include <pthread.h>
#include <stdatomic.h>

#include "aio/lock.h"
#include "aio/rcu.h"
#include "aio/timer.h"
#include "block/node.h"
#include "format/qed/cluster_set.h"
#include "format/qed/format.h"
#include "format/qed/rescue.h"
#include "util/units.h"

/* L2 tables are cached and written in slices of this many bytes, whatever their size. */
#define QED_SLICE_BYTES	  4096u
#define QED_SLICE_ENTRIES (QED_SLICE_BYTES / 8)

#define QED_DEFAULT_L2_CACHE (16u << 20)
#define QED_MIN_L2_CACHE     (64u << 10)
#define QED_MAX_L2_CACHE     (1ULL << 40)

enum l2_slice_state {
	L2_SLICE_FREE, /* on the free list */
	L2_SLICE_LOADING, /* in the hash of its loaders only */
	L2_SLICE_READY, /* published */
	L2_SLICE_RETIRED, /* unpublished, waiting for its last readers */
};

/* A cached piece of an L2 table.  @entries is atomic, all else under meta_lock. */
struct l2_slice {
	struct aio_rcu_head rcu;
	struct qed_image *img;
	_Atomic uint64_t *entries; /* QED_SLICE_ENTRIES, in this machine's byte order */
	uint64_t index; /* guest cluster / QED_SLICE_ENTRIES; fixed while published */
	struct l2_slice *_Atomic hash_next;
	_Atomic bool referenced; /* since the clock's hand passed */
	struct l2_slice *list_next; /* free list, loading list or dirty list */
	enum l2_slice_state state;
	bool dirty; /* has changes that no commit has copied */
	bool committing; /* a commit's copy is on its way to the disk */
	bool has_space; /* writing it will not fail for lack of space */
	unsigned int slot; /* of the rescue area, counted from 1; 0: clean, or no such area */
};

struct l2_cache {
	struct l2_slice *slices; /* @nr_slices, in use or spare */
	_Atomic uint64_t *memory; /* their entries */
	unsigned int nr_slices;
	/* Slices in the hash, but for dirty ones; the rest lets readers finish, and loads go on. */
	unsigned int capacity;
	unsigned int published; /* slices in the hash or being loaded */
	unsigned int retired;
	unsigned int clock_hand;
	struct l2_slice *free;
	struct l2_slice *loading; /* list of those being loaded, by list_next */
	struct co_queue waiters; /* for a load to end or a slice to become free */
	struct l2_slice *_Atomic *buckets;
	uint64_t bucket_mask;
};

/* Runs of file clusters that lost their reference together. */
struct qed_run {
	uint64_t start, count; /* file clusters */
};

struct qed_run_list {
	struct qed_run *runs;
	size_t nr, room;
};

struct qed_allocator {
	uint64_t frontier; /* clusters: all at or behind it were never used */
	_Atomic uint64_t end; /* bytes: the frontier, for look-ups to judge entries by */
	uint64_t physical; /* bytes: the file's size on disk; >= end, but for growth under way */
	bool extending; /* one coroutine is growing the file */
	int extend_error; /* of the last growth */
	struct co_queue extend_waiters;
	_Atomic uint64_t l1_space; /* so many bytes of L1 can be written without more space */
	bool taking_space; /* a coroutine is taking space for a slice */
	struct co_queue space_waiters;

	struct cluster_set free; /* clusters ready for use: durable, punched */
	/* The stages on the way to it (free_list.c). */
	struct qed_run_list dropped; /* unreferenced in memory */
	struct qed_run_list committing; /* copied by the commit that is running */
	struct qed_run_list durable; /* unreferenced on disk */
	struct qed_run_list waiting; /* was durable when @ticket was drawn */
	uint64_t dropping; /* clusters in @dropped and @committing */
	uint64_t ticket; /* of node->inflight: when it has passed, @waiting is unused */
	bool recycling; /* a coroutine is punching */
	struct co_queue recycle_waiters;
};

/* A coroutine waiting for a commit that starts after it asked. */
struct flush_waiter {
	struct co *co;
	struct flush_waiter *next;
	uint64_t want; /* the commit's number */
	bool guest; /* it is a FLUSH */
	int ret;
	bool done;
};

struct qed_commit {
	uint64_t started, finished; /* commits are numbered from 1 */
	bool running;
	int last_error; /* of the last round; 0 when it went well */
	bool succeeded; /* one ended well since the image was opened */
	unsigned int largest_group; /* most requests that one commit was made for */
	int owed_error; /* of a commit that no FLUSH of the guest waited for; the next reports it */
	struct flush_waiter *waiters;
	struct co_queue dirty_waiters; /* writers, while too much is dirty */

	struct l2_slice *dirty; /* list by list_next */
	unsigned int nr_dirty, max_dirty;
	struct qed_run_list new_tables; /* L1 indices (count 1 each) set since the last commit */

	/* Used by the running commit only. */
	struct l2_slice **batch;
	unsigned int nr_batch;
	uint8_t *copies; /* max_batch slices as they go to disk */
	unsigned int max_batch;
	struct qed_run_list batch_tables;
};

/* The coroutine that commits what nobody flushed, and recycles clusters. */
struct qed_keeper {
	bool running, stop;
	uint64_t commit_at, recycle_at; /* when to; ns of CLOCK_MONOTONIC, 0: not */
	struct co_queue wakeup; /* the keeper itself */
	struct co_queue stopped; /* whoever waits for its end */
	struct aio_timer timer; /* of the keeper's loop */
};

/* The search for what a crash leaked. */
struct qed_leak_scan {
	bool running;
	bool unfinished; /* there may be leaks that were not searched for */
	bool leaked; /* there are some since: the next opener is to search for them */
	_Atomic bool stop;
	_Atomic bool hurry; /* no guest is there any more to wait for */
	uint64_t end; /* file clusters when the image was opened */
	struct cluster_set used; /* those of them that are, or were since, named by a table */
	struct co_queue stopped;
};

/* Of the table of clusters that are being filled (copy.c). */
#define QED_FILL_BUCKETS 64

struct qed_image {
	struct blk_node *node;
	struct blk_file *file;
	struct qed_header header;
	unsigned int cluster_bits;
	uint64_t table_bytes;
	uint64_t table_entries;
	_Atomic bool has_backing; /* what is unallocated shows the backing file */
	bool writable;

	_Atomic uint64_t *l1; /* table_entries file offsets, 0: no table */
	uint64_t *l1_disk; /* what the disk has or shall have; the running commit's */
	struct l2_cache cache;

	pthread_mutex_t meta_lock;
	struct co_mutex header_lock; /* from a copy of @header to its change, on disk, too */
	struct range_lock clusters; /* guest clusters */
	pthread_mutex_t fill_lock; /* of @fills and of what hangs there; a leaf */
	struct qed_fill *fills[QED_FILL_BUCKETS];
	struct qed_allocator alloc;
	struct qed_commit commit;
	struct qed_keeper keeper;
	struct qed_leak_scan scan;
	struct qed_rescue rescue;
};

static inline uint32_t qed_cluster_size(const struct qed_image *img)
{
	return img->header.cluster_size;
}

/* The file's fdatasync; a successor is told of what the page cache lost (rescue.h).  Parks. */
int qed_co_flush_file(struct qed_image *img);

/*
 * header.c's fields to and from the disk, with the backing file's name: header_io.c.
 * @incomplete: an image that is being filled is right, too; else it is refused.
 */
int qed_co_read_header(struct blk_file *file, bool incomplete, struct qed_header *h,
		       char **backing_name, struct error *err);
int qed_co_write_header(struct qed_image *img, const struct qed_header *h);
/* blk_driver's. */
int qed_co_set_complete(struct blk_node *node);

/* l1.c */
int qed_co_l1_load(struct qed_image *img, struct error *err);
/* The entries that the image's size does not need, which a check looks at too. */
int qed_co_l1_load_rest(struct qed_image *img);
void qed_l1_free(struct qed_image *img);
/* Is @offset where an L2 table may be, within a file whose clusters end at @end bytes? */
bool qed_table_offset_valid(const struct qed_image *img, uint64_t offset, uint64_t end);
/* Is L2 entry @entry 0, 1, or where a data cluster may be, within a file ending at @end bytes? */
bool qed_entry_valid(const struct qed_image *img, uint64_t entry, uint64_t end);

/* l2_cache.c */
int l2_cache_init(struct qed_image *img, uint64_t bytes);
void l2_cache_destroy(struct qed_image *img);
/* Empty it.  No slice is dirty, and no request is in flight.  Parks. */
void l2_cache_co_forget(struct qed_image *img);
/* The published slice, or NULL.  No lock needed; valid until the caller parks. */
struct l2_slice *l2_cache_find(struct qed_image *img, uint64_t index);
/*
 * Have the slice loaded.  Parks.  Its table must exist.  It may be gone again
 * when the caller looks: look, and call again.
 */
int l2_cache_co_load(struct qed_image *img, uint64_t index);
/* Change an entry of a published slice.  Under meta_lock. */
void l2_slice_set(struct qed_image *img, struct l2_slice *slice, unsigned int i, uint64_t entry);
/* Where slice @index is in the file, in bytes; its table exists. */
uint64_t qed_slice_offset(const struct qed_image *img, uint64_t index);

/* map.c */
int qed_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
int qed_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
/* Load the slice that holds @cluster's entry; its table must exist.  Parks. */
int qed_co_load_slice(struct qed_image *img, uint64_t cluster);

/*
 * alloc.c.  Under meta_lock: take a run of at most @want clusters, which read
 * as zeroes; the run's length is the result, 0 when the file must grow first
 * (qed_co_extend(), without the lock, then try again).  Free clusters come as
 * they are; at the file's end a run is of at least @least clusters.
 */
uint64_t qed_alloc_run(struct qed_image *img, uint64_t least, uint64_t want, uint64_t *start);
/* Give back, unwritten, what qed_alloc_run() gave.  Under meta_lock. */
void qed_alloc_undo(struct qed_image *img, uint64_t start, uint64_t count);
/*
 * Make room for @clusters more, and one that is never taken, or wait until somebody has made
 * room.  Parks.
 */
int qed_co_extend(struct qed_image *img, uint64_t clusters);
/* A new, empty L2 table for L1 entry @i, unless there is one by now.  Parks. */
int qed_co_new_table(struct qed_image *img, uint64_t i);
/* The space that all L1 entries of the image's size need.  Parks. */
int qed_co_take_l1_space(struct qed_image *img);
/*
 * Space for slices is taken by one at a time.  Under meta_lock: begin; false
 * after a wait for somebody else's end: look whether it is still missing.
 */
bool qed_co_space_begin(struct qed_image *img);
void qed_space_end(struct qed_image *img);
int qed_alloc_init(struct qed_image *img);
void qed_alloc_destroy(struct qed_image *img);

/* free_list.c */
int qed_run_list_add(struct qed_run_list *list, uint64_t start, uint64_t count);
/* Append @from to @to and empty it; what did not fit into memory stays in @from. */
int qed_run_list_move(struct qed_run_list *to, struct qed_run_list *from);
/* How many clusters it holds. */
uint64_t qed_run_list_clusters(const struct qed_run_list *list);
void qed_run_list_destroy(struct qed_run_list *list);
/* Clusters whose reference was just taken away.  Under meta_lock. */
void qed_drop_clusters(struct qed_image *img, uint64_t start, uint64_t count);
/*
 * A commit takes what was dropped until now, and with it the last of the changed entries; later: it
 * ended well, or it failed.  Under meta_lock.
 */
void qed_drops_committing(struct qed_image *img);
void qed_drops_durable(struct qed_image *img);
void qed_drops_not_durable(struct qed_image *img);
/* So many clusters wait for a commit that no more should be dropped.  Under meta_lock. */
bool qed_too_many_dropped(const struct qed_image *img);
/* Punch and free what may be.  Parks.  *@left tells whether some must wait for requests. */
void qed_co_recycle(struct qed_image *img, bool *left);

/*
 * Punch a run, which nobody uses, and hand it to the allocator.  On failure,
 * which is logged, it is leaked.  Parks.
 */
int qed_co_free_run(struct qed_image *img, uint64_t start, uint64_t count);

/*
 * leak_scan.c.  Started before the first request, ended before the image is closed: come to its
 * end, where that is a matter of moments, or stopped.
 */
int qed_co_leak_scan_start(struct qed_image *img);
void qed_co_leak_scan_end(struct qed_image *img);
void qed_co_leak_scan_stop(struct qed_image *img);
/* Clusters were dropped.  Under meta_lock. */
void qed_leak_scan_dropped(struct qed_image *img, uint64_t start, uint64_t count);

/* commit.c */
int qed_commit_init(struct qed_image *img);
void qed_commit_destroy(struct qed_image *img);
/*
 * blk_driver's: the guest's FLUSH.  It reports what failed in commits that no FLUSH waited for,
 * once. Only for requests of the guest; all else calls qed_co_commit().
 */
int qed_co_flush(struct blk_node *node);
/* Everything that was answered is durable when 0 is returned.  Parks. */
int qed_co_commit(struct qed_image *img);
/* The background flusher's: nothing if there is no metadata to write.  Parks. */
int qed_co_commit_dirty(struct qed_image *img);
/* Figures for people, see blk_driver.gauges. */
void qed_gauges(struct blk_node *node, uint64_t *values);
/* Wait while too much metadata is dirty; an error if it can't be written.  Parks. */
int qed_co_throttle(struct qed_image *img);
/* Is that so now?  Under meta_lock. */
bool qed_too_much_is_dirty(const struct qed_image *img);

/* keeper.c */
int qed_keeper_start(struct qed_image *img);
void qed_co_keeper_stop(struct qed_image *img);
/* Something became dirty, or (now) somebody waits for it to be clean.  Under meta_lock. */
void qed_keeper_commit(struct qed_image *img, bool now);
/* Freed clusters wait to be recycled.  Under meta_lock. */
void qed_keeper_recycle(struct qed_image *img);

/* read.c */
int qed_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/* write.c */
int qed_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
		  unsigned int flags);
uint64_t qed_backing_bytes(const struct qed_image *img);
/* durable.c: blk_driver's. */
int qed_co_pwrite_durable(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf);

/*
 * fresh.c and copy.c: write [offset, offset + bytes), which lies in clusters
 * without a data cluster.  Each writes a first part, whose length goes to
 * *@done; *@done 0 means that the entries changed: look again.
 *
 * fresh: the clusters read as zeroes.  copying: they are unallocated above data
 * of the backing file; @buf NULL writes zeroes into a part of one cluster.
 */
int qed_co_write_fresh(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
		       uint64_t *done);
int qed_co_write_copying(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags, uint64_t *done);
/*
 * entries.c: the slice that holds @cluster's entry, for changing it.  Returns 0
 * with meta_lock *held*, after making the table and loading the slice if need
 * be, and after waiting while too much is dirty.  Parks.
 */
int qed_co_slice_for_change(struct qed_image *img, uint64_t cluster, struct l2_slice **slice);
/* Is @entry, of guest cluster @cluster, one that a fresh cluster may replace? */
typedef bool qed_lacks_fn(const struct qed_image *img, uint64_t entry, uint64_t cluster);
/*
 * Take clusters for entries from @cluster on, at most @max, of which @lacks is
 * true: as many as one slice and one run of the file give.  The run's count is
 * 0 if the first lacks none.  With @set the entries point there at once.  Parks.
 */
int qed_co_take_clusters(struct qed_image *img, uint64_t cluster, uint64_t max, qed_lacks_fn *lacks,
			 bool set, struct qed_run *run);
/*
 * Set the entries of @n clusters, which one slice holds, to @first, rising by @step, up to the
 * first that is not unallocated any more.  *@set of them were.  Parks.
 */
int qed_co_set_unallocated(struct qed_image *img, uint64_t cluster, uint64_t n, uint64_t first,
			   uint64_t step, uint64_t *set);

/* zero.c */
int qed_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			 unsigned int flags);
int qed_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes);

/*
 * walk.c: call @fn for the entries of an L2 table on disk, by pieces, @n entries
 * from guest cluster @first on; what it sets *@changed for is written back.
 * Holes, which are entries of 0, are left out; entries behind the image's end
 * are not.
 */
typedef int qed_walk_fn(void *arg, uint64_t first, uint64_t *entries, unsigned int n,
			bool *changed);
int qed_co_walk_table(struct qed_image *img, uint64_t l1_index, qed_walk_fn *fn, void *arg);
uint64_t qed_l1_entries_used(const struct qed_image *img);

/* check.c */
int qed_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		 void *report_arg, struct blk_check_result *result, struct error *err);

/*
 * compact.c: leave no unreferenced cluster inside the file, as far as the disk lets us.  An
 * error is one of the commits.  Nothing else may be in flight.
 */
int qed_co_compact(struct qed_image *img);
/* Copy a cluster of the file to one that reads as zeroes, leaving zeroes out.  Parks. */
int qed_co_copy_cluster(struct qed_image *img, uint64_t from, uint64_t to);

/* create.c */
int qed_co_create(const struct blk_create_opts *opts, struct error *err);

/* backing.c */
int qed_check_backing(struct blk_node *node, const char *name, struct error *err);
int qed_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err);

/* empty.c: let go of all tables and clusters.  No request may be in flight.  Parks. */
int qed_co_make_empty(struct blk_node *node);

/* measure.c */
int qed_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err);

/* resize.c */
int qed_co_truncate(struct blk_node *node, uint64_t size, struct error *err);

#endif
