// SPDX-License-Identifier: GPL-2.0
/* Table, construction and limits of the target. */
#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "compat.h"
#include "dm-qed.h"

/* ---- Table ---- */

static int parse_cluster_size(struct qed *qed, const char *value, char **error)
{
	if (!value || kstrtou32(value, 10, &qed->cluster) || !is_power_of_2(qed->cluster) ||
	    qed->cluster < QED_MIN_CLUSTER || qed->cluster > QED_MAX_CLUSTER) {
		*error = "cluster_size is not a power of two from 4096 to 67108864";
		return -EINVAL;
	}
	qed->has_cluster_size = true;
	return 0;
}

static int parse_detect_zeroes(struct qed *qed, const char *value, char **error)
{
	enum qed_mode mode = value ? qed_mode_of(value) : QED_DETECT_MODES;

	if (mode != QED_DETECT_ON && mode != QED_DETECT_UNMAP) {
		*error = "detect_zeroes is neither on nor unmap";
		return -EINVAL;
	}
	qed->mode = mode;
	return 0;
}

/* Parse a feature, with its value if it takes one. */
static int parse_feature(struct qed *qed, struct dm_arg_set *as, unsigned int *left, char **error)
{
	const char *name = dm_shift_arg(as), *value = NULL;
	bool again = false;

	(*left)--;
	if (strcasecmp(name, "known_zero") && *left) {
		value = dm_shift_arg(as);
		(*left)--;
	}
	if (!strcasecmp(name, "detect_zeroes")) {
		again = qed->mode != QED_DETECT_OFF;
		if (parse_detect_zeroes(qed, value, error))
			return -EINVAL;
	} else if (!strcasecmp(name, "cluster_size")) {
		again = qed->has_cluster_size;
		if (parse_cluster_size(qed, value, error))
			return -EINVAL;
	} else if (!strcasecmp(name, "known_zero")) {
		again = qed->has_known_zero;
		qed->has_known_zero = true;
	} else {
		*error = "Unknown feature argument";
		return -EINVAL;
	}
	if (again)
		*error = "Feature argument given twice";
	return again ? -EINVAL : 0;
}

static int parse_features(struct qed *qed, struct dm_arg_set *as, char **error)
{
	static const struct dm_arg group = { 0, 5, "Invalid number of feature arguments" };
	unsigned int left = 0;
	int ret = 0;

	if (as->argc)
		ret = dm_read_arg_group(&group, as, &left, error);
	while (!ret && left)
		ret = parse_feature(qed, as, &left, error);
	if (!ret && as->argc) {
		*error = "Arguments behind the feature arguments";
		ret = -EINVAL;
	}
	return ret;
}

/* Return the default cluster size: the discard granularity of the lower device, if valid. */
static u32 default_cluster(struct qed *qed)
{
	u32 granularity = bdev_discard_granularity(qed->dev->bdev);

	if (is_power_of_2(granularity) && granularity >= QED_MIN_CLUSTER &&
	    granularity <= QED_MAX_CLUSTER)
		return granularity;
	return QED_DEFAULT_CLUSTER;
}

/*
 * Bios are split between clusters, so a cluster must not be smaller than a logical
 * block, which may be larger than a page.
 */
static int choose_cluster(struct qed *qed, char **error)
{
	if (!qed->has_cluster_size)
		qed->cluster = default_cluster(qed);
	if (qed->cluster >= bdev_logical_block_size(qed->dev->bdev))
		return 0;
	*error = "cluster_size is less than the device's logical block";
	return -EINVAL;
}

static int open_device(struct qed *qed, const char *path)
{
	struct dm_target *ti = qed->ti;
	int ret;

	ret = dm_get_device(ti, path, dm_table_get_mode(ti->table), &qed->dev);
	if (ret) {
		qed->dev = NULL;
		ti->error = "Device lookup failed";
		return ret;
	}
	if (ti->begin || ti->len > bdev_nr_sectors(qed->dev->bdev)) {
		ti->error = ti->begin ? "Target does not start at sector 0" :
					"Device is smaller than the target";
		return -EINVAL;
	}
	qed->size = (u64)ti->len << SECTOR_SHIFT;
	return 0;
}

