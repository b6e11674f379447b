// SPDX-License-Identifier: GPL-2.0
/*
 * Checking and repairing an image: every table and cluster must lie inside the
 * file, be aligned, and be referenced once; an unreferenced cluster is leaked.
 *
 * An entry with a bad offset is repaired to unallocated; a second reference to a
 * cluster gets a copy of its own; leaks are compacted away.  NEED_CHECK is cleared
 * when no error is left.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/qed/alloc.h"
#include "format/qed/check.h"
#include "format/qed/compact.h"
#include "format/qed/header.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/units.h"

/* Copies up to the file's size or this are made unasked: a small file may ask for millions. */
#define COPIES_UNASKED (16 * MiB)

__attribute__((format(printf, 2, 3))) static void report(struct qed_check *check, const char *fmt,
							 ...)
{
	char line[256];
	va_list ap;

	if (!check->report)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	check->report(check->report_arg, line);
}

/* Count a corruption; return whether to repair it. */
static bool found_corruption(struct qed_check *check)
{
	if (check->fix & BLK_FIX_ERRORS) {
		check->result->corruptions_fixed++;
		return true;
	}
	check->result->corruptions++;
	return false;
}

static bool any_used(const struct qed_check *check, uint64_t cluster, uint64_t count)
{
	uint64_t start;
	uint64_t n = cluster_set_next_run(&check->used, cluster, 1, &start);

	return n && start < cluster + count;
}

/* Allocate a file cluster for a copy.  Yields. */
static int take_cluster(struct qed_image *img, uint64_t *cluster)
{
	for (;;) {
		uint64_t n;
		int ret;

		pthread_mutex_lock(&img->meta_lock);
		n = qed_alloc_run(img, 1, 1, cluster);
		pthread_mutex_unlock(&img->meta_lock);
		if (n)
			return 0;
		ret = qed_co_extend(img, 1);
		if (ret)
			return ret;
	}
}

/* Copy a cluster that is referenced twice, for the second entry; the offset goes to *@entry. */
static int separate(struct qed_check *check, uint64_t *entry)
{
	struct qed_image *img = check->img;
	uint64_t to;
	int ret = take_cluster(img, &to);

	if (!ret)
		ret = qed_co_copy_cluster(img, *entry >> img->cluster_bits, to);
	if (!ret)
		ret = qed_co_flush_file(img);
	if (!ret)
		ret = cluster_set_add(&check->used, to, 1);
	if (!ret)
		*entry = to << img->cluster_bits;
	return ret;
}

/* Return whether *@entry is valid; if not, report it, and repair it if asked to. */
static bool check_offset(struct qed_check *check, uint64_t guest, uint64_t *entry, bool *changed)
{
	if (qed_entry_valid(check->img, *entry, check->end))
		return true;
	report(check, "ERROR guest cluster %" PRIu64 ": bad offset 0x%" PRIx64, guest, *entry);
	if (found_corruption(check)) {
		*entry = QED_L2_UNALLOCATED;
		*changed = true;
	}
	return false;
}

static int check_offsets(void *arg, uint64_t first_cluster, uint64_t *entries, unsigned int n,
			 bool *changed)
{
	for (unsigned int i = 0; i < n; i++)
		(void)check_offset(arg, first_cluster + i, &entries[i], changed);
	return 0;
}

/* May another cluster be copied?  Copies may fill the disk. */
static bool copy_allowed(struct qed_check *check)
{
	/* Only in a check that the user asked for. */
	if (!(check->img->node->flags & BLK_O_CHECK))
		return false;
	check->copied += check->img->header.cluster_size;
	if (!(check->fix & BLK_FIX_ERRORS) || (check->fix & BLK_FIX_MANY_COPIES) ||
	    check->copied <= max_u64(check->end, COPIES_UNASKED))
		return true;
	check->result->copies_refused++;
	return false;
}

