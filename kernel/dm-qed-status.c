// SPDX-License-Identifier: GPL-2.0
/* Status and messages of the target. */
#include <linux/blkdev.h>

#include "compat.h"
#include "dm-qed.h"

const char *const qed_mode_names[QED_DETECT_MODES] = {
	[QED_DETECT_OFF] = "off",
	[QED_DETECT_ON] = "on",
	[QED_DETECT_UNMAP] = "unmap",
};

enum qed_mode qed_mode_of(const char *name)
{
	unsigned int i;

	for (i = 0; i < QED_DETECT_MODES; i++)
		if (!strcasecmp(name, qed_mode_names[i]))
			return i;
	return QED_DETECT_MODES;
}

/* ---- Status ---- */

static void sum_counts(struct qed *qed, struct qed_counts *sum)
{
	unsigned int i;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu)
		for (i = 0; i < QED_COUNTERS; i++)
			sum->count[i] += per_cpu_ptr(qed->counts, cpu)->count[i];
}

/* Return the write-zeroes state of the lower device: supported, refused once, or unsupported. */
static const char *lower_state(struct qed *qed)
{
	if (READ_ONCE(qed->refused))
		return "refused";
	return bdev_write_zeroes_sectors(qed->dev->bdev) ? "ok" : "none";
}

static unsigned int emit_info(struct qed *qed, char *result, unsigned int maxlen)
{
	struct qed_counts sum, base;
	unsigned int sz = 0, i;

	spin_lock(&qed->base_lock);
	base = qed->base;
	spin_unlock(&qed->base_lock);
	sum_counts(qed, &sum);
	for (i = 0; i < QED_COUNTERS; i++)
		DMEMIT("%llu ", sum.count[i] - base.count[i]);
	if (qed->has_known_zero)
		DMEMIT("%llu/%llu ", qed_zero_map_known(&qed->map), qed->map.granules);
	else
		DMEMIT("- ");
	DMEMIT("%s %s", qed_mode_names[READ_ONCE(qed->mode)], lower_state(qed));
	return sz;
}

/* Print the table line that recreates this target with its current mode. */
static unsigned int emit_table(struct qed *qed, char *result, unsigned int maxlen)
{
	enum qed_mode mode = READ_ONCE(qed->mode);
	unsigned int sz = 0, args = 0;

	if (mode != QED_DETECT_OFF)
		args += 2;
	if (qed->has_cluster_size)
		args += 2;
	if (qed->has_known_zero)
		args += 1;
	DMEMIT("%s", qed->dev->name);
	if (args)
		DMEMIT(" %u", args);
	if (mode != QED_DETECT_OFF)
		DMEMIT(" detect_zeroes %s", qed_mode_names[mode]);
	if (qed->has_cluster_size)
		DMEMIT(" cluster_size %u", qed->cluster);
	if (qed->has_known_zero)
		DMEMIT(" known_zero");
	return sz;
}

static unsigned int emit_ima(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct qed *qed = ti->private;
	unsigned int sz = 0;

	DMEMIT_TARGET_NAME_VERSION(ti->type);
	DMEMIT(",device_name=%s,detect_zeroes=%s,cluster_size=%u,known_zero=%c;", qed->dev->name,
	       qed_mode_names[READ_ONCE(qed->mode)], qed->cluster, qed->has_known_zero ? 'y' : 'n');
	return sz;
}

void qed_status(struct dm_target *ti, status_type_t type, unsigned int status_flags, char *result,
		unsigned int maxlen)
{
	switch (type) {
	case STATUSTYPE_INFO:
		emit_info(ti->private, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		emit_table(ti->private, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		emit_ima(ti, result, maxlen);
		break;
	}
}

/* ---- Messages ---- */

static int reset_counts(struct qed *qed)
{
	struct qed_counts sum;

	sum_counts(qed, &sum);
	spin_lock(&qed->base_lock);
	qed->base = sum;
	spin_unlock(&qed->base_lock);
	return 0;
}

static int change_mode(struct qed *qed, const char *name)
{
	enum qed_mode mode = qed_mode_of(name);

	if (mode == QED_DETECT_MODES) {
		DMWARN("detect_zeroes is off, on or unmap, not %s", name);
		return -EINVAL;
	}
	/* Setting the mode again retries write-zeroes on a device that refused it. */
	WRITE_ONCE(qed->refused, false);
	if (xchg(&qed->mode, mode) != mode)
		dm_table_event(qed->ti->table);
	return 0;
}

int qed_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		unsigned int maxlen)
{
	struct qed *qed = ti->private;

	if (argc == 2 && !strcasecmp(argv[0], "stats") && !strcasecmp(argv[1], "reset"))
		return reset_counts(qed);
	if (argc == 2 && !strcasecmp(argv[0], "detect_zeroes"))
		return change_mode(qed, argv[1]);
	if (argc == 1 && !strcasecmp(argv[0], "forget")) {
		if (qed->has_known_zero)
			qed_zero_map_forget(&qed->map);
		return 0;
	}
	/* From the server: what its device's users wait for has changed. */
	if (argc == 1 && !strcasecmp(argv[0], "event")) {
		dm_table_event(qed->ti->table);
		return 0;
	}
	DMWARN("unrecognised message %s", argv[0]);
	return -EINVAL;
}
