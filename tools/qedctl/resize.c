// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl resize: give a live device another size: a larger image and ublk device, by the server,
 * and then a larger mapping; or, while the device is not in use, a smaller mapping and then the
 * rest. The same command can be given again after it was interrupted anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/json.h"
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
	bool shrink;
};

static const struct verb_option options[] = {
	OPT_SWITCH(0, "shrink", struct resize_args, shrink),
	OPT_END,
};

static int parse(int argc, char **argv, struct resize_args *args)
{
	const char *text;

	memset(args, 0, sizeof(*args));
	if (verb_options_parse(argc, argv, options, args, verb_getopt))
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

/* A new size of a device, and how it comes about. */
struct change {
	uint64_t size; /* bytes */
	bool shrinks; /* the mapping, the device or the image becomes smaller */
};

/* The image may be larger than the mapping, after an interruption. */
static int new_size(const struct resize_args *args, const struct device *dev, struct change *change,
		    struct error *err)
{
	uint64_t now = device_size(dev);
	uint64_t largest = max_u64(now, json_get_int(dev->status, "size", 0));

	change->size = args->size;
	if (args->relative && args->size > INT64_MAX - SECTOR_SIZE - now)
		return error_set(err, -EFBIG, "it would be larger than any file");
	if (args->relative)
		change->size += now;
	change->shrinks = change->size < largest;
	if (change->shrinks && !args->shrink)
		return error_set(err, -ENOTSUP,
				 "it has %" PRIu64 " bytes, and becomes smaller only with --shrink",
				 largest);
	return 0;
}

/* Load the same table with another size. */
static int load_mapping(const struct device *dev, uint64_t size, struct error *err)
{
	struct target_choice target;
	char params[128];
	const struct mapping_table table = { .size = size,
					     .target = dev->map.target,
					     .params = params,
					     .read_only = dev->map.read_only };

	target_of_device(dev, &target);
	target_params(&target, dev->map.lower, params, sizeof(params));
	return mapping_reload(dev->name, &table, err);
}

static bool has_mapping(const struct device *dev)
{
	return dev->map.exists && dev->map.lower;
}

/* Ask the server for the change, or, with @check, whether it would refuse. */
static int ask_server(const struct device *dev, const struct change *change, bool check,
		      struct error *err)
{
	return device_ask(dev->name, "resize",
			  json_pack("{s:I,s:b,s:b}", "size", (json_int_t)change->size, "shrink",
				    change->shrinks, "check", check),
			  NULL, err);
}

/* Open the mapping, which no other program has open and none can claim meanwhile. */
static int open_alone(const struct device *dev, int *fd, struct error *err)
{
	struct mapping now;
	char path[512];
	int ret;

	device_path(dev, path, sizeof(path));
	*fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (*fd < 0 && errno == EBUSY)
		return -EBUSY;
	if (*fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	ret = mapping_lookup(dev->name, &now, err);
	if (!ret && now.open_count > 1)
		ret = -EBUSY;
	if (ret)
		close(*fd);
	return ret;
}

/* The same; udev's programs open a device for a moment, and are no users. */
static int claim_mapping(const struct device *dev, int *fd, struct error *err)
{
	const struct timespec pause = { 0, 200 * 1000 * 1000 };
	int tries = mapping_udev_runs() ? 5 : 1;
	int ret;

	while ((ret = open_alone(dev, fd, err)) == -EBUSY && --tries)
		nanosleep(&pause, NULL);
	return ret == -EBUSY ? device_in_use(dev, err) : ret;
}

/* The mapping first: at any moment no part of the device is larger than what is below it. */
static int shrink_mapped(const struct device *dev, const struct change *change, struct error *err)
{
	int fd, ret = claim_mapping(dev, &fd, err);

	if (ret)
		return ret;
	if (dev->map.size != change->size)
		ret = load_mapping(dev, change->size, err);
	if (!ret) {
		ret = ask_server(dev, change, false, err);
		if (ret && dev->map.size > change->size)
			(void)load_mapping(dev, dev->map.size, NULL);
	}
	close(fd);
	return ret;
}

static int shrink(const struct device *dev, const struct change *change, struct error *err)
{
	int ret;

	if (dev->map.exists && !dev->map.lower)
		return error_set(err, -ENOTSUP, "its mapping has a table of another program");
	ret = ask_server(dev, change, true, err);
	if (ret)
		return ret;
	return has_mapping(dev) ? shrink_mapped(dev, change, err) :
				  ask_server(dev, change, false, err);
}

static int grow(const struct device *dev, const struct change *change, struct error *err)
{
	int ret = ask_server(dev, change, false, err);

	if (!ret && has_mapping(dev) && dev->map.size != change->size)
		ret = load_mapping(dev, change->size, err);
	return ret;
}

static int resize(const struct device *dev, const struct resize_args *args, struct error *err)
{
	struct change change = { 0 };
	int ret = check(dev, err);

	if (!ret)
		ret = new_size(args, dev, &change, err);
	if (ret)
		return ret;
	/* A signal midway would leave the mapping smaller than its device. */
	signals_hold();
	ret = change.shrinks ? shrink(dev, &change, err) : grow(dev, &change, err);
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
	.synopsis = "[--shrink] NAME [+]SIZE",
	.summary = "give a live device another size",
	.options =
		"  --shrink  let it become smaller, while it is not in use: what lies behind its\n"
		"            new end is lost\n"
		"\nThe image, the block device and the mapping change; a file system on it does\n"
		"not by itself (resize2fs, xfs_growfs). Needs Linux 6.16.\n",
	.example = "qedctl resize vm1 +10G",
	.run = run_resize,
};
