/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A ublk device that this process serves, from its creation to its deletion.
 *
 * The functions block: an event loop calls them by aio_co_call(). Call them one at a
 * time, in the order of this file.
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
	uint64_t flags; /* UBLK_F_* requested */
	uint64_t cookie; /* ublk_name_cookie() */
	struct ublk_limits limits;
	const struct ublk_target *target;
	/*
	 * Called on the thread of a queue that ends: after ublk_device_stop(), or because another
	 * process stopped the device or a ring failed.
	 */
	void (*queue_ended)(void *arg);
	void *arg;
};

/*
 * Add the device and start its queues. The kernel may create fewer queues than
 * requested, at most one per CPU. Returns 0 or a negative errno with an error line;
 * after an error nothing is left.
 */
int ublk_device_create(struct ublk_device **dev, const struct ublk_device_opts *opts,
		       struct error *err);

/*
 * Take over the device @opts->dev_id, whose server died, and start its queues. Its
 * size, limits, queues and depth stay; the image may be larger. The image must be ready.
 * Waits up to 30 seconds for the kernel to be done with the dead server. After an error
 * the device still waits for a server, but queues may run: the process must end.
 */
int ublk_device_take_over(struct ublk_device **dev, const struct ublk_device_opts *opts,
			  struct error *err);

/*
 * Create the block device, or resume one that was taken over: from now on the target
 * gets requests.
 */
int ublk_device_start(struct ublk_device *dev, struct error *err);

/*
 * Change the size of the started device. -ENOTSUP with nothing changed where the kernel cannot do
 * that; ublk_device_check_resize() only looks whether it can.
 */
int ublk_device_resize(struct ublk_device *dev, uint64_t bytes, struct error *err);
int ublk_device_check_resize(struct ublk_device *dev, struct error *err);

/*
 * Remove the block device and wait for its queues to end. Until then the target gets
 * requests. After an error queues may still run: the device must not be destroyed.
 */
int ublk_device_stop(struct ublk_device *dev, struct error *err);

/* Delete the stopped device. Frees @dev, also on an error. */
int ublk_device_destroy(struct ublk_device *dev, struct error *err);

/* Return the values that the kernel chose. @dev owns them. */
const struct ublk_dev_info *ublk_device_info(const struct ublk_device *dev);
const struct ublk_params_v2 *ublk_device_params(const struct ublk_device *dev);

/* Return the number of requests in flight, over all queues. Any thread. */
unsigned int ublk_device_in_flight(const struct ublk_device *dev);

#endif
