// SPDX-License-Identifier: GPL-2.0
/* qedctl resume: resume I/O after `qedctl suspend`. */
#include <errno.h>

#include "cmdline/report.h"
#include "qedctl/device.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"

static int run_resume(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct one_device_args args;
	struct device dev;
	int ret;

	if (parse_one_device(argc, argv, NULL, &args))
		return 1;
	ret = device_find(args.name, &dev, &err);
	if (ret)
		return report_fail(&err);
	if (!dev.map.exists)
		ret = error_set(&err, -ENOTSUP, "it has no device mapping");
	device_put(&dev);
	if (!ret)
		ret = mapping_resume(args.name, &err);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_resume_verb = {
	.name = "resume",
	.synopsis = "NAME",
	.summary = "let I/O go on",
	.example = "qedctl resume vm1",
	.run = run_resume,
};
