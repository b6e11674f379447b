// SPDX-License-Identifier: GPL-2.0
/* Finding and deleting what a killed server left in the kernel. */
#include <errno.h>
#include <stdlib.h>

#include "ublk/ctrl.h"
#include "ublk/stale.h"

/* Returns 1 when the device was one to delete, and is. */
static int check_device(struct ublk_ctrl *ctrl, uint32_t dev_id, uint64_t cookie, struct error *err)
{
	struct error why = ERROR_INIT;
	struct ublk_dev_info info;
	int ret;

	/* A device that has just gone, or that we may not ask about, is not ours to delete. */
	if (ublk_ctrl_get_info(ctrl, dev_id, &info, NULL) < 0 || info.cookie != cookie)
		return 0;
	if (!ublk_server_is_gone(&info))
		return error_set(err, -EBUSY, "already served by process %d (ublk device %u)",
				 info.server_pid, dev_id);
	ret = ublk_ctrl_del(ctrl, dev_id, &why);
	if (ret == -ENODEV)
		ret = 0;
	else if (ret < 0)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret < 0 ? ret : 1;
}

int ublk_stale_delete(const char *name, struct error *err)
{
	uint64_t cookie = ublk_name_cookie(name);
	struct ublk_ctrl *ctrl;
	int deleted = 0, ret;
	uint32_t *ids;
	size_t count;

	ret = ublk_dev_list(&ids, &count, err);
	if (ret < 0 || !count)
		return ret;
	ret = ublk_ctrl_open(&ctrl, err);
	if (!ret) {
		for (size_t i = 0; ret >= 0 && i < count; i++) {
			ret = check_device(ctrl, ids[i], cookie, err);
			deleted += ret > 0;
		}
		ublk_ctrl_close(ctrl);
	}
	free(ids);
	return ret < 0 ? ret : deleted;
}
