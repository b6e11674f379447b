// SPDX-License-Identifier: GPL-2.0
/*
 * The way of a bio through the target.
 */
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
 * The block layer fails flush-flagged bios that are no writes, and who asked for
 * FUA wants this data durable, which write-zeroes cannot promise.
 */
static bool may_convert(struct qed *qed, const struct bio *bio, const struct qed_io *io)
{
	return READ_ONCE(qed->mode) != QED_DETECT_OFF &&
	       !(bio->bi_opf & (REQ_FUA | REQ_PREFLUSH | REQ_ATOMIC)) && can_write_zeroes(qed) &&
	       qed_run_possible(io->offset, io->bytes, qed->cluster, qed->size);
}

/*
 * Find the bio's first run, page by page, without mapping pages that cannot matter.  With
 * clusters of 64 MiB that may take long enough for others to want the processor.
 */
static void scan(struct qed *qed, struct bio *bio, const struct qed_io *io, struct qed_run *run)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	qed_run_start(run, io->offset, io->bytes, qed->cluster, qed->size, qed->max_run);
	bio_for_each_segment(bv, bio, iter) {
		bool more;

		if (qed_run_wants(run, bv.bv_len)) {
			void *data = bvec_kmap_local(&bv);

			more = qed_run_feed(run, data, bv.bv_len);
			kunmap_local(data);
		} else {
			more = qed_run_feed(run, NULL, bv.bv_len);
		}
		if (!more)
			return;
		/* One that must not wait is mapped under RCU's lock by early 6.1 kernels. */
		if (!(bio->bi_opf & REQ_NOWAIT))
			cond_resched();
	}
}

/*
 * Make the bio a write-zeroes.  Its pages stay with it, unused: if the lower device
 * refuses, the bio is sent once more, as it was.
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
 * Cut the bio where its first run ends; device-mapper sends the rest as another
 * bio, which comes back here.  So a bio is read at most twice, by bounded steps.
 *
 * A bio that must not wait is not cut, as the block layer does not: were a later part to
 * find no room, the whole would fail when the first part ends, too late and
 * too far from who could try again.  Nor is one made a write-zeroes that would be cut below, where
 * that rule is for reads and writes only; nor looked at for long.  Returns false for it: the
 * sender has to come again, ready to wait.
 */
static bool convert_if_zero(struct qed *qed, struct bio *bio, struct qed_io *io)
{
	struct qed_run run;

	if (io->bytes > QED_MAX_RUN && bio->bi_opf & REQ_NOWAIT)
		return false;
	scan(qed, bio, io, &run);
	if (bio->bi_opf & REQ_NOWAIT &&
	    (qed_run_bytes(&run) < io->bytes || (run.zero && !fits_below(qed, io->bytes))))
		return false;
	qed_count(qed, QED_SCANNED_BIOS, 1);
	if (qed_run_bytes(&run) < io->bytes) {
		io->bytes = qed_run_bytes(&run);
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
	/* A flush without data is a write of nothing. */
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

/* Does not sleep: the target promises that with DM_TARGET_NOWAIT. */
int qed_map(struct dm_target *ti, struct bio *bio)
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
		/* What is not known here may change data. */
		map_change(qed, io);
	}
	return DM_MAPIO_REMAPPED;
}

/* ---- When the lower device refuses ---- */

/*
 * Send a refused write again.  The layers below have used up the iterator, may have
 * remapped the bio for a partition, and leave the count of chained parts at 0.
 *
 * Whoever did not want to wait has been told that the bio is on its way, and a worker
 * may wait: EAGAIN would come too late to be understood.  Nor does anybody poll for what a
 * worker sends.
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
	/* Its end took the bio's control group away; the device-mapper gives it back. */
	dm_submit_bio_remap(bio, NULL);
}

/*
 * Telling waits for a lock of all of the device-mapper, under which memory is allocated.  The
 * worker that sends bios must not: they may be what memory is to be had from.
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

	/* The work does not run beside itself, so this is said once for each refusal. */
	if (!READ_ONCE(qed->refused)) {
		WRITE_ONCE(qed->refused, true);
		schedule_work(&qed->refused_work);
	}
	while ((bio = bio_list_pop(&bios)))
		resend(qed, bio);
}

/*
 * May run in an interrupt, and must not submit: a worker does.  Suspend waits for
 * bios that are with the worker as for all that are in flight.
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
