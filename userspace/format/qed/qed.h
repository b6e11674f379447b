/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An open QED image: the declarations that the files of this driver share.
 *
 * Locking
 * -------
 * - Look-ups (map.c) take no lock: they walk the hash of cached L2 slices with
 *   acquire loads; a slice's memory stays valid until the caller yields
 *   (aio/rcu.h), an entry is one atomic load.
 * - Entries, the L1 table, and the lists of the allocator and of the commit
 *   change only under @meta_lock, which is held for a few instructions and never
 *   across a yield or I/O.
 * - A write that copies from the backing file takes long.  From its read of the
 *   entry until the new entry is set, it holds the cluster's range in @clusters
 *   (a range lock in cluster numbers).  Every change to zero or unallocated holds
 *   the range, too, since it must not happen in the middle of such a copy.  A
 *   fresh cluster for one that reads as zeroes needs no copy, and no range.
 * - Whether a write has to copy depends on the backing file, which a stream may
 *   replace at any moment (block/rebase.c): the node's @backing is not under our
 *   locks.  So a decision based on it, or on an entry, is valid only while the
 *   meta_lock under which it was made is held.  A writer that sets an entry reads
 *   it again under the meta_lock under which it sets it, and sets it only if it is
 *   still the entry that the decision was based on (qed_co_take_clusters(),
 *   qed_co_set_unallocated(), zero.c).  If not, the writer gives back the clusters
 *   it took and starts over.  Nothing else is needed: an unallocated cluster reads
 *   the same through the old backing file and the new one.
 * - A cluster of the file that lost its reference is used again only after the
 *   loss is durable and all requests that could have seen it have completed
 *   (free_list.c).  So a file offset that was looked up stays valid for as long
 *   as the request is in flight.
 *
 * The file on disk
 * ----------------
 * Data is written to the file at once, metadata when it is committed (commit.c):
 * the file is always a consistent image, older than memory by at most what was
 * not flushed.  Fresh clusters read as zeroes (they lie in a hole at the file's
 * end, or were punched).  So a new L2 table need not be written before it is
 * referenced, and the untouched rest of a fresh cluster need not be written.
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
	L2_SLICE_LOADING, /* on the loading list, not in the hash */
	L2_SLICE_READY, /* published: in the hash */
	L2_SLICE_RETIRED, /* unpublished, until a grace period has passed */
};

/* A cached piece of an L2 table.  All but the atomic members are under meta_lock. */
struct l2_slice {
	struct aio_rcu_head rcu;
	struct qed_image *img;
	_Atomic uint64_t *entries; /* QED_SLICE_ENTRIES, in this machine's byte order */
	uint64_t index; /* guest cluster / QED_SLICE_ENTRIES; fixed while published */
	struct l2_slice *_Atomic hash_next;
	_Atomic bool referenced; /* since the clock hand last passed */
	struct l2_slice *list_next; /* free list, loading list or dirty list */
	enum l2_slice_state state;
	bool dirty; /* has changes that no commit has copied */
	bool committing; /* the running commit writes it */
	bool has_space; /* its space on disk is allocated: writing it can't run out of space */
	unsigned int slot; /* of the rescue area, counted from 1; 0: clean, or no such area */
};

struct l2_cache {
	struct l2_slice *slices; /* @nr_slices, in use or spare */
	_Atomic uint64_t *memory; /* their entries */
	unsigned int nr_slices;
	/*
	 * @published stays below it, except while the slices that a commit has to write prevent
	 * eviction.  Slices beyond it are spare: a load takes one while evicted slices wait for
	 * their grace period.
	 */
	unsigned int capacity;
	unsigned int published; /* slices in the hash or being loaded */
	unsigned int retired;
	unsigned int clock_hand;
	struct l2_slice *free;
	struct l2_slice *loading; /* list of those being loaded, by list_next */
	struct co_queue waiters; /* for the end of a load, or for a free slice */
	struct l2_slice *_Atomic *buckets;
	uint64_t bucket_mask;
};

/* A run of file clusters; in struct qed_commit's lists of tables, of L1 indices. */
struct qed_run {
	uint64_t start, count;
};

