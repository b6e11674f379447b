/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a killed server leaves for its successor: metadata that was answered but
 * not committed, in a file in memory that both map.
 *
 * A guest was told that its write is done; until it flushes, a loss of power may
 * undo that, but the end of a process may not, since the guest goes on as if
 * nothing had happened.  The data is with the kernel when it is answered.  The
 * entry that points to it is in a dirty L2 slice or is a new L1 entry, in the
 * memory of the process.  So the slices that are dirty, or on their way to the
 * disk, have a copy here that is changed before the slice is, and new L1
 * entries are noted here before they are set.  Stores to a shared mapping
 * survive the process that made them, in the order of the program.
 *
 * All functions but those of opening and replaying are called under meta_lock,
 * do nothing where the image has no such area, and make no system call.
 */
#ifndef QEDBLK_FORMAT_QED_RESCUE_H
#define QEDBLK_FORMAT_QED_RESCUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "util/error.h"

struct qed_image;
struct l2_slice;
struct qed_rescue_area;

#define QED_BOOT_ID_LEN 36

struct qed_rescue {
	struct qed_rescue_area *area; /* mapped; NULL: none */
	bool replay; /* the area is a dead server's, and waits for qed_co_rescue_replay() */
	bool started; /* what the area holds is this server's */
	unsigned int *free; /* stack of slots without a slice */
	unsigned int nr_free;
	unsigned int nr_slots, nr_tables; /* slices and tables that are noted at most */
	char boot_id[QED_BOOT_ID_LEN]; /* of the kernel that runs */
	uint64_t tables_in_commit; /* L1 entries noted before this one are in the running commit */
};

/* Map the file that @opts names, if any.  Writes nothing to it when it is to be replayed. */
int qed_rescue_open(struct qed_image *img, const struct blk_open_opts *opts, struct error *err);
void qed_rescue_close(struct qed_image *img);
/*
 * Bring the image file up to what a dead server had answered, durably, in the
 * two phases of a commit.  May be interrupted at any point and done again.
 * Before the first request.  Parks.
 */
int qed_co_rescue_replay(struct qed_image *img, struct error *err);
/* From now on changes are noted. */
void qed_rescue_start(struct qed_image *img);

/*
 * Is there room for one more dirty slice and one more table?  If not, a commit
 * makes some.
 */
bool qed_rescue_has_room(const struct qed_image *img);
/* The slice becomes dirty; before its first entry changes.  There is room. */
void qed_rescue_slice_dirty(struct qed_image *img, struct l2_slice *slice);
/* An entry of a dirty slice changes; before it does. */
void qed_rescue_entry(struct qed_image *img, struct l2_slice *slice, unsigned int i,
		      uint64_t entry);
/* The disk has all of the slice, durably. */
void qed_rescue_slice_clean(struct qed_image *img, struct l2_slice *slice);
/* L1 entry @i is about to become @offset.  There is room. */
void qed_rescue_table(struct qed_image *img, uint64_t i, uint64_t offset);
/* A commit takes the tables noted so far (@all), or none; later: it ended well. */
void qed_rescue_tables_taken(struct qed_image *img, bool all);
void qed_rescue_tables_clean(struct qed_image *img);
/* The file can never be made durable again: blk_file_lost(). */
void qed_rescue_lost(struct qed_image *img, int error);

#endif
