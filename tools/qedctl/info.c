// SPDX-License-Identifier: GPL-2.0
/* qedctl info: details of a device and its image. */
#include "qedctl/show.h"

static int run_info(int argc, char **argv)
{
	struct one_device_args args;

	if (parse_one_device(argc, argv, ctl_json_option, &args))
		return 1;
	return show_account(&args, "info");
}

const struct verb ctl_info_verb = {
	.name = "info",
	.synopsis = "[--json] NAME",
	.summary = "all that is known of a device and its image",
	.options = VERB_JSON_HELP,
	.example = "qedctl info vm1",
	.run = run_info,
};