struct qed_run_list {
	struct qed_run *runs;
	size_t nr, room;
};

struct qed_allocator {
	uint64_t frontier; /* file cluster: those at or behind it are unused, and read as zeroes */
	_Atomic uint64_t end; /* bytes: the frontier; look-ups validate entries against it */
	/*
	 * Bytes: the file's size, without a growth that is in flight.  Less than @end only where
	 * the file was opened with a partial last cluster.
	 */
	uint64_t physical;
	bool extending; /* one coroutine is growing the file */
	int extend_error; /* of the last growth */
	struct co_queue extend_waiters;
	_Atomic uint64_t l1_space; /* bytes of L1 whose space on disk is allocated */
	bool taking_space; /* a coroutine is allocating space for a slice */
	struct co_queue space_waiters;

	struct cluster_set free; /* clusters ready for use: durably unreferenced, and punched */
	/* The stages before that (free_list.c). */
	struct qed_run_list dropped; /* unreferenced in memory */
	struct qed_run_list committing; /* the running commit makes the loss durable */
	struct qed_run_list durable; /* unreferenced on disk */
	struct qed_run_list waiting; /* was durable when @ticket was drawn */
	uint64_t dropping; /* clusters in @dropped and @committing */
	uint64_t ticket; /* of node->inflight: once it has passed, no request uses @waiting */
	bool recycling; /* a coroutine is punching */
	struct co_queue recycle_waiters;
};

/* A coroutine that waits for a commit which starts after the coroutine asked for one. */
struct flush_waiter {
	struct co *co;
	struct flush_waiter *next;
	uint64_t want; /* the commit's number */
	bool guest; /* it serves a FLUSH of the guest */
	int ret;
	bool done;
};

struct qed_commit {
	uint64_t started, finished; /* commits are numbered from 1 */
	bool running;
	int last_error; /* of the last batch; 0: it succeeded */
	bool succeeded; /* at least one commit has, since the image was opened */
	unsigned int largest_group; /* most requests that one commit served */
	int owed_error; /* of a commit that no guest FLUSH waited for; the next FLUSH reports it */
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

/* The background flusher: it commits metadata that no flush asked for, and recycles clusters. */
struct qed_keeper {
	bool running, stop;
	uint64_t commit_at, recycle_at; /* deadlines in ns of CLOCK_MONOTONIC; 0: none */
	struct co_queue wakeup; /* the background flusher itself */
	struct co_queue stopped; /* coroutines that wait for its end */
	struct aio_timer timer; /* of the background flusher's loop */
};

/* The search for clusters that a crash leaked (leak_scan.c). */
struct qed_leak_scan {
	bool running;
	bool unfinished; /* there may be leaks that no search has looked for */
	bool leaked; /* clusters were leaked since the opening: the next opener must search */
	_Atomic bool stop;
	_Atomic bool hurry; /* the image is being closed: no pauses for the guest's requests */
	uint64_t end; /* clusters in the file when the image was opened */
	struct cluster_set used; /* those below @end that are, or since were, referenced */
	struct co_queue stopped;
};

/* Buckets of the table of clusters that are being filled (copy.c). */
#define QED_FILL_BUCKETS 64

struct qed_image {
	struct blk_node *node;
	struct blk_file *file;
	struct qed_header header;
	unsigned int cluster_bits;
	uint64_t table_bytes;
	uint64_t table_entries;
	_Atomic bool has_backing; /* unallocated clusters show a backing file */
	bool writable;

	_Atomic uint64_t *l1; /* table_entries file offsets, 0: no table */
	uint64_t *l1_disk; /* @l1 as on disk or being written; owned by the running commit */
	struct l2_cache cache;

