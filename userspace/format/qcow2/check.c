// SPDX-License-Identifier: GPL-2.0
/*
 * Checking an image: the passes, and what is not in L1 and L2 tables.  Findings are counted and
 * worded as QEMU does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "format/qcow2/bitmaps.h"
#include "format/qcow2/check.h"
#include "format/qcow2/snapshots.h"
#include "format/qcow2/words.h"
#include "util/text.h"
#include "util/units.h"

/* Memory for the counts of a window: 8 TiB of 64 KiB clusters with 16 bits each. */
#define WINDOW_BYTES (256 * MiB)

/*
 * The bytes of tables that are read: those of the file a few times, once more with each pass, and
 * so many times the memory for counts (64 GiB), for tables that snapshots share; with less memory
 * than that at least MIN_WORK. And a check ends after so many lines.
 */
#define WORK_TIMES_FILE	  16
#define WORK_TIMES_MEMORY 256
#define MIN_WORK	  GiB
#define MAX_LINES	  (1u << 26)

/* Bytes of extra data that an entry of the snapshot table has in version 3. */
#define SNAPSHOT_EXTRA_V3 16u

int qcow2_check_spend(struct qcow2_check *check, uint64_t offset, uint64_t bytes)
{
	bytes = offset < check->file_bytes ? min_u64(bytes, check->file_bytes - offset) : 0;
	if (bytes > check->work)
		return -ELOOP;
	check->work -= bytes;
	return 0;
}

void qcow2_check_report(struct qcow2_check *check, const char *fmt, ...)
{
	va_list ap;
	char *line;

	if (check->lines++ == MAX_LINES)
		check->work = 0;
	if (!check->report)
		return;
	va_start(ap, fmt);
	line = text_format("", fmt, ap);
	va_end(ap);
	if (line)
		check->report(check->report_arg, line);
	free(line);
}

static void count_reference(struct qcow2_check *check, uint64_t cluster)
{
	const struct qcow2_header *h = &check->img->header;
	uint64_t count;

	check->clusters = max_u64(check->clusters, cluster + 1);
	if (cluster < check->first || cluster - check->first >= check->window)
		return;
	count = qcow2_check_count(check, cluster);
	if (count < qcow2_refcount_max(h->refcount_order)) {
		qcow2_refcount_set(check->counts, h->refcount_order, cluster - check->first,
				   count + 1);
		return;
	}
	check->result->corruptions++;
	qcow2_check_report(check, "ERROR: overflow cluster offset=0x%" PRIx64,
			   cluster << h->cluster_bits);
	qcow2_check_report(check, "Use qemu-img amend to increase the refcount entry width or "
				  "qemu-img convert to create a clean copy if the image cannot be "
				  "opened for writing");
}

void qcow2_check_use(struct qcow2_check *check, uint64_t offset, uint64_t bytes)
{
	unsigned int bits = check->img->header.cluster_bits;

	if (!bytes)
		return;
	/* The last cluster may be allocated in part. */
	if (offset > QCOW2_MAX_FILE_OFFSET || bytes > QCOW2_MAX_FILE_OFFSET ||
	    offset + bytes >= check->file_bytes + check->img->cluster_size) {
		qcow2_check_corrupt(check,
				    "ERROR: counting reference for region exceeding the end of the "
				    "file by one cluster or more: offset 0x%" PRIx64
				    " size 0x%" PRIx64,
				    offset, bytes);
		return;
	}
	for (uint64_t k = offset >> bits; k <= (offset + bytes - 1) >> bits; k++)
		count_reference(check, k);
}

/* ---- Snapshots ---- */

static int check_snapshot(void *arg, unsigned int index, const struct qcow2_snapshot *snapshot)
{
	struct qcow2_check *check = arg;

	if (check->img->header.version >= 3 && snapshot->extra_bytes < SNAPSHOT_EXTRA_V3)
		qcow2_check_corrupt(check, "ERROR snapshot table entry %u is incomplete", index);
	return 0;
}

static int check_snapshot_table(struct qcow2_check *check, struct error *err)
{
	int ret = qcow2_co_walk_snapshots(check->img, check_snapshot, check, &check->snapshot_bytes,
					  err);

	if (ret)
		error_prefix(err, "failed to read the snapshot table");
	return ret;
}

