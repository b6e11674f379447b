// SPDX-License-Identifier: GPL-2.0
/* qedctl status: print the state of a device, without I/O. */
#include "qedctl/show.h"

static int run_status(int argc, char **argv)
{
	struct one_device_args args;

	if (parse_one_device(argc, argv, ctl_json_option, &args))
		return 1;
	return show_account(&args, "status");
}

const struct verb ctl_status_verb = {
	.name = "status",
	.alias = "show",
	.synopsis = "[--json] NAME",
	.summary = "how a device is",
	.options = VERB_JSON_HELP,
	.example = "qedctl status --json vm1",
	.run = run_status,
};