	pthread_mutex_t meta_lock;
	struct co_mutex header_lock; /* held while @header is changed, in memory and on disk */
	struct range_lock clusters; /* guest clusters */
	pthread_mutex_t fill_lock; /* of @fills and all that it leads to; a leaf lock */
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

/*
 * Functions that return an int return 0 or a negative errno unless stated otherwise.  "Under
 * meta_lock" means that the caller holds it; other functions are called without it.
 */

/*
 * Flush the file (fdatasync).  If no later flush may succeed (blk_file_lost()), note that in the
 * rescue area, for a successor (rescue.h).  Yields.
 */
int qed_co_flush_file(struct qed_image *img);

/*
 * header_io.c.  Read and validate the header; the caller owns *@backing_name (NULL: none).
 * @incomplete: accept an image that is being filled; without it such an image is refused.  Yields.
 */
int qed_co_read_header(struct blk_file *file, bool incomplete, struct qed_header *h,
		       char **backing_name, struct error *err);
/* Write the header's fixed part, and flush the file.  Yields. */
int qed_co_write_header(struct qed_image *img, const struct qed_header *h);
/* See struct blk_driver. */
int qed_co_set_complete(struct blk_node *node);

/* l1.c: load the entries that the image's size needs.  Yields. */
int qed_co_l1_load(struct qed_image *img, struct error *err);
/* Load the entries behind those, which a check and the leak scan need, too.  Yields. */
int qed_co_l1_load_rest(struct qed_image *img);
void qed_l1_free(struct qed_image *img);
/* May an L2 table be at file offset @offset, if the file's clusters end at @end bytes? */
bool qed_table_offset_valid(const struct qed_image *img, uint64_t offset, uint64_t end);
/* Is L2 entry @entry 0, 1, or a valid offset of a data cluster in a file ending at @end bytes? */
bool qed_entry_valid(const struct qed_image *img, uint64_t entry, uint64_t end);

/* l2_cache.c: @bytes is the cache's size; 0: the default. */
int l2_cache_init(struct qed_image *img, uint64_t bytes);
void l2_cache_destroy(struct qed_image *img);
/* Empty the cache.  No slice may be dirty, and no request in flight.  Yields. */
void l2_cache_co_forget(struct qed_image *img);
/* Return the published slice, or NULL.  Takes no lock; valid until the caller yields. */
struct l2_slice *l2_cache_find(struct qed_image *img, uint64_t index);
/*
 * Load the slice, whose table must exist.  Yields.  The slice may be evicted again before the
 * caller finds it; the caller then calls again.
 */
int l2_cache_co_load(struct qed_image *img, uint64_t index);
/* Change an entry of a published slice, which becomes dirty.  Under meta_lock. */
void l2_slice_set(struct qed_image *img, struct l2_slice *slice, unsigned int i, uint64_t entry);
/* Return the file offset of slice @index, in bytes.  Its table must exist. */
uint64_t qed_slice_offset(const struct qed_image *img, uint64_t index);

/* map.c: see struct blk_driver. */
int qed_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
int qed_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
/* Load the slice that holds guest cluster @cluster's entry; its table must exist.  Yields. */
int qed_co_load_slice(struct qed_image *img, uint64_t cluster);

/*
 * alloc.c.  Take a run of at most @want file clusters, which read as zeroes, and return its
 * length.  0: the file must grow first; the caller drops the lock, calls qed_co_extend(), and
 * retries.  Free clusters are preferred, in a run of any length; a run at the file's end has at
 * least @least clusters.  Under meta_lock.
 */
uint64_t qed_alloc_run(struct qed_image *img, uint64_t least, uint64_t want, uint64_t *start);
/* Give back clusters from qed_alloc_run() that were not written to.  Under meta_lock. */
void qed_alloc_undo(struct qed_image *img, uint64_t start, uint64_t count);
/*
 * Make sure that the file has room for @clusters more, and for one that is never taken.  If a
 * growth is in flight, wait for it instead and return its result; the caller retries.  Yields.
 */
int qed_co_extend(struct qed_image *img, uint64_t clusters);
/* Give L1 entry @i a new, empty L2 table, unless it has one by now.  Yields. */
int qed_co_new_table(struct qed_image *img, uint64_t i);
/* Allocate the space on disk of the first @entries L1 entries.  Yields. */
int qed_co_take_l1_space(struct qed_image *img, uint64_t entries);
/*
 * One coroutine at a time allocates space for slices.  Begin under meta_lock.  True: the caller's
 * turn, until it calls qed_space_end(), under meta_lock again.  False: the caller has yielded, with
 * the lock dropped, until another's turn ended, and checks whether space is still missing.
 */
bool qed_co_space_begin(struct qed_image *img);
void qed_space_end(struct qed_image *img);
int qed_alloc_init(struct qed_image *img);
void qed_alloc_destroy(struct qed_image *img);

/* free_list.c: append a run; it is merged with the last one if it follows that.  Or -ENOMEM. */
int qed_run_list_add(struct qed_run_list *list, uint64_t start, uint64_t count);
/* Move all runs of @from to the end of @to.  -ENOMEM: the rest stays in @from. */
int qed_run_list_move(struct qed_run_list *to, struct qed_run_list *from);
/* Return the number of clusters in all runs. */
uint64_t qed_run_list_clusters(const struct qed_run_list *list);
void qed_run_list_destroy(struct qed_run_list *list);
/* Drop clusters that have just lost their reference in memory.  Under meta_lock. */
void qed_drop_clusters(struct qed_image *img, uint64_t start, uint64_t count);
/*
 * _committing(): the running commit takes all clusters dropped so far, together with the last of
 * the changed entries.  Later, one of the others: it succeeded, or it failed.  Under meta_lock.
 */
void qed_drops_committing(struct qed_image *img);
void qed_drops_durable(struct qed_image *img);
void qed_drops_not_durable(struct qed_image *img);
/* Do so many clusters wait for a commit that no more should be dropped?  Under meta_lock. */
bool qed_too_many_dropped(const struct qed_image *img);
/*
 * Punch and free the clusters whose loss is durable and that no request uses.  *@left tells
 * whether some still wait for requests.  Yields.
 */
void qed_co_recycle(struct qed_image *img, bool *left);

/*
 * Punch a run of unused clusters and hand it to the allocator.  On failure,
 * which is logged, the run is leaked.  Yields.
 */
int qed_co_free_run(struct qed_image *img, uint64_t start, uint64_t count);

/*
 * leak_scan.c.  Start the scan, if there may be leaks, before the first request.  _end(), before
 * the image is closed: wait for a short scan to finish, and stop a long one.  _stop(): stop it.
 * All yield.
 */
int qed_co_leak_scan_start(struct qed_image *img);
void qed_co_leak_scan_end(struct qed_image *img);
void qed_co_leak_scan_stop(struct qed_image *img);
/* Tell the scan that clusters were dropped.  Under meta_lock. */
void qed_leak_scan_dropped(struct qed_image *img, uint64_t start, uint64_t count);

/* commit.c */
int qed_commit_init(struct qed_image *img);
void qed_commit_destroy(struct qed_image *img);
/*
 * See struct blk_driver: the guest's FLUSH.  Reports, once, the error of a commit that no FLUSH
 * waited for.  Only for the guest's requests; other callers use qed_co_commit().  Yields.
 */
int qed_co_flush(struct blk_node *node);
/* Commit: when it returns 0, everything answered before the call is durable.  Yields. */
int qed_co_commit(struct qed_image *img);
/* Commit if there is metadata to write; for the background flusher.  Yields. */
int qed_co_commit_dirty(struct qed_image *img);
/* See struct blk_driver. */
void qed_gauges(struct blk_node *node, uint64_t *values);
/* Wait while too much metadata is dirty; return an error if it can't be written.  Yields. */
int qed_co_throttle(struct qed_image *img);
/* Is so much metadata dirty that writers must wait?  Under meta_lock. */
bool qed_too_much_is_dirty(const struct qed_image *img);

/* keeper.c: the background flusher. */
int qed_keeper_start(struct qed_image *img);
/* Stop it, and wait until it has ended.  Yields. */
void qed_co_keeper_stop(struct qed_image *img);
/* Schedule a commit: soon, or at once (@now), where a writer waits for it.  Under meta_lock. */
void qed_keeper_commit(struct qed_image *img, bool now);
/* Schedule the recycling of clusters whose loss is durable.  Under meta_lock. */
void qed_keeper_recycle(struct qed_image *img);

/* read.c */
int qed_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/* write.c */
int qed_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
		  unsigned int flags);
/* Return how many bytes the backing file has, from guest offset 0 on; 0: there is none. */
uint64_t qed_backing_bytes(const struct qed_image *img);
/* durable.c: see struct blk_driver. */
int qed_co_pwrite_durable(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf);

/*
 * fresh.c and copy.c: write [offset, offset + bytes), which lies in guest clusters
 * that have no data cluster.  Each writes a first part, whose length in bytes goes
 * to *@done.  *@done 0: the entries have changed, and the caller maps again.
 *
 * fresh: the clusters read as zeroes.  copying: they are unallocated and show the
 * backing file; @buf NULL writes zeroes into a part of one cluster.
 */
int qed_co_write_fresh(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
		       uint64_t *done);
int qed_co_write_copying(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags, uint64_t *done);
/*
 * entries.c: get the slice that holds guest cluster @cluster's entry, to change it.
 * Returns 0 with meta_lock *held*, or an error without.  Waits while too much is
 * dirty, and makes the table and loads the slice where necessary.  Yields.
 */
int qed_co_slice_for_change(struct qed_image *img, uint64_t cluster, struct l2_slice **slice);
/* May a fresh cluster replace @entry, the entry of guest cluster @cluster?  Under meta_lock. */
typedef bool qed_lacks_fn(const struct qed_image *img, uint64_t entry, uint64_t cluster);
/*
 * Take file clusters for at most @max entries from guest cluster @cluster on, up to
 * the first for which @lacks is false, and no more than one slice and one run of the
 * file give.  The run's count is 0 if @lacks is false for the first.  With @set the
 * entries are set to the clusters at once.  Yields.
 */
int qed_co_take_clusters(struct qed_image *img, uint64_t cluster, uint64_t max, qed_lacks_fn *lacks,
			 bool set, struct qed_run *run);
/*
 * Set the entries of @n guest clusters, all in one slice, to @first, @first + @step, ..., up to the
 * first that is no longer unallocated.  *@set is how many were set.  Yields.
 */
int qed_co_set_unallocated(struct qed_image *img, uint64_t cluster, uint64_t n, uint64_t first,
			   uint64_t step, uint64_t *set);

/* zero.c */
int qed_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			 unsigned int flags);
int qed_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes);

