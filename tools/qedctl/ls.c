// SPDX-License-Identifier: GPL-2.0
/* qedctl ls: list all devices, one per line. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/table.h"
#include "qedctl/device.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"
#include "qedctl/visible.h"
#include "util/units.h"

/* The image, and in brackets what has become of its file. */
static void add_image(struct table *table, const struct device *dev)
{
	const char *file = device_image_file(dev);

	if (file && strcmp(file, "present"))
		table_add(table, "%s (%s)", device_image(dev), file);
	else
		table_add(table, "%s", device_image(dev));
}

static void print_table(const struct device *devs, size_t count)
{
	static const char *const heads[] = { "NAME", "DEVICE", "SIZE", "IMAGE", "STATE" };
	struct table table = TABLE_INIT(ARRAY_SIZE(heads));
	char path[512], size[32];
	size_t i;

	if (!count)
		return;
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		table_add(&table, "%s", heads[i]);
	for (i = 0; i < count; i++) {
		table_add(&table, "%s", devs[i].name);
		table_add(&table, "%s", device_path(&devs[i], path, sizeof(path)));
		table_add(&table, "%s", format_size(size, sizeof(size), device_size(&devs[i])));
		add_image(&table, &devs[i]);
		table_add(&table, "%s", device_state(&devs[i]));
	}
	table_print(&table);
}

static void print_json(const struct device *devs, size_t count)
{
	json_t *array = json_array();
	char path[512];
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(array,
				      json_pack("{s:s,s:s,s:I,s:s,s:s?,s:s}", "name", devs[i].name,
						"device", device_path(&devs[i], path, sizeof(path)),
						"size", (json_int_t)device_size(&devs[i]), "image",
						device_image(&devs[i]), "image-file",
						device_image_file(&devs[i]), "state",
						device_state(&devs[i])));
	json_print(array);
	json_decref(array);
}

static int run_ls(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct device *devs;
	size_t count;
	bool json;

	if (parse_json_only(argc, argv, &json))
		return 1;
	if (geteuid() ? visible_list(&devs, &count, &err) : device_list(&devs, &count, &err))
		return report_fail(&err);
	if (json)
		print_json(devs, count);
	else
		print_table(devs, count);
	device_put_all(devs, count);
	return 0;
}

const struct verb ctl_ls_verb = {
	.name = "ls",
	.alias = "list",
	.synopsis = "[--json]",
	.summary = "list devices: name, device, size, image, state",
	.options = "  --json  one JSON array\n",
	.example = "qedctl ls --json",
	.run = run_ls,
};
