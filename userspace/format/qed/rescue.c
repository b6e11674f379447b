// SPDX-License-Identifier: GPL-2.0
/*
 * The rescue area, which outlives the server, and its replay; see rescue.h.
 *
 * The server that maps the area writes to it, under meta_lock.  Its successor reads
 * it once that server's process and the last of its I/O to the image are gone
 * (block/ waits for the image's lock, which the kernel releases with the last of
 * them).  So the area is never read and written at the same time.  The server may
 * be killed between any two stores, so the area must be correct after each of them:
 *
 * - a slot's contents are complete before its owner is set;
 * - a slot is freed only when its contents are on disk, durably;
 * - a table's note is complete before the count of notes covers it.
 *
 * To replay more than necessary is harmless: it writes bytes that the disk has
 * already.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/log.h"

/*
 * The file, in this machine's byte order:
 *
 *	    0 magic           8  the bytes "rQEDBLK1"; changes with this layout
 *	    8 started         1  0: nothing to replay yet
 *	    9 boot_id        36  of the running kernel: the area is worthless after a reboot
 *	   48 dev, ino        8  each: the image file
 *	   64 l1_table_offset 8  its geometry, in the units of the header
 *	   72 cluster_size    4
 *	   76 table_size      4
 *	   80 lost            4  0, or the negative errno of a flush that has failed for good
 *	   88 table_head      8  a ring of notes about L1: those numbered [table_tail, table_head)
 *	   96 table_tail      8  are not on disk; note n is tables[n % 1024]
 *	  104 tables         16  each of 1024: an index in L1, the L2 table's offset in bytes
 *	16488 owner           8  each of 1024 slots: its slice's index + 1; 0: the slot is free
 *	24680                    unused, up to a whole page
 *	28672 entries      4096  each of 1024 slots: the 512 entries of its slice
 *
 * A slice's index is that of its first guest cluster, divided by 512.
 */
#define RESCUE_MAGIC 0x314b4c4244455172ULL

/* As many slices as a commit takes at once, so that one commit frees all slots. */
#define NR_SLOTS  1024u
#define NR_TABLES 1024u

#define MAX_ERRNO 4095

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

struct qed_rescue_table {
	uint64_t index, offset;
};

struct qed_rescue_area {
	uint64_t magic;
	_Atomic bool started;
	char boot_id[QED_BOOT_ID_LEN];
	uint64_t dev, ino, l1_table_offset;
	uint32_t cluster_size, table_size;
	_Atomic int lost;
	_Atomic uint64_t table_head, table_tail;
	struct qed_rescue_table tables[NR_TABLES];
	_Atomic uint64_t owner[NR_SLOTS];
	_Alignas(QED_SLICE_BYTES) _Atomic uint64_t entries[NR_SLOTS][QED_SLICE_ENTRIES];
};

_Static_assert(offsetof(struct qed_rescue_area, owner) == 16488 &&
		       sizeof(struct qed_rescue_area) == 28672 + NR_SLOTS * QED_SLICE_BYTES,
	       "the layout is that of the picture");

/* ---- While the server runs ---- */

bool qed_rescue_has_room(const struct qed_image *img)
{
	const struct qed_rescue_area *area = img->rescue.area;

	return !area ||
	       (img->rescue.nr_free &&
		atomic_load_explicit(&area->table_head, memory_order_relaxed) -
				atomic_load_explicit(&area->table_tail, memory_order_relaxed) <
			img->rescue.nr_tables);
}

void qed_rescue_slice_dirty(struct qed_image *img, struct l2_slice *slice)
{
	struct qed_rescue *rescue = &img->rescue;
	_Atomic uint64_t *entries;

	/* A slice in the running commit still has its slot. */
	if (!rescue->area || slice->slot)
		return;
	slice->slot = rescue->free[--rescue->nr_free] + 1;
	entries = rescue->area->entries[slice->slot - 1];
	for (unsigned int i = 0; i < QED_SLICE_ENTRIES; i++)
		atomic_store_explicit(
			&entries[i], atomic_load_explicit(&slice->entries[i], memory_order_relaxed),
			memory_order_relaxed);
	atomic_store_explicit(&rescue->area->owner[slice->slot - 1], slice->index + 1,
			      memory_order_release);
}

