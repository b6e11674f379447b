// SPDX-License-Identifier: GPL-2.0
/* The path of a bio through the target: map, end_io, and resending. */
#include <linux/blkdev.h>
#include <linux/highmem.h>

#include "compat.h"
#include "dm-qed.h"
#include "zero-run.h"

static inline bool can_write_zeroes(struct qed *qed)
{
	return !READ_ONCE(qed->refused) && bdev_write_zeroes_sectors(qed->dev->bdev);
}

/* ---- Writes whose data is zero ---- */

/*
 * The block layer fails bios with flush flags that are not writes. A FUA write must be
 * durable at completion, which write-zeroes does not guarantee.
 */
static bool may_convert(struct qed *qed, const struct bio *bio, const struct qed_io *io)
{
	return READ_ONCE(qed->mode) != QED_DETECT_OFF &&
	       !(bio->bi_opf & (REQ_FUA | REQ_PREFLUSH | REQ_ATOMIC)) && can_write_zeroes(qed) &&
	       qed_run_possible(io->offset, io->bytes, qed->cluster, qed->size);
}

/*
 * Find the bio's first run, page by page, without mapping pages that do not matter.
 * With clusters of 64 MiB this may take long, so it reschedules.
 */
static void scan(struct qed *qed, struct bio *bio, const struct qed_io *io,
		 struct qed_zero_run *run)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	qed_zero_run_start(run, io->offset, io->bytes, qed->cluster, qed->size, qed->max_run);
	bio_for_each_segment(bv, bio, iter) {
		bool more;

		if (qed_zero_run_wants(run, bv.bv_len)) {
			void *data = bvec_kmap_local(&bv);

			more = qed_zero_run_feed(run, data, bv.bv_len);
			kunmap_local(data);
		} else {
			more = qed_zero_run_feed(run, NULL, bv.bv_len);
		}
		if (!more)
			return;
		/* Early 6.1 kernels map a REQ_NOWAIT bio under rcu_read_lock(). */
		if (!(bio->bi_opf & REQ_NOWAIT))
			cond_resched();
	}
}

/*
 * Convert the bio to a write-zeroes. It keeps its pages, unused: if the lower device
 * refuses it, the bio is resent as the original write.
 */
static void convert(struct qed *qed, struct bio *bio, struct qed_io *io)
{
	io->kind = QED_IO_CONVERTED;
	io->iter = bio->bi_iter;
	io->opf = bio->bi_opf;
	io->flags = bio->bi_flags;
	bio->bi_opf = (bio->bi_opf & ~(blk_opf_t)REQ_OP_MASK) | REQ_OP_WRITE_ZEROES;
	if (READ_ONCE(qed->mode) != QED_DETECT_UNMAP)
		bio->bi_opf |= REQ_NOUNMAP;
	qed_count(qed, QED_CONVERTED_BIOS, 1);
	qed_count(qed, QED_CONVERTED_SECTORS, io->bytes >> SECTOR_SHIFT);
}

static inline bool fits_below(struct qed *qed, u32 bytes)
{
	return bytes >> SECTOR_SHIFT <= bdev_write_zeroes_sectors(qed->dev->bdev);
}

/*
 * Split the bio at the end of its first run; device-mapper maps the rest as another bio, which
 * comes back here. So a bio is read at most twice, in bounded steps.
 *
 * A REQ_NOWAIT bio is not split, as in the block layer: if a later part found no resources, the
 * whole bio would fail when the first part completes, too late for a retry by the submitter. Nor
 * is it converted if the write-zeroes would be split below, where that rule holds for reads and
 * writes only; nor scanned if it is long. For such a bio the function returns false: the submitter
 * has to retry without REQ_NOWAIT.
 */
static bool convert_if_zero(struct qed *qed, struct bio *bio, struct qed_io *io)
{
	struct qed_zero_run run;

	if (io->bytes > QED_MAX_RUN && bio->bi_opf & REQ_NOWAIT)
		return false;
	scan(qed, bio, io, &run);
	if (bio->bi_opf & REQ_NOWAIT &&
	    (qed_zero_run_bytes(&run) < io->bytes || (run.zero && !fits_below(qed, io->bytes))))
		return false;
	qed_count(qed, QED_SCANNED_BIOS, 1);
	if (qed_zero_run_bytes(&run) < io->bytes) {
		io->bytes = qed_zero_run_bytes(&run);
		dm_accept_partial_bio(bio, io->bytes >> SECTOR_SHIFT);
	}
	if (run.zero)
		convert(qed, bio, io);
	return true;
}

/* ---- Map ---- */

