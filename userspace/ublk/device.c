// SPDX-License-Identifier: GPL-2.0
/* A served device: its control commands and its queues, in the right order. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ublk/device.h"
#include "ublk/write_back.h"
#include "util/units.h"

/* Seconds for the queues to end after their device was stopped. */
#define DRAIN_SECONDS 30
/* In naps: how long the kernel may take to notice that a server died and to end its commands. */
#define TAKE_OVER_TRIES 1500
/* In naps: how long to wait for device nodes, or for udev to close them. */
#define NODE_TRIES  250
#define NODE_NAP_NS 20000000L

struct ublk_device {
	struct ublk_ctrl *ctrl;
	struct ublk_dev_info info;
	struct ublk_params_v2 params;
	bool taken_over; /* from a server that died */
	int char_fd;
	struct ublk_queue **queues;
	unsigned int nr_queues; /* started */
};

static void nap(void)
{
	struct timespec ts = { .tv_nsec = NODE_NAP_NS };

	nanosleep(&ts, NULL);
}

/* udev creates the node, or has it open, at some time; it can be open only once. */
static int open_char(struct ublk_device *dev, struct error *err)
{
	char path[UBLK_PATH_LEN];
	int ret = -ENOENT;

	ublk_char_path(path, dev->info.dev_id);
	for (unsigned int i = 0; i < NODE_TRIES; i++) {
		dev->char_fd = open(path, O_RDWR | O_CLOEXEC);
		if (dev->char_fd >= 0)
			return 0;
		ret = -errno;
		if (ret != -ENOENT && ret != -EBUSY && ret != -EACCES)
			break;
		nap();
	}
	return error_set_errno(err, ret, "%s", path);
}

