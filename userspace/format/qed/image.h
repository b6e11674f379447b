/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An open QED image: what it has in memory, and which locks protect it.  What is done with a part
 * of it is declared in the part's own header.
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
#ifndef QEDBLK_FORMAT_QED_IMAGE_H
#define QEDBLK_FORMAT_QED_IMAGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <urcu/list.h>

#include "aio/lock.h"
#include "aio/rcu.h"
#include "aio/timer.h"
#include "block/node.h"
#include "file/range_lock.h"
#include "format/qed/cluster_set.h"
#include "format/qed/format.h"

struct qed_image;

/* L2 tables are cached and written in slices of this many bytes, whatever their size. */
#define QED_SLICE_BYTES	  4096u
#define QED_SLICE_ENTRIES (QED_SLICE_BYTES / 8)

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

/* Clusters that a check of the image in use must not take for leaks (free_list.c). */
struct qed_spared {
	uint64_t end; /* file cluster: only those below it matter */
	struct cluster_set clusters;
	bool incomplete; /* there was no memory to note one */
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
	struct cluster_runs dropped; /* unreferenced in memory */
	struct cluster_runs committing; /* the running commit makes the loss durable */
	struct cluster_runs durable; /* unreferenced on disk */
	struct cluster_runs waiting; /* was durable when @ticket was drawn */
	uint64_t dropping; /* clusters in @dropped and @committing */
	uint64_t ticket; /* of node->inflight: once it has passed, no request uses @waiting */
	bool recycling; /* a coroutine is punching */
	struct co_queue recycle_waiters;
	struct qed_spared *spared; /* of the check that runs; NULL: none */
};

/* What commits do for a check of the image in use (check_live.c). */
struct qed_commit_watch {
	/* By a leader: its commit has succeeded, and the next one has not begun. */
	void (*committed)(struct qed_commit_watch *watch);
	/* By a leader: it will overwrite @n slices that are adjacent in the file.  Yields. */
	void (*co_overwrites)(struct qed_commit_watch *watch, struct l2_slice *const *slices,
			      unsigned int n);
};

struct qed_commit {
	uint64_t started, finished; /* commits are numbered from 1 */
	bool running;
	int last_error; /* of the last batch; 0: it succeeded */
	bool succeeded; /* at least one commit has, since the image was opened */
	unsigned int largest_group; /* most requests that one commit served */
	int owed_error; /* of a commit that no guest FLUSH waited for; the next FLUSH reports it */
	struct cds_list_head waiters; /* struct flush_waiter, the latest first */
	struct co_queue dirty_waiters; /* writers, while too much is dirty */

	struct l2_slice *dirty; /* list by list_next */
	unsigned int nr_dirty, max_dirty;
	struct cluster_runs new_tables; /* L1 indices (count 1 each) set since the last commit */
	struct qed_commit_watch *watch; /* of the commits that begin from now on; NULL: none */

	/* Used by the running commit only. */
	struct qed_commit_watch *watching;
	struct l2_slice **batch;
	unsigned int nr_batch;
	uint8_t *copies; /* max_batch slices as they go to disk */
	unsigned int max_batch;
	struct cluster_runs batch_tables;
};

/* The background flusher: it commits metadata that no flush asked for, and recycles clusters. */
struct qed_flusher {
	bool running, stop;
	uint64_t commit_at, recycle_at; /* deadlines in ns of CLOCK_MONOTONIC; 0: none */
	int (*co_commit)(struct qed_image *img);
	void (*co_recycle)(struct qed_image *img, bool *left);
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

#define QED_BOOT_ID_LEN 36

/* The area in which a successor finds what is not committed (rescue.h). */
struct qed_rescue {
	struct qed_rescue_area *map; /* of the file; NULL: none */
	struct qed_rescue_area *area; /* the same while changes are recorded there, else NULL */
	bool replay; /* the area is a dead server's, for qed_co_rescue_replay() */
	bool later; /* another image's, until qed_rescue_switch() */
	bool started; /* the area holds this server's metadata */
	unsigned int *free; /* stack of slots without a slice */
	unsigned int nr_free;
	unsigned int nr_slots, nr_tables; /* most slices and L1 entries to note */
	char boot_id[QED_BOOT_ID_LEN]; /* of the running kernel */
	uint64_t tables_in_commit; /* L1 entries noted before this one are in the running commit */
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
	_Atomic uint64_t l1_used; /* so many of @l1 the image's size needs, or has needed */
	uint64_t *l1_disk; /* @l1 as on disk or being written; owned by the running commit */
	struct l2_cache cache;

	pthread_mutex_t meta_lock;
	struct co_mutex header_lock; /* held while @header is changed, in memory and on disk */
	struct range_lock clusters; /* guest clusters */
	pthread_mutex_t fill_lock; /* of @fills and all that it leads to; a leaf lock */
	struct qed_fill *fills[QED_FILL_BUCKETS];
	struct qed_allocator alloc;
	struct qed_commit commit;
	struct qed_flusher flusher;
	struct qed_leak_scan scan;
	struct qed_rescue rescue;
};

static inline uint32_t qed_cluster_size(const struct qed_image *img)
{
	return img->header.cluster_size;
}

/* Return how many bytes the backing file has, from guest offset 0 on; 0: there is none. */
static inline uint64_t qed_backing_bytes(const struct qed_image *img)
{
	const struct blk_node *backing = img->node->backing;

	return backing ? atomic_load_explicit(&backing->size, memory_order_relaxed) : 0;
}

#endif