void qed_rescue_entry(struct qed_image *img, struct l2_slice *slice, unsigned int i, uint64_t entry)
{
	if (img->rescue.area)
		atomic_store_explicit(&img->rescue.area->entries[slice->slot - 1][i], entry,
				      memory_order_release);
}

void qed_rescue_slice_clean(struct qed_image *img, struct l2_slice *slice)
{
	struct qed_rescue *rescue = &img->rescue;

	if (!slice->slot)
		return;
	atomic_store_explicit(&rescue->area->owner[slice->slot - 1], 0, memory_order_release);
	rescue->free[rescue->nr_free++] = slice->slot - 1;
	slice->slot = 0;
}

void qed_rescue_table(struct qed_image *img, uint64_t i, uint64_t offset)
{
	struct qed_rescue_area *area = img->rescue.area;
	uint64_t head;

	if (!area)
		return;
	head = atomic_load_explicit(&area->table_head, memory_order_relaxed);
	area->tables[head % NR_TABLES] = (struct qed_rescue_table){ i, offset };
	atomic_store_explicit(&area->table_head, head + 1, memory_order_release);
}

void qed_rescue_tables_taken(struct qed_image *img, bool all)
{
	struct qed_rescue_area *area = img->rescue.area;

	if (area)
		img->rescue.tables_in_commit = atomic_load_explicit(
			all ? &area->table_head : &area->table_tail, memory_order_relaxed);
}

void qed_rescue_tables_clean(struct qed_image *img)
{
	/* A commit after a failed replay has not written the dead server's tables. */
	if (img->rescue.started)
		atomic_store_explicit(&img->rescue.area->table_tail, img->rescue.tables_in_commit,
				      memory_order_release);
}

void qed_rescue_lost(struct qed_image *img)
{
	int error = blk_file_lost(img->file);

	if (error && img->rescue.area)
		atomic_store_explicit(&img->rescue.area->lost, error, memory_order_release);
}

int qed_co_flush_file(struct qed_image *img)
{
	int ret = blk_file_co_flush(img->file);

	qed_rescue_lost(img);
	return ret;
}

/* ---- Opening ---- */

static int read_boot_id(char id[QED_BOOT_ID_LEN])
{
	int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, id, QED_BOOT_ID_LEN);
	int ret = n == QED_BOOT_ID_LEN ? 0 : n < 0 ? -errno : -EIO;

	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * Allocate all space now: a store to a page without space would kill the process (SIGBUS).  With
 * @keep another image may use the file, unless its format needs no area.
 */
static int make_room(int fd, bool keep, struct error *err)
{
	int ret = !keep && ftruncate(fd, 0) ? -errno : 0;

	if (!ret)
		ret = -posix_fallocate(fd, 0, sizeof(struct qed_rescue_area));
	if (!ret)
		return 0;
	return error_set_errno(err, ret, "what survives the server (%zu bytes)",
			       sizeof(struct qed_rescue_area));
}

/*
 * An empty file is refused, too.  A server makes room before it has a device, so a device never
 * waits for the successor of one that was killed before that: an empty file was emptied later, or
 * a read-only server left it, and neither may be taken for an area that has nothing to replay.
 */
static int check_size(int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_set_errno(err, -errno, "what the dead server left");
	if (st.st_size == sizeof(struct qed_rescue_area))
		return 0;
	return error_set(err, -EINVAL,
			 "what the dead server left has %lld bytes in place of %zu: "
			 "it was changed, or is of another version",
			 (long long)st.st_size, sizeof(struct qed_rescue_area));
}

/* Does the mapped area belong to this image, in its current geometry? */
static int check_identity(struct qed_image *img, struct error *err)
{
	const struct qed_rescue_area *area = img->rescue.area;

	if (area->magic != RESCUE_MAGIC ||
	    memcmp(area->boot_id, img->rescue.boot_id, QED_BOOT_ID_LEN))
		return error_set(err, -EINVAL,
				 "what the dead server left is of another boot or version");
	if (area->dev != img->file->dev || area->ino != img->file->ino ||
	    area->l1_table_offset != img->header.l1_table_offset ||
	    area->cluster_size != img->header.cluster_size ||
	    area->table_size != img->header.table_size)
		return error_set(err, -EINVAL, "what the dead server left is of another image");
	return 0;
}

