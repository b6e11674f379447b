// SPDX-License-Identifier: GPL-2.0
/* qedctl partitions: map a device's partitions, follow a change of its table, or unmap them. */
#include <errno.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/part_maps.h"
#include "qedctl/qedctl.h"
#include "qedctl/signals.h"

struct partitions_args {
	bool remove, json;
};

static int update(const struct device *dev, bool *kept, struct error *err)
{
	int ret;

	if (!dev->status)
		return device_no_server(dev, err);
	/* Reading the table would wait. */
	if (dev->map.suspended)
		return error_set(err, -EBUSY, "it is suspended");
	ret = device_check_room(dev, err);
	return ret ? ret : part_maps_update(dev, kept, err);
}

static void print(const struct device *dev, bool json)
{
	json_t *array = part_maps_json(dev), *part;
	size_t i;

	if (json) {
		array = array ? array : json_array();
		json_print(array);
	}
	json_array_foreach(array, i, part)
		if (!json)
			print_line("%s", json_get_string(part, "device", ""));
	json_decref(array);
}

static int change(const char *name, const struct partitions_args *args)
{
	struct error err = ERROR_INIT;
	bool kept = false;
	struct device dev;
	int lock_fd, ret;

	if (device_find_alone(name, &dev, &lock_fd, &err))
		return report_fail(&err);
	signals_hold();
	if (!dev.map.exists)
		ret = error_set(&err, -ENOTSUP,
				"it has no mapping: the kernel has the partitions of its device");
	else if (args->remove)
		ret = part_maps_remove(&dev, 0, false, NULL, &err);
	else
		ret = update(&dev, &kept, &err);
	signals_release();
	if (!ret && !args->remove)
		print(&dev, args->json);
	device_put(&dev);
	if (lock_fd >= 0)
		close(lock_fd);
	if (ret)
		return report_fail(&err);
	return report_flush() || kept;
}

static const struct verb_option options[] = {
	OPT_SWITCH(0, "remove", struct partitions_args, remove),
	OPT_SWITCH(0, "json", struct partitions_args, json),
	OPT_END,
};

static int run_partitions(int argc, char **argv)
{
	struct partitions_args args = { 0 };

	if (verb_options_parse(argc, argv, options, &args, verb_getopt))
		return 1;
	if (optind == argc)
		return report_usage("NAME is needed");
	if (optind + 1 < argc)
		return report_usage("unexpected argument '%s'", argv[optind + 1]);
	if (args.remove && args.json)
		return report_usage("--remove and --json exclude each other");
	report_context("partitions %s", argv[optind]);
	if (refuse_bad_name(argv[optind]))
		return 1;
	return change(argv[optind], &args);
}

const struct verb ctl_partitions_verb = {
	.name = "partitions",
	.synopsis = "[--json|--remove] NAME",
	.summary = "map a device's partitions as NAMEp1, NAMEp2, ...",
	.options = "  --json    print one JSON array, not a path a line\n"
		   "  --remove  remove the mappings, all or none\n"
		   "\nThe partition table, a GPT or MBR, is read again each time: partitions are "
		   "added,\n"
		   "resized and removed; one in use is not removed, moved or cut.\n",
	.example = "qedctl partitions vm1",
	.run = run_partitions,
};
