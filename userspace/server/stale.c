// SPDX-License-Identifier: GPL-2.0
/* Finding and deleting what a killed server left in the kernel. */
#include <errno.h>
#include <stdlib.h>

#include "server/stale.h"
#include "ublk/ctrl.h"
#include "util/log.h"

static int check_device(struct ublk_ctrl *ctrl, uint32_t dev_id, const char *name,
			struct error *err)
{
	struct ublk_dev_info info;

	/* A device that has just gone, or that we may not ask about, is not ours to delete. */
	if (ublk_ctrl_get_info(ctrl, dev_id, &info, NULL) < 0 ||
	    info.cookie != ublk_name_cookie(name))
		return 0;
	if (!ublk_server_is_gone(&info))
		return error_set(err, -EBUSY, "already served by process %d (ublk device %u)",
				 info.server_pid, dev_id);
	log_warning("%s: deleting device %u of a server that died", name, dev_id);
	return ublk_ctrl_del(ctrl, dev_id, err);
}

int stale_devices_delete(const char *name, struct error *err)
{
	struct ublk_ctrl *ctrl;
	uint32_t *ids;
	size_t count;
	int ret;

	ret = ublk_dev_list(&ids, &count, err);
	if (ret < 0 || !count)
		return ret;
	ret = ublk_ctrl_open(&ctrl, err);
	if (!ret) {
		for (size_t i = 0; !ret && i < count; i++)
			ret = check_device(ctrl, ids[i], name, err);
		ublk_ctrl_close(ctrl);
	}
	free(ids);
	return ret;
}