static int bad_snapshot(struct qcow2_check *check, const struct qcow2_snapshot *snapshot,
			bool aligned)
{
	char *id, *name;
	int ret = qcow2_co_snapshot_text(check->img, snapshot, &id, &name);

	if (ret)
		return ret;
	if (!aligned)
		qcow2_check_corrupt(
			check,
			"ERROR snapshot %s (%s) l1_offset=%#" PRIx64
			": L1 table is not cluster aligned; snapshot table entry corrupted",
			id, name, snapshot->l1_offset);
	else
		qcow2_check_corrupt(check,
				    "ERROR snapshot %s (%s) l1_size=%#" PRIx32
				    ": L1 table is too large; snapshot table entry corrupted",
				    id, name, snapshot->l1_size);
	free(id);
	free(name);
	return 0;
}

static int count_snapshot(void *arg, unsigned int index, const struct qcow2_snapshot *snapshot)
{
	struct qcow2_check *check = arg;
	bool aligned = !(snapshot->l1_offset & (check->img->cluster_size - 1));

	(void)index;
	if (!aligned || snapshot->l1_size > QCOW2_MAX_L1_BYTES / 8)
		return bad_snapshot(check, snapshot, aligned);
	return qcow2_check_co_l1(check, snapshot->l1_offset, snapshot->l1_size, false);
}

static int count_snapshots(struct qcow2_check *check, struct error *err)
{
	const struct qcow2_header *h = &check->img->header;
	uint64_t bytes;
	int ret;

	if (check->data_file && h->nb_snapshots)
		qcow2_check_corrupt(check, "ERROR %" PRIu32 " snapshots in image with data file",
				    h->nb_snapshots);
	ret = qcow2_co_walk_snapshots(check->img, count_snapshot, check, &bytes, err);
	if (!ret)
		qcow2_check_use(check, h->snapshots_offset, check->snapshot_bytes);
	return ret;
}

/* ---- Bitmaps ---- */

static int count_words(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	struct qcow2_check *check = arg;

	(void)first;
	for (unsigned int i = 0; i < n; i++)
		if (words[i] & QCOW2_BITMAP_TABLE_OFFSET)
			qcow2_check_use(check, words[i] & QCOW2_BITMAP_TABLE_OFFSET,
					check->img->cluster_size);
	return 0;
}

static int count_bitmap(void *arg, const struct qcow2_bitmap *bitmap, struct error *err)
{
	struct qcow2_check *check = arg;
	int ret;

	(void)err;
	qcow2_check_use(check, bitmap->table_offset, (uint64_t)bitmap->table_size * 8);
	ret = qcow2_check_spend(check, bitmap->table_offset, (uint64_t)bitmap->table_size * 8);
	if (ret)
		return ret;
	ret = qcow2_co_check_bitmap_table(check->img, bitmap);
	if (ret) {
		check->result->corruptions++;
		return ret;
	}
	return qcow2_co_walk_words(check->img->file, bitmap->table_offset, bitmap->table_size,
				   count_words, check);
}

static int count_bitmaps(struct qcow2_check *check, struct error *err)
{
	const struct qcow2_header *h = &check->img->header;

	if (!qcow2_has_bitmaps(check->img))
		return 0;
	qcow2_check_use(check, h->bitmap_dir_offset, h->bitmap_dir_bytes);
	return qcow2_co_walk_bitmaps(check->img, count_bitmap, check, err);
}

/* ---- The check ---- */

/* Count all references to clusters of the window. */
static int count_references(struct qcow2_check *check, struct error *err)
{
	const struct qcow2_header *h = &check->img->header;
	int ret;

	qcow2_check_use(check, 0, check->img->cluster_size);
	ret = qcow2_check_co_l1(check, h->l1_table_offset, h->l1_size, true);
	if (!ret)
		ret = count_snapshots(check, err);
	if (ret)
		return ret;
	qcow2_check_use(check, h->refcount_table_offset, check->disk.entries * 8);
	qcow2_check_use(check, h->crypto_offset, h->crypto_bytes);
	ret = count_bitmaps(check, err);
	if (!ret)
		qcow2_check_blocks(check);
	return ret;
}

static int run_pass(struct qcow2_check *check, struct error *err)
{
	unsigned int order = check->img->header.refcount_order;
	int ret;

	check->counts = calloc(1, qcow2_refcount_bytes(order, check->window));
	if (!check->counts)
		return -ENOMEM;
	ret = count_references(check, err);
	if (!ret)
		qcow2_check_co_compare(check);
	free(check->counts);
	check->counts = NULL;
	return ret;
}

