// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl snapshot: a new image becomes that of a live device, over the one it has. The server does
 * it, whatever becomes of this process.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "file/name.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"

struct snapshot_args {
	const char *name, *format;
	char *path; /* heap */
};

static const struct verb_option options[] = {
	OPT_TEXT(0, "format", struct snapshot_args, format),
	OPT_END,
};

static int parse(int argc, char **argv, struct snapshot_args *args)
{
	struct error err = ERROR_INIT;

	memset(args, 0, sizeof(*args));
	if (verb_options_parse(argc, argv, options, args, verb_getopt))
		return 1;
	if (argc - optind != 2)
		return report_usage("%s", argc - optind > 2 ? "one NAME and one IMAGE are needed" :
							      "NAME and IMAGE are needed");
	args->name = argv[optind];
	report_context("snapshot %s", args->name);
	if (refuse_bad_name(args->name))
		return 1;
	if (blk_name_absolute(argv[optind + 1], &args->path, &err))
		return report_fail(&err);
	if (!blk_name_is_url(args->path))
		return 0;
	free(args->path);
	return report_usage("%s: not a file", argv[optind + 1]);
}

static int snapshot(const struct snapshot_args *args, struct error *err)
{
	json_t *arguments = json_pack("{s:s, s:s*}", "file", args->path, "format", args->format);
	struct device dev;
	int ret;

	if (!arguments)
		return error_set(err, -EINVAL, "%s: the name is not UTF-8", args->path);
	ret = device_find(args->name, &dev, err);
	if (ret) {
		json_decref(arguments);
		return ret;
	}
	if (dev.status) {
		ret = device_ask(args->name, "snapshot", arguments, NULL, err);
	} else {
		json_decref(arguments);
		ret = device_no_server(&dev, err);
	}
	device_put(&dev);
	return ret;
}

static int run_snapshot(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct snapshot_args args;
	int ret;

	if (parse(argc, argv, &args))
		return 1;
	ret = snapshot(&args, &err);
	free(args.path);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_snapshot_verb = {
	.name = "snapshot",
	.synopsis = "NAME IMAGE [--format FORMAT]",
	.summary = "give a live device a new image, over the one it has",
	.options =
		"IMAGE is created; the image that the device has becomes its backing file, and is\n"
		"not written to any more.\n"
		"\n"
		"  --format FORMAT  of IMAGE (qed)\n",
	.example = "qedctl snapshot vm1 vm1-monday.qed",
	.run = run_snapshot,
};
