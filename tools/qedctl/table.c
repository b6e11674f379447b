// SPDX-License-Identifier: GPL-2.0
/* qedctl table: print the mapping's table, in the form of `dmsetup table`. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "qedctl/device.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"

static void print_json(const char *name, const struct mapping_line *lines, size_t count)
{
	json_t *targets = json_array();
	json_t *object;
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(
			targets, json_pack("{s:I,s:I,s:s,s:s}", "start", (json_int_t)lines[i].start,
					   "length", (json_int_t)lines[i].length, "target",
					   lines[i].target, "params", lines[i].params));
	object = json_pack("{s:s,s:o}", "name", name, "targets", targets);
	json_print(object);
	json_decref(object);
}

static int run_table(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct one_device_args args;
	struct mapping_line *lines;
	struct device dev;
	size_t count, i;
	int ret;

	if (parse_one_device(argc, argv, ctl_json_option, &args))
		return 1;
	ret = device_find(args.name, &dev, &err);
	if (!ret) {
		if (!dev.map.exists)
			ret = error_set(&err, -ENOTSUP, "it has no device mapping");
		device_put(&dev);
	}
	if (!ret)
		ret = mapping_lines(args.name, &lines, &count, &err);
	if (ret)
		return report_fail(&err);
	if (args.json)
		print_json(args.name, lines, count);
	for (i = 0; !args.json && i < count; i++)
		printf("%" PRIu64 " %" PRIu64 " %s %s\n", lines[i].start, lines[i].length,
		       lines[i].target, lines[i].params);
	mapping_free_lines(lines, count);
	return 0;
}

const struct verb ctl_table_verb = {
	.name = "table",
	.synopsis = "[--json] NAME",
	.summary = "the device-mapper table of a device",
	.options = VERB_JSON_HELP,
	.example = "qedctl table vm1",
	.run = run_table,
};
