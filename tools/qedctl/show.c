// SPDX-License-Identifier: GPL-2.0
/* A server's status, joined with the kernel's state of the mapping. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/table.h"
#include "qedctl/device.h"
#include "qedctl/part_maps.h"
#include "qedctl/qed_target.h"
#include "qedctl/show.h"
#include "qedctl/visible.h"
#include "util/units.h"

/* Is the member a number of bytes, to be printed with a unit? */
static bool is_bytes(const char *key)
{
	static const char *const keys[] = { "size", "cluster-size", "virtual-size", "actual-size",
					    "table-size-bytes" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

static void add_lines(struct table *table, const char *prefix, const char *key, json_t *value);

static void add_members(struct table *table, const char *prefix, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		add_lines(table, prefix, key, value);
}

/* Print an array of plain values on one line, an array of objects with a line per member. */
static void add_array(struct table *table, const char *name, json_t *array)
{
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value) {
		char item[288];

		if (json_is_string(value)) {
			table_add(table, "%s", i ? "" : name);
			table_add(table, "%s", json_string_value(value));
		} else {
			snprintf(item, sizeof(item), "%s[%zu]", name, i);
			add_lines(table, "", item, value);
		}
	}
	if (!json_array_size(array)) {
		table_add(table, "%s", name);
		table_add(table, "none");
	}
}

/* Add one member as "name: value" in two cells; an object becomes "name.member" lines. */
static void add_lines(struct table *table, const char *prefix, const char *key, json_t *value)
{
	char name[256], size[32];

	snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", key);
	if (json_is_object(value)) {
		add_members(table, name, value);
		return;
	}
	if (json_is_array(value)) {
		add_array(table, name, value);
		return;
	}
	table_add(table, "%s", name);
	if (json_is_string(value))
		table_add(table, "%s", json_string_value(value));
	else if (json_is_boolean(value))
		table_add(table, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_real(value))
		table_add(table, "%.1f", json_real_value(value));
	else if (!json_is_integer(value))
		table_add(table, "-");
	else if (is_bytes(key))
		table_add(table, "%s (%lld bytes)",
			  format_size(size, sizeof(size), json_integer_value(value)),
			  (long long)json_integer_value(value));
	else
		table_add(table, "%lld", (long long)json_integer_value(value));
}

/* Add the component that detects zeroes in guest writes, and the target's status. */
static void add_target(const struct device *dev, json_t *account)
{
	struct target_choice target;
	json_t *status;

	target_of_device(dev, &target);
	json_object_set_new(account, "detect-zeroes", json_string(target.detect_zeroes));
	json_object_set_new(account, "detect-zeroes-by",
			    !strcmp(target.detect_zeroes, "off") ?
				    json_null() :
				    json_string(target_is_qed(&target) ? "target" : "server"));
	status = target_status_json(dev);
	if (status)
		json_object_set_new(account, "target", status);
}

static const char *ublk_path_of(const struct device *dev, char buf[512])
{
	if (!dev->live.has_device)
		return "-";
	snprintf(buf, 512, "/dev/ublkb%u", dev->live.dev_id);
	return buf;
}

static void add_partitions(const struct device *dev, json_t *account)
{
	json_t *partitions = part_maps_json(dev);

	if (partitions)
		json_object_set_new(account, "partitions", partitions);
}

/* The server reports the ublk device; replace it by the device that the user knows. */
static json_t *join(const struct device *dev, json_t *account)
{
	char path[512];

	json_object_set_new(
		account, "ublk-device",
		json_string(json_get_string(account, "device", ublk_path_of(dev, path))));
	json_object_set_new(account, "name", json_string(dev->name));
	json_object_set_new(account, "device", json_string(device_path(dev, path, sizeof(path))));
	json_object_set_new(account, "state", json_string(device_state(dev)));
	json_object_set_new(account, "mapping", device_mapping_json(dev));
	add_partitions(dev, account);
	if (dev->status)
		add_target(dev, account);
	return account;
}

/* Return the status of a device whose server does not run. */
static json_t *account_of_dead(const struct device *dev)
{
	json_t *account = json_pack("{s:s,s:s,s:I}", "name", dev->name, "image", device_image(dev),
				    "size", (json_int_t)device_size(dev));
	struct error why = ERROR_INIT;

	if (dev->live.pid) {
		device_unreachable(dev, -ENOTCONN, &why);
		json_object_set_new(account, "pid", json_integer(dev->live.pid));
		json_object_set_new(account, "warnings", json_pack("[s]", error_text(&why)));
		error_free(&why);
	}
	return account;
}

static void print_account(const json_t *account, bool json)
{
	struct table table = TABLE_INIT(2);

	if (json) {
		json_print(account);
		return;
	}
	add_members(&table, "", (json_t *)account);
	table_print(&table);
}

/* Print what a user other than root may see. */
static int show_visible(const struct device *dev, bool json)
{
	const struct mapping *map = &dev->map;
	char path[512], lower[64] = "/dev/", *name = lower + strlen(lower);
	json_t *account;

	if (!visible_lower(dev, name, sizeof(lower) - strlen(lower)))
		snprintf(lower, sizeof(lower), "-");
	account = json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", dev->name, "state", device_state(dev),
			    "image", device_image(dev), "device",
			    device_path(dev, path, sizeof(path)), "ublk-device", lower);
	if (map->exists)
		json_object_update_new(account,
				       json_pack("{s:I,s:{s:s+,s:b,s:b}}", "size",
						 (json_int_t)map->size, "mapping", "uuid",
						 DM_UUID_OF_OURS, dev->server, "suspended",
						 map->suspended, "read-only", map->read_only));
	add_partitions(dev, account);
	json_object_set_new(account, "note", json_string("the rest is shown to root"));
	print_account(account, json);
	json_decref(account);
	return 0;
}

static int show_one_visible(const struct one_device_args *args)
{
	struct error err = ERROR_INIT;
	struct device *devs;
	size_t count, i = 0;
	int status;

	if (visible_list(&devs, &count, &err))
		return report_fail(&err);
	while (i < count && strcmp(devs[i].name, args->name))
		i++;
	if (i == count)
		error_set(&err, -ENODEV, "no such device");
	status = i == count ? report_fail(&err) : show_visible(&devs[i], args->json);
	device_put_all(devs, count);
	return status;
}

int show_account(const struct one_device_args *args, const char *command)
{
	struct error err = ERROR_INIT;
	json_t *account = NULL;
	struct device dev;
	int ret = 0;

	if (geteuid() && !strcmp(command, "status"))
		return show_one_visible(args);
	if (device_find(args->name, &dev, &err))
		return report_fail(&err);
	if (!dev.status)
		account = account_of_dead(&dev);
	else if (!strcmp(command, "status"))
		account = json_incref(dev.status);
	else
		ret = device_ask(args->name, command, NULL, &account, &err);
	if (!ret && !json_is_object(account))
		ret = error_set(&err, -EPROTO, "the server's answer makes no sense");
	if (!ret)
		print_account(join(&dev, account), args->json);
	json_decref(account);
	device_put(&dev);
	return ret ? report_fail(&err) : 0;
}