static int check_entry(struct qed_check *check, uint64_t guest, uint64_t *entry, bool *changed)
{
	struct qed_image *img = check->img;
	uint64_t cluster = *entry >> img->cluster_bits;

	if (!qed_entry_is_data(*entry))
		return 0;
	if (!check_offset(check, guest, entry, changed))
		return 0;
	check->result->allocated_clusters++;
	if (check->last.entry && check->last.entry + img->header.cluster_size != *entry)
		check->result->fragmented_clusters++;
	check->last.entry = *entry;
	if (!cluster_set_has(&check->used, cluster))
		return cluster_set_add(&check->used, cluster, 1);

	report(check, "ERROR guest cluster %" PRIu64 ": offset 0x%" PRIx64 " is in use already",
	       guest, *entry);
	if (!copy_allowed(check)) {
		check->result->corruptions++;
		return 0;
	}
	if (!found_corruption(check))
		return 0;
	*changed = true;
	return separate(check, entry);
}

int qed_co_check_piece(void *arg, uint64_t first_cluster, uint64_t *entries, unsigned int n,
		       bool *changed)
{
	struct qed_check *check = arg;
	uint64_t table = first_cluster / check->img->table_entries;
	int ret = 0;

	if (check->last.table != table)
		check->last = (struct qed_check_place){ .table = table };
	for (unsigned int i = 0; !ret && i < n; i++)
		ret = check_entry(check, first_cluster + i, &entries[i], changed);
	return ret;
}

/* Remove a bad table from L1, in memory and on disk. */
static int drop_table(struct qed_check *check, uint64_t i)
{
	struct qed_image *img = check->img;
	uint64_t block = round_down(i * 8, 4096);

	atomic_store_explicit(&img->l1[i], 0, memory_order_relaxed);
	img->l1_disk[i] = 0;
	return blk_file_co_pwrite(img->file, (uint8_t *)img->l1_disk + block, 4096,
				  img->header.l1_table_offset + block);
}

static uint64_t table_on_disk(const struct qed_image *img, uint64_t i)
{
	return le64toh(img->l1_disk[i]);
}

static int check_table(struct qed_check *check, uint64_t i)
{
	struct qed_image *img = check->img;
	uint64_t table = table_on_disk(img, i);
	uint64_t cluster = table >> img->cluster_bits;

	if (qed_table_offset_valid(img, table, check->end) &&
	    !any_used(check, cluster, img->header.table_size))
		return cluster_set_add(&check->used, cluster, img->header.table_size);
	report(check, "ERROR L2 table %" PRIu64 ": bad offset 0x%" PRIx64, i, table);
	return found_corruption(check) ? drop_table(check, i) : 0;
}

/* List table @i for the walk, if there still is one, and another L1 entry has not listed it. */
static int list_table(struct qed_check *check, uint64_t i)
{
	struct qed_image *img = check->img;
	uint64_t table = table_on_disk(img, i);
	uint64_t cluster = table >> img->cluster_bits;
	int ret;

	if (!table || !qed_table_offset_valid(img, table, check->end) ||
	    cluster_set_has(&check->walked, cluster))
		return 0;
	ret = cluster_set_add(&check->walked, cluster, 1);
	return ret ? ret : cluster_set_add(&check->tables, i, 1);
}

/*
 * All tables are checked before any entry, so that if a table and a data cluster overlap, the table
 * is kept.
 */
int qed_co_check_tables(struct qed_check *check, uint64_t from, uint64_t to)
{
	int ret = 0;

	for (uint64_t i = from; !ret && i < to; i++) {
		if (!check->img->l1_disk[i])
			continue;
		ret = check_table(check, i);
		if (!ret)
			ret = list_table(check, i);
	}
	return ret;
}

int qed_co_check_walk(struct qed_check *check, qed_walk_fn *piece, void *arg)
{
	int ret = 0;

	for (uint64_t i = 0; !ret && cluster_set_next_run(&check->tables, i, 1, &i); i++)
		ret = qed_co_walk_table(check->img, i, piece, arg);
	return ret;
}