/* Choose the window: all of the file, or as many clusters as fit. */
static void choose_window(struct qcow2_check *check)
{
	uint64_t wanted = check->img->check_bytes ? check->img->check_bytes : WINDOW_BYTES;
	uint64_t bytes = min_u64(wanted, WINDOW_BYTES);
	uint64_t fit = (bytes * 8) >> check->img->header.refcount_order;
	uint64_t passes;

	check->window = min_u64(check->clusters + 1, max_u64(fit, 1));
	passes = div_round_up(check->clusters + 1, check->window);
	if (__builtin_mul_overflow(check->file_bytes + MiB, WORK_TIMES_FILE + passes,
				   &check->work) ||
	    __builtin_add_overflow(check->work, max_u64(bytes * WORK_TIMES_MEMORY, MIN_WORK),
				   &check->work))
		check->work = UINT64_MAX;
}

static int run_check(struct qcow2_check *check, struct error *err)
{
	int ret = check_snapshot_table(check, err);

	if (ret)
		return ret;
	if (check->clusters > INT32_MAX)
		return -EFBIG;
	choose_window(check);
	do {
		ret = run_pass(check, err);
		check->again = true;
		check->first += check->window;
	} while (!ret && check->first < check->clusters);
	if (!ret)
		ret = qcow2_check_co_copied(check);
	if (!ret)
		check->result->image_end = (check->highest + 1) << check->img->header.cluster_bits;
	return ret;
}

static int check_crypto(const struct qcow2_header *h, struct error *err)
{
	if (!h->crypto_ext_bytes)
		return h->crypt_method == QCOW2_CRYPT_LUKS ?
			       error_set(err, -EINVAL,
					 "Missing CRYPTO header for crypt method %" PRIu32,
					 h->crypt_method) :
			       0;
	if (h->crypt_method != QCOW2_CRYPT_LUKS)
		return error_set(err, -EINVAL,
				 "CRYPTO header extension only expected with LUKS encryption "
				 "method");
	if (h->crypto_ext_bytes != QCOW2_CRYPTO_EXT_BYTES)
		return error_set(err, -EINVAL,
				 "CRYPTO header extension size %" PRIu32 ", but expected size %u",
				 h->crypto_ext_bytes, QCOW2_CRYPTO_EXT_BYTES);
	if (h->crypto_offset & ((1u << h->cluster_bits) - 1))
		return error_set(err, -EINVAL,
				 "Encryption header offset '%" PRIu64
				 "' is not a multiple of cluster size '%u'",
				 h->crypto_offset, 1u << h->cluster_bits);
	return 0;
}

int qcow2_co_check_header(struct qcow2_image *img, struct error *err)
{
	const struct qcow2_header *h = &img->header;
	int ret;

	if (h->refcount_table_clusters > QCOW2_MAX_REFCOUNT_TABLE_BYTES >> h->cluster_bits)
		return error_set(err, -EFBIG, "Reference count table too large");
	if (h->refcount_table_offset & (img->cluster_size - 1) ||
	    h->refcount_table_offset > INT64_MAX - QCOW2_MAX_REFCOUNT_TABLE_BYTES)
		return error_set(err, -EINVAL, "Reference count table offset invalid");
	ret = check_crypto(h, err);
	return ret ? ret : qcow2_co_check_bitmaps(img, err);
}

int qcow2_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		   void *report_arg, struct blk_check_result *result, struct error *err)
{
	struct qcow2_image *img = node->opaque;
	const struct qcow2_header *h = &img->header;
	struct qcow2_check check = {
		.img = img,
		.report = report,
		.report_arg = report_arg,
		.result = result,
		.data_file = h->incompatible & QCOW2_INCOMPAT_DATA_FILE,
		.file_bytes = round_up(atomic_load(&img->file->size), SECTOR_SIZE),
	};
	int ret;

	memset(result, 0, sizeof(*result));
	if (fix)
		return error_set(err, -ENOTSUP, "qcow2 is read-only here");
	if (!(node->flags & BLK_O_METADATA)) {
		ret = qcow2_co_check_header(img, err);
		if (ret)
			return ret;
	}
	check.clusters = div_round_up(check.file_bytes, img->cluster_size);
	result->total_clusters = div_round_up(round_down(h->size, SECTOR_SIZE), img->cluster_size);
	ret = qcow2_co_refcounts_open(&check.disk, img);
	if (!ret)
		ret = run_check(&check, err);
	qcow2_refcounts_close(&check.disk);
	if (ret)
		result->check_errors++;
	if (ret == -ELOOP)
		return error_set(err, ret, "its tables refer to the same tables too often");
	return ret ? error_set(err, ret, "%s", strerror(-ret)) : 0;
}