static int map_read(struct qed *qed, struct bio *bio, struct qed_io *io)
{
	qed_count(qed, QED_READ_BIOS, 1);
	qed_count(qed, QED_READ_SECTORS, io->bytes >> SECTOR_SHIFT);
	if (!qed->has_known_zero || !io->bytes ||
	    !qed_zero_map_is_zero(&qed->map, io->offset, io->bytes))
		return DM_MAPIO_REMAPPED;
	qed_count(qed, QED_ANSWERED_BIOS, 1);
	qed_count(qed, QED_ANSWERED_SECTORS, io->bytes >> SECTOR_SHIFT);
	zero_fill_bio(bio);
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

static void map_change(struct qed *qed, struct qed_io *io)
{
	if (!qed->has_known_zero || !io->bytes)
		return;
	io->kind = QED_IO_CHANGE;
	qed_zero_map_write_begin(&qed->map, io->offset, io->bytes);
}

static int map_write(struct qed *qed, struct bio *bio, struct qed_io *io)
{
	/* A flush without data is an empty write. */
	if (!io->bytes)
		return DM_MAPIO_REMAPPED;
	if (may_convert(qed, bio, io) && !convert_if_zero(qed, bio, io)) {
		bio_wouldblock_error(bio);
		return DM_MAPIO_SUBMITTED;
	}
	qed_count(qed, QED_WRITE_BIOS, 1);
	qed_count(qed, QED_WRITE_SECTORS, io->bytes >> SECTOR_SHIFT);
	if (io->kind != QED_IO_CONVERTED)
		map_change(qed, io);
	else if (qed->has_known_zero)
		io->ticket = qed_zero_map_zero_begin(&qed->map);
	return DM_MAPIO_REMAPPED;
}

static void map_write_zeroes(struct qed *qed, struct qed_io *io)
{
	qed_count(qed, QED_ZERO_BIOS, 1);
	qed_count(qed, QED_ZERO_SECTORS, io->bytes >> SECTOR_SHIFT);
	if (!qed->has_known_zero || !io->bytes)
		return;
	io->kind = QED_IO_ZERO;
	io->ticket = qed_zero_map_zero_begin(&qed->map);
}

/* With REQ_NOWAIT, does not sleep, as DM_TARGET_NOWAIT requires. */
int qed_map_bio(struct dm_target *ti, struct bio *bio)
{
	struct qed_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct qed *qed = ti->private;

	bio_set_dev(bio, qed->dev->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	io->kind = QED_IO_PLAIN;
	io->offset = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	io->bytes = bio->bi_iter.bi_size;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return map_read(qed, bio, io);
	case REQ_OP_WRITE:
		return map_write(qed, bio, io);
	case REQ_OP_WRITE_ZEROES:
		map_write_zeroes(qed, io);
		break;
	case REQ_OP_DISCARD:
		qed_count(qed, QED_DISCARD_BIOS, 1);
		qed_count(qed, QED_DISCARD_SECTORS, io->bytes >> SECTOR_SHIFT);
		fallthrough;
	default:
		/* An unknown operation may change data. */
		map_change(qed, io);
	}
	return DM_MAPIO_REMAPPED;
}

/* ---- When the lower device refuses ---- */

/*
 * Resend a refused write. The layers below have advanced the iterator, may have remapped
 * the bio for a partition, and leave the count of chained parts at 0.
 *
 * Clear REQ_NOWAIT: the bio has already been accepted from its submitter, so EAGAIN
 * would come too late, and a worker may wait. Clear REQ_POLLED: no task polls for bios
 * that a worker submits.
 */
static void resend(struct qed *qed, struct bio *bio)
{
	struct qed_io *io = dm_per_bio_data(bio, sizeof(*io));

	bio->bi_opf = io->opf & ~(REQ_NOWAIT | REQ_POLLED);
	bio->bi_iter = io->iter;
	bio->bi_flags = io->flags;
	bio->bi_status = BLK_STS_OK;
	atomic_set(&bio->__bi_remaining, 1);
	bio_set_dev(bio, qed->dev->bdev);
	io->kind = QED_IO_PLAIN;
	map_change(qed, io);
	qed_count(qed, QED_FALLBACK_BIOS, 1);
	/* bio_endio() has dropped the bio's blkcg; dm_submit_bio_remap() restores it. */
	dm_submit_bio_remap(bio, NULL);
}

/*
 * Report the refusal. dm_table_event() waits for a global lock of device-mapper, under
 * which memory is allocated. The worker that resends bios must not wait for it, since
 * memory reclaim may depend on those bios.
 */
void qed_tell_refused(struct work_struct *work)
{
	struct qed *qed = container_of(work, struct qed, refused_work);

	DMWARN("%s: %s refuses write-zeroes: zero detection rests",
	       dm_table_device_name(qed->ti->table), qed->dev->name);
	dm_table_event(qed->ti->table);
}

void qed_resend_deferred(struct work_struct *work)
{
	struct qed *qed = container_of(work, struct qed, deferred_work);
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&qed->deferred_lock);
	bios = qed->deferred;
	bio_list_init(&qed->deferred);
	spin_unlock_irq(&qed->deferred_lock);

	/* A work item does not run concurrently with itself, so each refusal is reported once. */
	if (!READ_ONCE(qed->refused)) {
		WRITE_ONCE(qed->refused, true);
		schedule_work(&qed->refused_work);
	}
	while ((bio = bio_list_pop(&bios)))
		resend(qed, bio);
}

/*
 * Pass the bio to the worker, since end_io may run in interrupt context and must not
 * submit. Suspend waits for bios with the worker as for all others in flight.
 */
static int defer(struct qed *qed, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&qed->deferred_lock, flags);
	bio_list_add(&qed->deferred, bio);
	spin_unlock_irqrestore(&qed->deferred_lock, flags);
	queue_work(qed->wq, &qed->deferred_work);
	return DM_ENDIO_INCOMPLETE;
}

int qed_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct qed_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct qed *qed = ti->private;

	switch (io->kind) {
	case QED_IO_PLAIN:
		break;
	case QED_IO_CHANGE:
		qed_zero_map_write_end(&qed->map, io->offset, io->bytes);
		break;
	case QED_IO_CONVERTED:
		if (*error == BLK_STS_NOTSUPP || *error == BLK_STS_TARGET)
			return defer(qed, bio);
		fallthrough;
	case QED_IO_ZERO:
		if (!*error && qed->has_known_zero)
			qed_zero_map_zero_end(&qed->map, io->offset, io->bytes, io->ticket);
		break;
	}
	return DM_ENDIO_DONE;
}
