// SPDX-License-Identifier: GPL-2.0
/* Finding and deleting the devices that a killed server left in the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "ublk/ctrl.h"
#include "ublk/stale.h"

/* Visit a device of the name. A positive result is counted, an error ends the search. */
typedef int visit_fn(struct ublk_ctrl *ctrl, const struct ublk_dev_info *info, void *arg,
		     struct error *err);

/* Return 1, or 0 for a device that has just gone or that only its owner may query. */
static int get_info(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_dev_info *info,
		    struct error *err)
{
	struct error why = ERROR_INIT;
	int ret = ublk_ctrl_get_info(ctrl, dev_id, info, &why);

	if (!ret)
		ret = 1;
	else if (ret == -ENODEV || ret == -EPERM || ret == -EACCES || ret == -EINVAL)
		ret = 0;
	else
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret;
}

static int visit_named(const char *name, visit_fn *fn, void *arg, struct error *err)
{
	uint64_t cookie = ublk_name_cookie(name);
	struct ublk_ctrl *ctrl;
	int found = 0, ret;
	uint32_t *ids;
	size_t count;

	ret = ublk_dev_list(&ids, &count, err);
	if (ret < 0 || !count)
		return ret;
	ret = ublk_ctrl_open(&ctrl, err);
	if (!ret) {
		for (size_t i = 0; ret >= 0 && i < count; i++) {
			struct ublk_dev_info info;

			ret = get_info(ctrl, ids[i], &info, err);
			if (ret <= 0 || info.cookie != cookie)
				continue;
			ret = fn(ctrl, &info, arg, err);
			found += ret > 0;
		}
		ublk_ctrl_close(ctrl);
	}
	free(ids);
	return ret < 0 ? ret : found;
}

static int note_waiting(struct ublk_ctrl *ctrl, const struct ublk_dev_info *info, void *arg,
			struct error *err)
{
	(void)ctrl;
	(void)err;
	/* The server's process may not be quite gone, so the pid proves nothing; the lock does. */
	if (!ublk_device_waits(info))
		return 0;
	*(struct ublk_dev_info *)arg = *info;
	return 1;
}

int ublk_stale_find_waiting(const char *name, struct ublk_dev_info *info, struct error *err)
{
	int ret = visit_named(name, note_waiting, info, err);

	return ret > 1 ? 1 : ret;
}

/* How long the kernel may take to notice that a server died, and the process to end after that. */
#define SETTLE_TRIES  1500
#define EXIT_TRIES    150
#define SETTLE_NAP_NS 20000000L

/*
 * Return whether the device has no server. Kernels from 7 on forget the pid of a server that died
 * before they change the device's state; on others the process may be about to end, with its lock
 * gone. The caller holds the lock of the name, so no server is about to start: wait until the state
 * is known.
 */
static bool is_gone_for_good(struct ublk_ctrl *ctrl, const struct ublk_dev_info *info)
{
	const struct timespec nap = { .tv_nsec = SETTLE_NAP_NS };
	struct ublk_dev_info now = *info;

	for (int i = 0; !ublk_server_is_gone(&now); i++) {
		if (i >= (now.server_pid > 0 ? EXIT_TRIES : SETTLE_TRIES))
			return false;
		nanosleep(&nap, NULL);
		if (ublk_ctrl_get_info(ctrl, info->dev_id, &now, NULL))
			return true; /* the deletion says why */
	}
	return true;
}

static int delete_one(struct ublk_ctrl *ctrl, const struct ublk_dev_info *info, void *arg,
		      struct error *err)
{
	struct error why = ERROR_INIT;
	int ret;

	(void)arg;
	if (!is_gone_for_good(ctrl, info))
		return error_set(err, -EBUSY, "already served by process %d (ublk device %u)",
				 info->server_pid, info->dev_id);
	ret = ublk_ctrl_del(ctrl, info->dev_id, &why);
	if (ret == -ENODEV)
		ret = 0;
	else if (ret < 0)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret < 0 ? ret : 1;
}

int ublk_stale_delete(const char *name, struct error *err)
{
	return visit_named(name, delete_one, NULL, err);
}
