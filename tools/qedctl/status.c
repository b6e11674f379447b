// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl status: how a device is, at no cost.
 */
#include "qedctl/show.h"

int verb_status(int argc, char **argv)
{
	struct one_device_args args;

	if (parse_one_device(argc, argv, "j", &args))
		return 1;
	return show_account(&args, "status");
}
