// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl resize: make a live device larger: first the image and the ublk device, by the server,
 * then the mapping. The same command can be given again after it was interrupted anywhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/qed_target.h"
#include "qedctl/qedctl.h"
#include "qedctl/signals.h"
#include "util/units.h"

struct resize_args {
	const char *name;
	uint64_t size; /* bytes; relative: how many more */
	bool relative;
};

static int parse(int argc, char **argv, struct resize_args *args)
{
	const char *text;

	memset(args, 0, sizeof(*args));
	if (verb_options_parse(argc, argv, NULL, args, verb_getopt))
		return 1;
	if (argc - optind != 2)
		return report_usage("%s", argc - optind > 2 ? "one NAME and one SIZE are needed" :
							      "NAME and SIZE are needed");
	args->name = argv[optind];
	text = argv[optind + 1];
	report_context("resize %s", args->name);
	if (refuse_bad_name(args->name))
		return 1;
	args->relative = text[0] == '+';
	if (parse_printed_size(text + args->relative, &args->size) || !args->size ||
	    args->size > INT64_MAX - SECTOR_SIZE)
		return report_usage("'%s' is not a size", text);
	args->size = round_up(args->size, SECTOR_SIZE);
	return 0;
}

static int check(const struct device *dev, struct error *err)
{
	if (!dev->status)
		return device_no_server(dev, err);
	if (dev->map.suspended)
		return error_set(err, -EBUSY, "it is suspended");
	return device_check_room(dev, err);
}

/* Compute the new size. The image may already be larger than the mapping. */
static int new_size(const struct resize_args *args, const struct device *dev, uint64_t *size,
		    struct error *err)
{
	uint64_t now = device_size(dev);

	*size = args->size;
	if (args->relative && args->size > INT64_MAX - SECTOR_SIZE - now)
		return error_set(err, -EFBIG, "it would be larger than any file");
	if (args->relative)
		*size += now;
	if (*size < now)
		return error_set(err, -ENOTSUP,
				 "it has %" PRIu64 " bytes, and can only become larger", now);
	return 0;
}

/* Load the same table with another size. */
static int resize_mapping(const struct device *dev, uint64_t size, struct error *err)
{
	struct target_choice target;
	char params[128];
	const struct mapping_table table = { .size = size,
					     .target = dev->map.target,
					     .params = params,
					     .read_only = dev->map.read_only };

	if (!dev->map.exists || !dev->map.lower || dev->map.size == size)
		return 0;
	target_of_device(dev, &target);
	target_params(&target, dev->map.lower, params, sizeof(params));
	return mapping_reload(dev->name, &table, err);
}

static int resize(const struct device *dev, const struct resize_args *args, struct error *err)
{
	uint64_t size;
	int ret = check(dev, err);

	if (!ret)
		ret = new_size(args, dev, &size, err);
	if (ret)
		return ret;
	/* A signal midway would leave the mapping smaller than its device. */
	signals_hold();
	ret = device_ask(dev->name, "resize", json_pack("{s:I}", "size", (json_int_t)size), NULL,
			 err);
	if (!ret)
		ret = resize_mapping(dev, size, err);
	signals_release();
	return ret;
}

static int run_resize(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct resize_args args;
	struct device dev;
	int lock_fd, ret;

	if (parse(argc, argv, &args))
		return 1;
	if (device_find_alone(args.name, &dev, &lock_fd, &err))
		return report_fail(&err);
	ret = resize(&dev, &args, &err);
	device_put(&dev);
	if (lock_fd >= 0)
		close(lock_fd);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_resize_verb = {
	.name = "resize",
	.synopsis = "NAME [+]SIZE",
	.summary = "make a live device larger",
	.options =
		"The image, the block device and the mapping grow; a file system on it does not\n"
		"by itself (resize2fs, xfs_growfs). Needs Linux 6.16.\n",
	.example = "qedctl resize vm1 +10G",
	.run = run_resize,
};
