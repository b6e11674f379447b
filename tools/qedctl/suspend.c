// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl suspend: hold new I/O.  What was written before is durable in the
 * image then, so that the image can be copied while the device is held.
 */
#include <errno.h>

#include "common/report.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"

int verb_suspend(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct one_device_args args;
	struct device dev;
	int ret;

	if (parse_one_device(argc, argv, "fl", &args))
		return 1;
	ret = device_find(args.name, &dev, &err);
	if (ret)
		return report_fail(&err);
	if (!dev.map.exists)
		ret = error_set(&err, -ENODEV, "it has no device mapping");
	else if (!dev.status)
		/* I/O that nobody answers would be waited for without end. */
		ret = error_set(&err, -ENOTCONN, "its server does not run any more");
	device_put(&dev);
	if (!ret)
		ret = mapping_suspend(args.name, !args.no_flush, !args.no_lockfs, &err);
	if (ret)
		return report_fail(&err);
	ret = device_ask(args.name, "flush", NULL, NULL, &err);
	if (ret) {
		mapping_resume(args.name, NULL);
		return report_fail(&err);
	}
	return 0;
}
