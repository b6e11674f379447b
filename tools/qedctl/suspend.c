// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl suspend: hold new I/O. Earlier writes are then durable in the image, so that
 * the image can be copied while the device is suspended.
 */
#include <errno.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "qedctl/device.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"
#include "qedctl/signals.h"

/* Resume after @err, unless the device was suspended before. */
static void take_back(const char *name, bool was_suspended, struct error *err)
{
	struct error why = ERROR_INIT;

	if (!was_suspended && mapping_resume(name, &why))
		error_prefix(err, "the device stays suspended (%s)", error_text(&why));
	error_free(&why);
}

/* Suspend and flush, or leave the device as it was. */
static int suspend(const struct one_device_args *args, bool was_suspended, struct error *err)
{
	int ret;

	signals_note();
	ret = mapping_suspend(args->name, !args->no_flush, !args->no_lockfs, err);
	if (ret)
		return ret;
	ret = device_ask(args->name, "flush", NULL, NULL, err);
	if (!ret && signals_noted())
		ret = error_set(err, -EINTR, "interrupted");
	if (ret)
		take_back(args->name, was_suspended, err);
	return ret;
}

static const struct verb_option options[] = {
	OPT_SWITCH(0, "noflush", struct one_device_args, no_flush),
	OPT_SWITCH(0, "nolockfs", struct one_device_args, no_lockfs),
	OPT_END,
};

static int run_suspend(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct one_device_args args;
	bool was_suspended;
	struct device dev;
	int lock_fd, ret;

	if (parse_one_device(argc, argv, options, &args))
		return 1;
	ret = device_find_alone(args.name, &dev, &lock_fd, &err);
	if (ret)
		return report_fail(&err);
	was_suspended = dev.map.suspended;
	if (!dev.map.exists)
		ret = error_set(&err, -ENOTSUP, "it has no device mapping");
	else if (!dev.status)
		/* Without a server the suspend would wait for its I/O forever. */
		ret = device_no_server(&dev, &err);
	device_put(&dev);
	if (!ret)
		ret = suspend(&args, was_suspended, &err);
	if (lock_fd >= 0)
		close(lock_fd);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_suspend_verb = {
	.name = "suspend",
	.synopsis = "[OPTION...] NAME",
	.summary = "hold new I/O; all written before is durable then",
	.options = "  --noflush    do not wait for I/O in flight\n"
		   "  --nolockfs   do not freeze the file system\n",
	.example = "qedctl suspend vm1",
	.run = run_suspend,
};