static int start_queues(struct ublk_device *dev, const struct ublk_device_opts *opts,
			struct error *err)
{
	dev->queues = calloc(dev->info.queues, sizeof(*dev->queues));
	if (!dev->queues)
		return error_set_errno(err, -ENOMEM, "ublk device %u", dev->info.dev_id);
	for (unsigned int i = 0; i < dev->info.queues; i++) {
		struct ublk_queue_opts queue_opts = {
			.char_fd = dev->char_fd,
			.id = i,
			.depth = dev->info.depth,
			.max_io_bytes = dev->info.max_io_bytes,
			.target = opts->target,
			.ended = opts->queue_ended,
			.ended_arg = opts->arg,
		};
		int ret = ublk_queue_start(&dev->queues[i], &queue_opts, err);

		if (dev->queues[i])
			dev->nr_queues++;
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int add_device(struct ublk_device *dev, const struct ublk_device_opts *opts,
		      struct error *err)
{
	struct ublk_limits limits = opts->limits;
	int ret;

	dev->info = (struct ublk_dev_info){
		.dev_id = opts->dev_id,
		.queues = opts->queues,
		.depth = opts->depth,
		.max_io_bytes = limits.max_io_bytes,
		.flags = opts->flags,
		.cookie = opts->cookie,
	};
	ret = ublk_ctrl_add(dev->ctrl, &dev->info, err);
	if (ret < 0)
		return ret;
	limits.max_io_bytes = dev->info.max_io_bytes;
	ublk_params_fill(&dev->params, &limits);
	return 0;
}

static int prepare(struct ublk_device *dev, const struct ublk_device_opts *opts, struct error *err)
{
	int ret = ublk_ctrl_set_params(dev->ctrl, dev->info.dev_id, &dev->params, err);

	if (ret < 0)
		return ret;
	ret = open_char(dev, err);
	if (ret < 0)
		return ret;
	return start_queues(dev, opts, err);
}

static void device_free(struct ublk_device *dev)
{
	if (dev->char_fd >= 0)
		close(dev->char_fd);
	ublk_ctrl_close(dev->ctrl);
	free(dev->queues);
	free(dev);
}

int ublk_device_create(struct ublk_device **dev, const struct ublk_device_opts *opts,
		       struct error *err)
{
	struct ublk_device *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return error_set_errno(err, -ENOMEM, "ublk device");
	d->char_fd = -1;
	ret = ublk_ctrl_open(&d->ctrl, err);
	if (ret < 0) {
		free(d);
		return ret;
	}
	ret = add_device(d, opts, err);
	if (ret < 0) {
		device_free(d);
		return ret;
	}
	ret = prepare(d, opts, err);
	if (ret < 0) {
		/* @err has the first error; ignore those of the cleanup. */
		if (!ublk_device_stop(d, NULL))
			ublk_device_destroy(d, NULL);
		return ret;
	}
	*dev = d;
	return 0;
}

/* ---- Taking over ---- */

static int check_taken(struct ublk_device *dev, const struct ublk_device_opts *opts,
		       struct error *err)
{
	uint32_t dev_id = opts->dev_id;
	uint64_t bytes;
	int ret = ublk_ctrl_get_info(dev->ctrl, dev_id, &dev->info, err);

	if (!ret)
		ret = ublk_ctrl_get_params(dev->ctrl, dev_id, &dev->params, err);
	if (ret < 0)
		return ret;
	if (!ublk_device_waits(&dev->info))
		return error_set(err, -EINVAL, "ublk device %u does not wait for a server", dev_id);
	bytes = dev->params.basic.dev_sectors * SECTOR_SIZE;
	if (bytes > opts->limits.size)
		return error_set(err, -EINVAL, "ublk device %u has %llu bytes, and its image %llu",
				 dev_id, (unsigned long long)bytes,
				 (unsigned long long)opts->limits.size);
	if (!(dev->params.basic.attrs & UBLK_ATTR_READ_ONLY) != !opts->limits.read_only)
		return error_set(err, -EINVAL, "ublk device %u is %s", dev_id,
				 opts->limits.read_only ? "writable" : "read-only");
	return 0;
}

static int begin_recovery(struct ublk_device *dev, struct error *err)
{
	struct error why = ERROR_INIT;
	int ret;

	for (unsigned int i = 0; i < TAKE_OVER_TRIES; i++) {
		error_free(&why);
		ret = ublk_ctrl_start_recovery(dev->ctrl, dev->info.dev_id, &why);
		if (ret != -EBUSY)
			break;
		nap();
	}
	/* An earlier successor began the recovery and died before it fetched. */
	if (ret == -EINVAL)
		ret = 0;
	if (ret < 0)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret;
}

int ublk_device_take_over(struct ublk_device **dev, const struct ublk_device_opts *opts,
			  struct error *err)
{
	struct ublk_device *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return error_set_errno(err, -ENOMEM, "ublk device");
	d->char_fd = -1;
	d->taken_over = true;
	ret = ublk_ctrl_open(&d->ctrl, err);
	if (ret < 0) {
		free(d);
		return ret;
	}
	*dev = d;
	ret = check_taken(d, opts, err);
	if (!ret)
		ret = begin_recovery(d, err);
	if (!ret)
		ret = open_char(d, err);
	return ret ? ret : start_queues(d, opts, err);
}

/* ---- */

int ublk_device_start(struct ublk_device *dev, struct error *err)
{
	if (dev->taken_over)
		return ublk_ctrl_end_recovery(dev->ctrl, dev->info.dev_id, err);
	return ublk_ctrl_start(dev->ctrl, dev->info.dev_id, err);
}

int ublk_device_check_resize(struct ublk_device *dev, struct error *err)
{
	uint64_t features;
	int ret = ublk_ctrl_get_features(dev->ctrl, &features, err);

	if (!ret && !(features & UBLK_F_UPDATE_SIZE))
		return error_set(err, -ENOTSUP,
				 "this kernel cannot change the size of a live block device "
				 "(Linux 6.16 can)");
	return ret;
}

int ublk_device_resize(struct ublk_device *dev, uint64_t bytes, struct error *err)
{
	uint64_t sectors = bytes / SECTOR_SIZE;
	int ret = ublk_device_check_resize(dev, err);

	if (ret || dev->params.basic.dev_sectors == sectors)
		return ret;
	ret = ublk_ctrl_update_size(dev->ctrl, dev->info.dev_id, sectors, err);
	if (!ret)
		dev->params.basic.dev_sectors = sectors;
	return ret;
}

/*
 * Execute @command. A device that another process has deleted is no failure, and
 * leaves @err alone.
 */
static int unless_deleted(struct ublk_device *dev,
			  int (*command)(struct ublk_ctrl *ctrl, uint32_t dev_id,
					 struct error *err),
			  struct error *err)
{
	struct error why = ERROR_INIT;
	int ret = command(dev->ctrl, dev->info.dev_id, &why);

	if (ret == -ENODEV)
		ret = 0;
	else if (ret < 0)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret;
}

int ublk_device_stop(struct ublk_device *dev, struct error *err)
{
	int ret = 0;

	/* STOP_DEV fails data that is not yet written back when the device has user recovery. */
	if (dev->info.flags & UBLK_F_USER_RECOVERY)
		ret = ublk_write_back(dev->info.dev_id, err);
	/* If the device was deleted, its queues have ended or are about to. */
	if (!ret)
		ret = unless_deleted(dev, ublk_ctrl_stop, err);
	if (ret < 0)
		return ret;
	while (dev->nr_queues) {
		ret = ublk_queue_join(dev->queues[dev->nr_queues - 1], DRAIN_SECONDS);
		if (ret < 0) {
			error_set_errno(err, ret, "ublk device %u: waiting for queue %u",
					dev->info.dev_id, dev->nr_queues - 1);
			return ret;
		}
		dev->nr_queues--;
	}
	return 0;
}

int ublk_device_destroy(struct ublk_device *dev, struct error *err)
{
	int ret;

	/* Old kernels wait for the last user of the character device, so close it first. */
	if (dev->char_fd >= 0)
		close(dev->char_fd);
	dev->char_fd = -1;
	ret = unless_deleted(dev, ublk_ctrl_del, err);
	device_free(dev);
	return ret;
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
	unsigned int sum = 0;

	for (unsigned int i = 0; i < dev->nr_queues; i++)
		sum += ublk_queue_in_flight(dev->queues[i]);
	return sum;
}
