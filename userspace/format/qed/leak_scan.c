// SPDX-License-Identifier: GPL-2.0
/*
 * Finding clusters that a crash leaked, in the background, while the image is in use.
 *
 * A cluster that was in the file when it was opened is leaked if no table on disk
 * references it.  The tables change while they are read, but only one change
 * matters: a cluster loses its reference.  Such clusters go through
 * qed_drop_clusters() and are noted.  All others that were referenced at the opening
 * still are when their slice is read, whatever a commit writes at the same time.  So
 * a cluster that was neither found nor dropped was unreferenced from the start, and
 * has not been allocated since: the allocator knows only clusters that lie behind
 * the old end, or were dropped.
 *
 * The entries that are read are durable: the file was flushed before the first read
 * of it (block/node.c), and clusters whose entries changed since are noted as
 * dropped.  So the disk has no old reference to a cluster that is freed here.
 *
 * The format does not record whether the last writer closed the image.  But the
 * file of a writer that allocates or frees clusters always ends in a cluster that
 * was never used (see alloc.c and commit.c), which is a hole.  A closed file ends in
 * its last used cluster, which rarely is a hole.  So if there is no hole at the end,
 * there is nothing to search for.  An unfinished search leaves a bit in the header,
 * so that the next opener searches again; QEMU's programs clear it, and leave such
 * leaks to a check.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "format/qed/alloc.h"
#include "format/qed/leak_scan.h"
#include "format/qed/tables.h"
#include "util/log.h"
#include "util/units.h"

/* A pause after each piece of a table, in ns, for the guest's requests. */
#define PIECE_PAUSE_NS 1000000ULL
/* A close waits for a search of no more tables, and bytes of tables, than this. */
#define SHORT_SEARCH_TABLES 128u
#define SHORT_SEARCH_BYTES  (16 * MiB)

