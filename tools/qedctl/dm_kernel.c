// SPDX-License-Identifier: GPL-2.0
/* What the kernel's device-mapper, and the library, are: versions and targets. */
#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>

#include "qedctl/dm.h"
#include "qedctl/dm_task.h"

bool mapping_has_target(const char *target)
{
	/* The kernel takes the target's name in place of the device's. */
	struct dm_task *task = task_new(DM_DEVICE_GET_TARGET_VERSION, target);
	bool has;

	if (!task)
		return false;
	has = !task_run(task, "target", NULL);
	dm_task_destroy(task);
	return has;
}

const char *mapping_library_version(char *buf, size_t len)
{
	if (!dm_get_library_version(buf, len))
		snprintf(buf, len, "unknown");
	/* Strip the library's date, in brackets. */
	buf[strcspn(buf, " ")] = '\0';
	return buf;
}

int mapping_driver_version(char *buf, size_t len, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_VERSION, NULL);
	int ret;

	if (!task)
		return no_task(err);
	ret = task_run(task, "version", err);
	if (!ret && !dm_task_get_driver_version(task, buf, len))
		ret = error_set(err, -EIO, "device-mapper: no version");
	dm_task_destroy(task);
	return ret;
}

int mapping_each_target(void (*each)(void *arg, const char *name, const uint32_t version[3]),
			void *arg, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_LIST_VERSIONS, NULL);
	struct dm_versions *target;
	int ret;

	if (!task)
		return no_task(err);
	ret = task_run(task, "list of targets", err);
	target = ret ? NULL : dm_task_get_versions(task);
	while (target) {
		each(arg, target->name, target->version);
		target = target->next ? (void *)((char *)target + target->next) : NULL;
	}
	dm_task_destroy(task);
	return ret;
}
