// SPDX-License-Identifier: GPL-2.0
/*
 * qedd without a block device: all of the server, linked with a ublk device that exists in this
 * process only. It needs no driver, so the control socket and the server's life can be tested on
 * any machine, and under sanitizers.
 *
 * Environment variables:
 * NODEV_WAITING: a device of a dead server waits to be recovered.
 * NODEV_USED: another process has the block device open.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/busy.h"
#include "ublk/device.h"
#include "ublk/stale.h"
#include "ublk/write_back.h"
#include "util/units.h"

struct ublk_device {
	struct ublk_dev_info info;
	struct ublk_params_v2 params;
	void (*queue_ended)(void *arg);
	void *arg;
};

int ublk_device_create(struct ublk_device **out, const struct ublk_device_opts *opts,
		       struct error *err)
{
	struct ublk_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return error_set_errno(err, -ENOMEM, "ublk device");
	dev->info.dev_id = 77;
	dev->info.queues = opts->queues;
	dev->info.depth = opts->depth;
	dev->queue_ended = opts->queue_ended;
	dev->arg = opts->arg;
	ublk_params_fill(&dev->params, &opts->limits);
	*out = dev;
	return 0;
}

int ublk_device_take_over(struct ublk_device **dev, const struct ublk_device_opts *opts,
			  struct error *err)
{
	return ublk_device_create(dev, opts, err);
}

int ublk_device_start(struct ublk_device *dev, struct error *err)
{
	(void)dev;
	(void)err;
	return 0;
}

int ublk_device_check_resize(struct ublk_device *dev, struct error *err)
{
	(void)dev;
	(void)err;
	return 0;
}

int ublk_device_resize(struct ublk_device *dev, uint64_t bytes, struct error *err)
{
	(void)err;
	dev->params.basic.dev_sectors = bytes / SECTOR_SIZE;
	return 0;
}

int ublk_device_stop(struct ublk_device *dev, struct error *err)
{
	(void)err;
	dev->queue_ended(dev->arg);
	return 0;
}

int ublk_device_destroy(struct ublk_device *dev, struct error *err)
{
	(void)err;
	free(dev);
	return 0;
}

const struct ublk_dev_info *ublk_device_info(const struct ublk_device *dev)
{
	return &dev->info;
}

const struct ublk_params_v2 *ublk_device_params(const struct ublk_device *dev)
{
	return &dev->params;
}

unsigned int ublk_device_in_flight(const struct ublk_device *dev)
{
	(void)dev;
	return 0;
}

int ublk_stale_find_waiting(const char *name, struct ublk_dev_info *info, struct error *err)
{
	(void)name;
	(void)err;
	*info = (struct ublk_dev_info){ .dev_id = 77, .state = UBLK_S_DEV_QUIESCED };
	return !!getenv("NODEV_WAITING");
}

int ublk_stale_delete(const char *name, struct error *err)
{
	(void)name;
	(void)err;
	return 0;
}

bool ublk_can_write_back(void)
{
	return false;
}

/* As long as a scan of all processes takes. */
int device_check_unused(uint32_t dev_id, struct error *err)
{
	(void)dev_id;
	usleep(2000);
	return getenv("NODEV_USED") ? error_set(err, -EBUSY, "the device is in use") : 0;
}