/*
 * Repair bad offsets, durably, before any copy is made.  An entry that points behind the file's end
 * would point to a copy once the file has grown.
 */
static int mend_offsets(struct qed_check *check)
{
	int ret;

	if (!(check->fix & BLK_FIX_ERRORS) || !(check->img->node->flags & BLK_O_CHECK))
		return 0;
	ret = qed_co_check_walk(check, check_offsets, check);
	return ret ? ret : qed_co_flush_file(check->img);
}

static int fix_leaks(struct qed_check *check)
{
	struct blk_check_result *result = check->result;
	uint64_t found = result->leaks;
	uint64_t kept = found - qed_co_free_others(check->img, &check->used,
						   check->img->alloc.frontier, NULL);
	int ret;

	check->img->scan.unfinished = kept;
	ret = qed_co_compact(check->img, true);

	if (ret)
		return ret;
	result->leaks = kept + check->img->alloc.free.members;
	result->leaks_fixed = found - result->leaks;
	return 0;
}

static int mark_clean(struct qed_check *check)
{
	struct qed_image *img = check->img;

	if (check->result->corruptions || !(check->fix & BLK_FIX_ERRORS) ||
	    !(img->header.features & QED_F_NEED_CHECK))
		return 0;
	/* All repairs are flushed by now: run_check() did that before clearing the bit. */
	img->header.features &= ~(uint64_t)QED_F_NEED_CHECK;
	return qed_co_write_header(img, &img->header);
}

int qed_check_begin(struct qed_check *check)
{
	const struct qed_image *img = check->img;
	uint64_t l1 = img->header.l1_table_offset >> img->cluster_bits;
	int ret = cluster_set_add(&check->used, 0, img->header.header_size);

	check->end = atomic_load_explicit(&img->alloc.end, memory_order_relaxed);
	check->result->total_clusters =
		div_round_up(atomic_load(&img->node->size), img->header.cluster_size);
	return ret ? ret : cluster_set_add(&check->used, l1, img->header.table_size);
}

void qed_check_end(struct qed_check *check)
{
	cluster_set_destroy(&check->used);
	cluster_set_destroy(&check->tables);
	cluster_set_destroy(&check->walked);
}

static int run_check(struct qed_check *check)
{
	struct qed_image *img = check->img;
	int ret = qed_co_l1_load_rest(img);

	if (!ret)
		ret = qed_check_begin(check);
	/* With the tables behind the image's end. */
	if (!ret)
		ret = qed_co_check_tables(check, 0, img->table_entries);
	if (!ret)
		ret = mend_offsets(check);
	if (!ret)
		ret = qed_co_check_walk(check, qed_co_check_piece, check);
	if (ret)
		return ret;
	check->result->leaks = img->alloc.frontier - check->used.members;
	if (!check->result->leaks)
		img->scan.unfinished = false;
	if (check->fix) {
		ret = qed_co_flush_file(img);
		/* Moving clusters is safe only if each has one reference. */
		if (!ret && (check->fix & BLK_FIX_LEAKS) && check->result->leaks &&
		    !check->result->corruptions)
			ret = fix_leaks(check);
		if (!ret)
			ret = mark_clean(check);
	}
	return ret;
}

int qed_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report_fn,
		 void *report_arg, struct blk_check_result *result, struct error *err)
{
	struct qed_image *img = node->opaque;
	struct qed_check check = {
		.img = img,
		.fix = fix,
		.report = report_fn,
		.report_arg = report_arg,
		.result = result,
	};
	int ret;

	memset(result, 0, sizeof(*result));
	if (fix && !img->writable)
		return error_set(err, -EROFS, "image is open for reading only");
	ret = run_check(&check);
	qed_check_end(&check);
	if (ret) {
		result->check_errors++;
		return error_set_errno(err, ret, "check could not be completed");
	}
	return 0;
}