/*
 * May the mapped area be replayed?  Not if a flush has failed, the dead server's or the one when
 * the image was opened: no entry is written that points to data that may be lost (rule R6).
 */
static int check_left(struct qed_image *img, struct error *err)
{
	struct qed_rescue_area *area = img->rescue.area;
	int ret = area->started ? check_identity(img, err) : 0;

	if (ret)
		return ret;
	/* The kernel reports the error once: note it for the next successor. */
	if (blk_file_lost(img->file))
		area->lost = blk_file_lost(img->file);
	if (!area->lost)
		return 0;
	if (area->lost > 0 || area->lost < -MAX_ERRNO)
		area->lost = -EIO;
	return error_set(err, area->lost,
			 "a flush had failed (%s): what was written before may be lost; remove "
			 "the device and create it again to see what is left",
			 strerror(-area->lost));
}

static unsigned int limit(unsigned int asked, unsigned int most)
{
	return asked && asked < most ? asked : most;
}

int qed_rescue_open(struct qed_image *img, const struct blk_open_opts *opts, struct error *err)
{
	struct qed_rescue *rescue = &img->rescue;
	void *map;
	int ret;

	/* A check neither replays nor starts an area, and one that is not started has no room. */
	if (!opts->rescue || !img->writable || (opts->flags & BLK_O_CHECK))
		return 0;
	rescue->replay = opts->rescue->replay;
	rescue->nr_slots = limit(opts->rescue->max_slices, NR_SLOTS);
	rescue->nr_tables = limit(opts->rescue->max_tables, NR_TABLES);
	rescue->later = opts->rescue->later;
	ret = rescue->replay ? check_size(opts->rescue->fd, err) :
			       make_room(opts->rescue->fd, rescue->later, err);
	if (ret)
		return ret;
	/* MAP_POPULATE, so that no page fault comes under meta_lock. */
	map = mmap(NULL, sizeof(struct qed_rescue_area), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, opts->rescue->fd, 0);
	if (map == MAP_FAILED)
		return error_set_errno(err, -errno, "what survives the server");
	rescue->map = map;
	rescue->area = rescue->later ? NULL : map;
	rescue->free = calloc(NR_SLOTS, sizeof(*rescue->free));
	if (!rescue->free)
		return error_set_errno(err, -ENOMEM, "what survives the server");
	ret = read_boot_id(rescue->boot_id);
	if (ret)
		return error_set_errno(err, ret, BOOT_ID_PATH);
	return rescue->replay ? check_left(img, err) : 0;
}

void qed_rescue_close(struct qed_image *img)
{
	if (img->rescue.map)
		munmap(img->rescue.map, sizeof(struct qed_rescue_area));
	free(img->rescue.free);
	memset(&img->rescue, 0, sizeof(img->rescue));
}

/* ---- Replaying ---- */

/* Write the L1 entries, from which the slices' offsets follow. */
static int replay_tables(struct qed_image *img)
{
	const struct qed_rescue_area *area = img->rescue.area;
	uint64_t end = atomic_load_explicit(&img->alloc.end, memory_order_relaxed);

	if (area->table_head - area->table_tail > NR_TABLES)
		return -ESTALE;
	for (uint64_t n = area->table_tail; n != area->table_head; n++) {
		const struct qed_rescue_table *table = &area->tables[n % NR_TABLES];
		uint64_t old;
		int ret;

		if (table->index >= img->table_entries ||
		    !qed_table_offset_valid(img, table->offset, end))
			return -ESTALE;
		old = atomic_load_explicit(&img->l1[table->index], memory_order_relaxed);
		if (old && old != table->offset)
			return -ESTALE;
		img->l1_disk[table->index] = htole64(table->offset);
		atomic_store_explicit(&img->l1[table->index], table->offset, memory_order_relaxed);
		ret = qed_co_l1_write_entry(img, table->index);
		if (ret)
			return ret;
	}
	return 0;
}

