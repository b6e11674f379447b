/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rescue area: uncommitted metadata of answered requests, which a killed
 * server leaves for its successor in a file in memory that both map.
 *
 * Once a guest's write is answered and until the guest flushes, a loss of power
 * may undo the write.  The end of a server process may not, since the guest keeps
 * running.  The data is in the kernel by the time the request is answered.  The
 * entry that points to it is in a dirty L2 slice, or is a new L1 entry, in the
 * memory of the process.  So each slice that is dirty or being committed has a
 * copy here, which is changed before the slice is, and new L1 entries are noted
 * here before they are set.  Stores to a shared mapping survive the process that
 * made them, in program order.
 *
 * Functions that are called for a change of metadata are called under meta_lock, do
 * nothing if the image has no such area, and make no system call.
 */
#ifndef QEDBLK_FORMAT_QED_RESCUE_H
#define QEDBLK_FORMAT_QED_RESCUE_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "util/error.h"

struct qed_image;
struct l2_slice;

/*
 * Map the file of @opts->rescue, if any.  An area to be replayed is not written to, except to note
 * a flush error (blk_file_lost()).
 */
int qed_rescue_open(struct qed_image *img, const struct blk_open_opts *opts, struct error *err);
void qed_rescue_close(struct qed_image *img);
/*
 * Write a dead server's metadata to the image file, durably, in the two phases
 * of a commit.  It may be interrupted at any point and repeated.  Called before
 * the first request.  Yields.
 */
int qed_co_rescue_replay(struct qed_image *img, struct error *err);
/* Empty the area, and note this server's changes from now on.  Called before the first request. */
void qed_rescue_start(struct qed_image *img);

/*
 * blk_driver::rescue.  Off: the area has nothing to replay, of this image or any other, until it is
 * on for one.
 */
void qed_rescue_switch(struct blk_node *node, bool on);

/*
 * Is there room for one more dirty slice and one more L1 entry?  If not, a
 * commit makes some.
 */
bool qed_rescue_has_room(const struct qed_image *img);
/* Note that the slice becomes dirty, before its first entry changes.  There must be room. */
void qed_rescue_slice_dirty(struct qed_image *img, struct l2_slice *slice);
/* Note the new value of entry @i of a dirty slice, before the entry changes. */
void qed_rescue_entry(struct qed_image *img, struct l2_slice *slice, unsigned int i,
		      uint64_t entry);
/* Free the slice's slot: all of the slice is on disk, durably. */
void qed_rescue_slice_clean(struct qed_image *img, struct l2_slice *slice);
/* Note that L1 entry @i is about to become file offset @offset.  There must be room. */
void qed_rescue_table(struct qed_image *img, uint64_t i, uint64_t offset);
/* A commit takes the L1 entries noted so far (@all), or none.  _clean(): it succeeded. */
void qed_rescue_tables_taken(struct qed_image *img, bool all);
void qed_rescue_tables_clean(struct qed_image *img);
/* Note whether flushes of the file fail for good (blk_file_lost()).  Without a lock. */
void qed_rescue_lost(struct qed_image *img);
/* Flush the file (fdatasync), and note that.  Returns 0 or a negative errno.  Yields. */
int qed_co_flush_file(struct qed_image *img);

#endif