static int allocate(struct qed *qed)
{
	qed->counts = alloc_percpu(struct qed_counts);
	/* Memory reclaim may depend on the bios in it. */
	qed->wq = alloc_workqueue("dm-qed", WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	if (qed->counts && qed->wq &&
	    !(qed->has_known_zero && qed_zero_map_init(&qed->map, qed->size, ilog2(qed->cluster))))
		return 0;
	qed->ti->error = "Cannot allocate memory";
	return -ENOMEM;
}

/* Free the target, even a partly constructed one. */
static void destroy(struct qed *qed)
{
	if (qed->wq)
		destroy_workqueue(qed->wq);
	flush_work(&qed->refused_work);
	if (qed->has_known_zero)
		qed_zero_map_exit(&qed->map);
	free_percpu(qed->counts);
	if (qed->dev)
		dm_put_device(qed->ti, qed->dev);
	kfree(qed);
}

static void set_up(struct dm_target *ti, struct qed *qed)
{
	qed->max_run = max(qed->cluster, QED_MAX_RUN);
	ti->private = qed;
	ti->per_io_data_size = sizeof(struct qed_io);
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	/* The server below may need memory to serve writes to swap. */
	ti->limit_swap_bios = true;
}

/*
 * <device> [<#feature args> [detect_zeroes on|unmap] [cluster_size <bytes>] [known_zero]]
 */
static int qed_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	struct qed *qed;
	int ret;

	if (!argc) {
		ti->error = "A device is needed";
		return -EINVAL;
	}
	qed = kzalloc(sizeof(*qed), GFP_KERNEL);
	if (!qed) {
		ti->error = "Cannot allocate memory";
		return -ENOMEM;
	}
	qed->ti = ti;
	spin_lock_init(&qed->base_lock);
	spin_lock_init(&qed->deferred_lock);
	bio_list_init(&qed->deferred);
	INIT_WORK(&qed->deferred_work, qed_resend_deferred);
	INIT_WORK(&qed->refused_work, qed_tell_refused);

	ret = open_device(qed, dm_shift_arg(&as));
	if (!ret)
		ret = parse_features(qed, &as, &ti->error);
	if (!ret)
		ret = choose_cluster(qed, &ti->error);
	if (!ret)
		ret = allocate(qed);
	if (ret) {
		destroy(qed);
		return ret;
	}
	set_up(ti, qed);
	return 0;
}

static void qed_dtr(struct dm_target *ti)
{
	destroy(ti->private);
}

/* While suspended, the data below may be changed: a snapshot restored, another server. */
static void qed_postsuspend(struct dm_target *ti)
{
	struct qed *qed = ti->private;

	if (qed->has_known_zero)
		qed_zero_map_forget(&qed->map);
}

/* ---- Limits ---- */

static int qed_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct qed *qed = ti->private;

	return fn(ti, qed->dev, 0, ti->len, data);
}

/* Zero detection and discard work on whole clusters. */
static void qed_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct qed *qed = ti->private;

	limits->io_opt = max(limits->io_opt, qed->cluster);
	if (limits->discard_granularity)
		limits->discard_granularity = max(limits->discard_granularity, qed->cluster);
}

QED_PREPARE_IOCTL(qed_prepare_ioctl, ti, bdev)
{
	struct qed *qed = ti->private;

	/* An ioctl of the driver below may change data without the map's knowledge. */
	if (qed->has_known_zero)
		return -ENOTTY;
	*bdev = qed->dev->bdev;
	/* As in dm-linear, passing an ioctl to a part of the device needs a privilege. */
	return ti->len != bdev_nr_sectors(qed->dev->bdev);
}

static struct target_type qed_target = {
	.name = "qed",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = qed_ctr,
	.dtr = qed_dtr,
	.map = qed_map_bio,
	.end_io = qed_end_io,
	.postsuspend = qed_postsuspend,
	.status = qed_status,
	.message = qed_message,
	.prepare_ioctl = qed_prepare_ioctl,
	.iterate_devices = qed_iterate_devices,
	.io_hints = qed_io_hints,
};
module_dm(qed);

MODULE_DESCRIPTION(DM_NAME " target for disk images served over ublk");
MODULE_AUTHOR("The qedblk authors");
MODULE_LICENSE("GPL");