static int replay_slice(struct qed_image *img, uint64_t index, const _Atomic uint64_t *entries,
			uint64_t *buf)
{
	uint64_t first = index * QED_SLICE_ENTRIES;

	if (first / img->table_entries >= img->table_entries || !qed_table_of(img, first))
		return -ESTALE;
	/* No validation, as in a commit: an entry that was damaged stays as it was. */
	for (unsigned int i = 0; i < QED_SLICE_ENTRIES; i++)
		buf[i] = htole64(atomic_load_explicit(&entries[i], memory_order_relaxed));
	return blk_file_co_pwrite(img->file, buf, QED_SLICE_BYTES, qed_slice_offset(img, index));
}

static int replay_slices(struct qed_image *img, unsigned int *count)
{
	const struct qed_rescue_area *area = img->rescue.area;
	uint64_t *buf = aligned_alloc(QED_SLICE_BYTES, QED_SLICE_BYTES);
	int ret = buf ? 0 : -ENOMEM;

	*count = 0;
	for (unsigned int s = 0; !ret && s < NR_SLOTS; s++) {
		if (!area->owner[s])
			continue;
		ret = replay_slice(img, area->owner[s] - 1, area->entries[s], buf);
		++*count;
	}
	free(buf);
	return ret;
}

int qed_co_rescue_replay(struct qed_image *img, struct error *err)
{
	struct qed_rescue_area *area = img->rescue.area;
	unsigned int slices;
	int ret;

	/* A server that died before it started the area has left nothing. */
	if (!area || !img->rescue.replay || !area->started)
		return 0;
	/* In a commit's order: the data is durable before the entries are written. */
	ret = qed_co_flush_file(img);
	if (!ret)
		ret = replay_tables(img);
	if (!ret)
		ret = replay_slices(img, &slices);
	if (!ret)
		ret = qed_co_flush_file(img);
	if (ret == -ESTALE)
		return error_set(err, ret, "what the dead server left does not fit the image");
	if (ret)
		return error_set_errno(err, ret, "could not write what the dead server left");
	log_info("%s: %u slices of tables taken over from a server that died", img->node->filename,
		 slices);
	return 0;
}

void qed_rescue_start(struct qed_image *img)
{
	struct qed_rescue *rescue = &img->rescue;
	struct qed_rescue_area *area = rescue->area;
	int lost = blk_file_lost(img->file);

	if (!area)
		return;
	/* If interrupted, it is started with notes that the disk has, or is not started. */
	for (unsigned int s = 0; s < NR_SLOTS; s++)
		atomic_store_explicit(&area->owner[s], 0, memory_order_relaxed);
	atomic_store_explicit(&area->table_tail, area->table_head, memory_order_relaxed);
	for (rescue->nr_free = 0; rescue->nr_free < rescue->nr_slots; rescue->nr_free++)
		rescue->free[rescue->nr_free] = rescue->nr_slots - 1 - rescue->nr_free;
	area->magic = RESCUE_MAGIC;
	memcpy(area->boot_id, rescue->boot_id, QED_BOOT_ID_LEN);
	area->dev = img->file->dev;
	area->ino = img->file->ino;
	area->l1_table_offset = img->header.l1_table_offset;
	area->cluster_size = img->header.cluster_size;
	area->table_size = img->header.table_size;
	atomic_store_explicit(&area->lost, lost, memory_order_relaxed);
	atomic_store_explicit(&area->started, true, memory_order_release);
	rescue->started = true;
}

/*
 * While it is off, a successor finds an area that is not started: nothing to replay, whatever image
 * it opens.  So the moment at which another image becomes the device's can be decided elsewhere.
 */
void qed_rescue_switch(struct blk_node *node, bool on)
{
	struct qed_image *img = node->opaque;
	struct qed_rescue *rescue = &img->rescue;

	if (on && rescue->map) {
		rescue->area = rescue->map;
		qed_rescue_start(img);
	} else if (rescue->area) {
		atomic_store_explicit(&rescue->area->started, false, memory_order_release);
		rescue->area = NULL;
		rescue->started = false;
	}
}
