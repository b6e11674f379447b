/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device-mapper target `qed`: a device on top of a ublk device that qedd
 * serves.  See Documentation/admin-guide/dm-qed.rst for its table and messages.
 */
#ifndef DM_QED_H
#define DM_QED_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "zero-map.h"

#define DM_MSG_PREFIX "qed"

#define QED_MIN_CLUSTER	    4096u
#define QED_MAX_CLUSTER	    (64u << 20)
#define QED_DEFAULT_CLUSTER (64u << 10)

/*
 * Bytes: the most of one bio that is scanned at once, and so stays in one piece; a
 * cluster, if that is larger.
 */
#define QED_MAX_RUN (1u << 20)

enum qed_mode {
	QED_DETECT_OFF,
	QED_DETECT_ON, /* space stays allocated: REQ_NOUNMAP */
	QED_DETECT_UNMAP,
	QED_DETECT_MODES,
};

/* The counters, in the order of the status line. */
enum qed_counter {
	QED_READ_BIOS,
	QED_READ_SECTORS,
	QED_WRITE_BIOS,
	QED_WRITE_SECTORS,
	QED_ZERO_BIOS, /* write-zeroes as received; conversions not included */
	QED_ZERO_SECTORS,
	QED_DISCARD_BIOS,
	QED_DISCARD_SECTORS,
	QED_SCANNED_BIOS,
	QED_CONVERTED_BIOS,
	QED_CONVERTED_SECTORS,
	QED_FALLBACK_BIOS,
	QED_ANSWERED_BIOS,
	QED_ANSWERED_SECTORS,
	QED_COUNTERS,
};

struct qed_counts {
	u64 count[QED_COUNTERS];
};

struct qed {
	struct dm_target *ti;
	struct dm_dev *dev;
	u64 size; /* bytes */
	u32 cluster; /* bytes */
	u32 max_run; /* bytes; the longest run that is scanned, see QED_MAX_RUN */

	/*
	 * Written by messages, read by map without a lock: during a change either value is correct.
	 */
	enum qed_mode mode;
	/* Set once the lower device has refused a converted write. */
	bool refused;

	/* Which features the table gave, for STATUSTYPE_TABLE. */
	bool has_cluster_size;
	bool has_known_zero;
	struct qed_zero_map map; /* valid with has_known_zero */

	struct qed_counts __percpu *counts;
	struct qed_counts base; /* subtracted since `stats reset`; protected by base_lock */
	spinlock_t base_lock;

	/* Refused converted writes, to be resent as writes; protected by deferred_lock. */
	struct bio_list deferred;
	spinlock_t deferred_lock;
	struct workqueue_struct *wq;
	struct work_struct deferred_work;
	struct work_struct refused_work;
};

enum qed_io_kind {
	QED_IO_PLAIN, /* does not concern the map */
	QED_IO_CHANGE, /* a write or discard, begun in the map by write_begin() */
	QED_IO_ZERO, /* a write-zeroes as received */
	QED_IO_CONVERTED, /* a write converted to a write-zeroes */
};

/*
 * Per-bio data, from map to end_io. Owned with the bio: by map, then end_io, then for
 * a refused write by the worker and by end_io again.
 */
struct qed_io {
	u64 offset; /* bytes */
	u32 bytes;
	enum qed_io_kind kind;
	u64 ticket; /* QED_IO_ZERO and QED_IO_CONVERTED, with a map */
	/* For a converted write: the original values of fields that the layers below modify. */
	struct bvec_iter iter;
	blk_opf_t opf;
	unsigned short flags;
};

static inline void qed_count(struct qed *qed, enum qed_counter counter, u64 n)
{
	this_cpu_add(qed->counts->count[counter], n);
}

/* dm-qed-io.c */
int qed_map_bio(struct dm_target *ti, struct bio *bio);
int qed_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error);
void qed_resend_deferred(struct work_struct *work);
void qed_tell_refused(struct work_struct *work);

/* dm-qed-status.c */
extern const char *const qed_mode_names[QED_DETECT_MODES];
/* Return the mode called @name, or QED_DETECT_MODES. */
enum qed_mode qed_mode_of(const char *name);
void qed_status(struct dm_target *ti, status_type_t type, unsigned int status_flags, char *result,
		unsigned int maxlen);
int qed_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		unsigned int maxlen);

#endif
