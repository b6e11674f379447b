// SPDX-License-Identifier: GPL-2.0
/* ublkdel N: stop and delete ublk device N, whatever its server does, as another program might. */
#include <stdio.h>
#include <stdlib.h>

#include "ublk/ctrl.h"

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct ublk_ctrl *ctrl;
	uint32_t id;
	int ret;

	if (argc != 2)
		return 2;
	id = (uint32_t)strtoul(argv[1], NULL, 10);
	ret = ublk_ctrl_open(&ctrl, &err);
	if (!ret) {
		ret = ublk_ctrl_stop(ctrl, id, &err);
		if (!ret)
			ret = ublk_ctrl_del(ctrl, id, &err);
		ublk_ctrl_close(ctrl);
	}
	if (ret)
		fprintf(stderr, "ublkdel: %s\n", error_text(&err));
	error_free(&err);
	return ret ? 1 : 0;
}