static int note_used(struct qed_image *img, uint64_t start, uint64_t count)
{
	uint64_t end = img->scan.end;
	int ret = 0;

	if (start >= end)
		return 0;
	pthread_mutex_lock(&img->meta_lock);
	ret = cluster_set_add(&img->scan.used, start, min_u64(count, end - start));
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

/*
 * Return the end of the file, in bytes, in front of which entries must point.  Not the allocator's
 * end: that moves down when the last clusters are freed, and an entry read before may be theirs.
 */
static uint64_t end_of_file(const struct qed_image *img)
{
	uint64_t size = atomic_load_explicit(&img->file->size, memory_order_acquire);

	return round_up(size, qed_cluster_size(img));
}

static int scan_piece(void *arg, uint64_t first, uint64_t *entries, unsigned int n, bool *changed)
{
	struct qed_image *img = arg;
	uint64_t end = img->scan.end << img->cluster_bits;
	int ret = 0;

	(void)first;
	(void)changed;
	for (unsigned int i = 0; !ret && i < n; i++) {
		if (!qed_entry_is_data(entries[i]))
			continue;
		/* The image is damaged: which clusters it uses is unknown. */
		if (!qed_entry_valid(img, entries[i], end_of_file(img)))
			return -EINVAL;
		if (entries[i] < end)
			ret = note_used(img, entries[i] >> img->cluster_bits, 1);
	}
	if (!img->scan.hurry)
		aio_co_sleep(PIECE_PAUSE_NS);
	return img->scan.stop ? -ECANCELED : ret;
}

/* Scan one table; @seen has the first clusters of the tables before it. */
static int scan_table(struct qed_image *img, uint64_t i, struct cluster_set *seen)
{
	uint64_t table = atomic_load_explicit(&img->l1[i], memory_order_acquire);
	int ret;

	if (!table)
		return 0;
	/* A damaged image may reference one table many times: don't read it again. */
	if (!qed_table_offset_valid(img, table, end_of_file(img)) ||
	    cluster_set_has(seen, table >> img->cluster_bits))
		return -EINVAL;
	ret = cluster_set_add(seen, table >> img->cluster_bits, 1);
	if (!ret)
		ret = note_used(img, table >> img->cluster_bits, img->header.table_size);
	return ret ? ret : qed_co_walk_table(img, i, scan_piece, img);
}

static int scan_tables(struct qed_image *img)
{
	uint64_t l1 = img->header.l1_table_offset >> img->cluster_bits;
	struct cluster_set seen;
	int ret = note_used(img, 0, img->header.header_size);

	cluster_set_init(&seen);
	if (!ret)
		ret = note_used(img, l1, img->header.table_size);
	for (uint64_t i = 0; !ret && i < img->table_entries; i++)
		ret = scan_table(img, i, &seen);
	cluster_set_destroy(&seen);
	return ret;
}

static void scan_main(void *arg)
{
	struct qed_image *img = arg;
	struct qed_leak_scan *scan = &img->scan;
	uint64_t freed = 0;
	int ret = scan_tables(img);

	if (!ret)
		freed = qed_co_free_others(img, &scan->used, scan->end, &scan->stop);
	if (freed)
		log_info("%s: %" PRIu64 " clusters that an unclean end had leaked are free again",
			 img->node->filename, freed);
	else if (ret && ret != -ECANCELED)
		log_warning("%s: the search for leaked clusters failed: %s", img->node->filename,
			    strerror(-ret));
	pthread_mutex_lock(&img->meta_lock);
	cluster_set_destroy(&scan->used);
	scan->unfinished = ret || scan->stop;
	scan->running = false;
	co_queue_wake_all(&scan->stopped);
	pthread_mutex_unlock(&img->meta_lock);
}

/* Does the file end in a hole? */
static int ends_in_hole(struct qed_image *img)
{
	uint64_t size = atomic_load_explicit(&img->file->size, memory_order_relaxed);
	uint64_t last = size > qed_cluster_size(img) ? size - qed_cluster_size(img) : 0;
	uint64_t run;
	int data = blk_file_co_is_data(img->file, last, size - last, &run);

	return data < 0 ? data : !data && run == size - last;
}

int qed_co_leak_scan_start(struct qed_image *img)
{
	struct qed_leak_scan *scan = &img->scan;
	int ret;

	ret = scan->unfinished ? 1 : ends_in_hole(img);
	if (ret <= 0)
		return ret;
	scan->end = img->alloc.frontier;
	ret = qed_co_l1_load_rest(img);
	if (ret)
		return ret;
	cluster_set_init(&scan->used);
	scan->running = true;
	ret = co_start(scan_main, img);
	if (ret)
		scan->running = false;
	return ret;
}

static void await_end(struct qed_image *img)
{
	struct qed_leak_scan *scan = &img->scan;

	pthread_mutex_lock(&img->meta_lock);
	while (scan->running)
		co_queue_wait(&scan->stopped, &img->meta_lock);
	pthread_mutex_unlock(&img->meta_lock);
}

static bool is_short(const struct qed_image *img)
{
	uint64_t most = min_u64(SHORT_SEARCH_BYTES / img->table_bytes, SHORT_SEARCH_TABLES);
	uint64_t tables = 0;

	for (uint64_t i = 0; i < img->table_entries && tables <= most; i++)
		if (atomic_load_explicit(&img->l1[i], memory_order_relaxed))
			tables++;
	return tables <= most;
}

void qed_co_leak_scan_end(struct qed_image *img)
{
	struct qed_leak_scan *scan = &img->scan;
	bool running;

	pthread_mutex_lock(&img->meta_lock);
	running = scan->running;
	pthread_mutex_unlock(&img->meta_lock);
	if (running && is_short(img))
		scan->hurry = true;
	else
		scan->stop = true;
	await_end(img);
}

void qed_co_leak_scan_stop(struct qed_image *img)
{
	img->scan.stop = true;
	await_end(img);
}