/*
 * walk.c: call @fn for the entries of an L2 table on disk, piece by piece: @n entries
 * from guest cluster @first on.  A piece for which it sets *@changed is written back.
 * Holes, which are entries of 0, are skipped; entries behind the image's end are not.
 * An error of @fn ends the walk.  Yields.
 */
typedef int qed_walk_fn(void *arg, uint64_t first, uint64_t *entries, unsigned int n,
			bool *changed);
int qed_co_walk_table(struct qed_image *img, uint64_t l1_index, qed_walk_fn *fn, void *arg);
/* Return how many L1 entries the image's size needs. */
uint64_t qed_l1_entries_used(const struct qed_image *img);

/* check.c: see struct blk_driver. */
int qed_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		 void *report_arg, struct blk_check_result *result, struct error *err);

/*
 * compact.c: leave no unreferenced cluster inside the file, unless the image is damaged or I/O
 * fails.  Returns 0 or the error of a commit.  No request may be in flight.  Yields.
 */
int qed_co_compact(struct qed_image *img);
/* Copy file cluster @from to @to, which reads as zeroes; zeroes are not written.  Yields. */
int qed_co_copy_cluster(struct qed_image *img, uint64_t from, uint64_t to);

/* create.c */
extern const struct blk_option_row qed_create_options[];
/* Return the size of a new image's clusters in bytes, or of its tables in clusters. */
uint32_t qed_new_cluster_size(const struct blk_create_opts *opts);
uint32_t qed_new_table_size(const struct blk_create_opts *opts);
int qed_check_create(const struct blk_create_opts *opts, struct error *err);
int qed_co_create(struct blk_file *file, const struct blk_create_opts *opts, struct error *err);

/* backing.c */
int qed_check_backing(struct blk_node *node, const char *name, struct error *err);
int qed_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err);

/* empty.c: drop all tables and clusters.  No request may be in flight.  Yields. */
int qed_co_make_empty(struct blk_node *node);

/* measure.c */
int qed_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err);

/* resize.c */
int qed_co_truncate(struct blk_node *node, uint64_t size, struct error *err);

#endif
