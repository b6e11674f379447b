/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A ublk device that this process serves, from adding to deleting it.
 *
 * The functions block: an event loop calls them by aio_co_call().  They are
 * called one at a time, in the order in which they stand here.
 */
#ifndef QEDBLK_UBLK_DEVICE_H
#define QEDBLK_UBLK_DEVICE_H

#include "ublk/ctrl.h"
#include "ublk/params.h"
#include "ublk/queue.h"

struct ublk_device;

struct ublk_device_opts {
	uint32_t dev_id; /* or UBLK_ANY_DEV_ID */
	unsigned int queues, depth;
	uint64_t flags; /* UBLK_F_* wished for */
	uint64_t cookie; /* ublk_name_cookie() */
	struct ublk_limits limits;
	const struct ublk_target *target;
	/*
	 * Called on a queue's thread that ends: after ublk_device_stop(), or
	 * because somebody else stopped the device or a ring failed.
	 */
	void (*queue_ended)(void *arg);
	void *arg;
};

/*
 * Add the device and start its queues.  The kernel may make fewer queues than
 * were asked for, one a CPU at most.  On an error nothing is left.
 */
int ublk_device_create(struct ublk_device **dev, const struct ublk_device_opts *opts,
		       struct error *err);

/*
 * Take over the device @opts->dev_id, whose server died, and start its queues; its
 * limits, queues and depth stay.  The image must be ready.  Waits half a
 * minute at most for the kernel to be done with the dead server.  After an
 * error the device waits as before, but queues may run: the process is to end.
 */
int ublk_device_take_over(struct ublk_device **dev, const struct ublk_device_opts *opts,
			  struct error *err);

/* Make the block device appear, or go on: from now on the target gets requests. */
int ublk_device_start(struct ublk_device *dev, struct error *err);

/*
 * Take the block device away and wait for its queues to end.  Until then the
 * target gets requests.  After an error queues may still run: the device must
 * not be destroyed then.
 */
int ublk_device_stop(struct ublk_device *dev, struct error *err);

/* Delete the stopped device and free @dev, in any case. */
int ublk_device_destroy(struct ublk_device *dev, struct error *err);

/* As the kernel made it. */
const struct ublk_dev_info *ublk_device_info(const struct ublk_device *dev);
const struct ublk_params_v2 *ublk_device_params(const struct ublk_device *dev);

/* Requests being served now, over all queues.  Any thread. */
unsigned int ublk_device_in_flight(const struct ublk_device *dev);

#endif
