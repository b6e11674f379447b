// SPDX-License-Identifier: GPL-2.0
/* qedctl ls: list all devices, one per line. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/table.h"
#include "qedctl/device.h"
#include "qedctl/part_maps.h"
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

/* A line for each of the device's partitions, which begins with blanks. */
static void add_partitions(struct table *table, const struct device *dev)
{
	json_t *array = part_maps_json(dev), *part;
	char size[32];
	size_t i;

	json_array_foreach(array, i, part) {
		const char *label = json_get_string(part, "label", "");

		table_add(table, "  %s", json_get_string(part, "name", "-"));
		table_add(table, "%s", json_get_string(part, "device", "-"));
		table_add(table, "%s",
			  format_size(size, sizeof(size), json_get_int(part, "size", 0)));
		table_add(table, "%s%s%s%s", json_get_string(part, "type-name", "-"),
			  label[0] ? " (" : "", label, label[0] ? ")" : "");
		table_add(table, "partition");
	}
	json_decref(array);
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
		add_partitions(&table, &devs[i]);
	}
	table_print(&table);
}

static void print_json(const struct device *devs, size_t count)
{
	json_t *array = json_array(), *entry, *partitions;
	char path[512];
	size_t i;

	for (i = 0; i < count; i++) {
		entry = json_pack("{s:s,s:s,s:I,s:s,s:s?,s:s}", "name", devs[i].name, "device",
				  device_path(&devs[i], path, sizeof(path)), "size",
				  (json_int_t)device_size(&devs[i]), "image",
				  device_image(&devs[i]), "image-file", device_image_file(&devs[i]),
				  "state", device_state(&devs[i]));
		partitions = part_maps_json(&devs[i]);
		if (partitions)
			json_object_set_new(entry, "partitions", partitions);
		json_array_append_new(array, entry);
	}
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
	.summary = "list devices, and their mapped partitions: name, device, size, image, state",
	.options = "  --json  one JSON array\n",
	.example = "qedctl ls --json",
	.run = run_ls,
};
