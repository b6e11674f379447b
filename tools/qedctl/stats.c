// SPDX-License-Identifier: GPL-2.0
/* qedctl stats: print a device's counters, as text, JSON or for Prometheus. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "block/stats.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/table.h"
#include "qedctl/device.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"

/* Return the description of counter @name; a newer server may have unknown ones. */
static const char *describe(const char *name)
{
	int i;

	if (!strcmp(name, "in-flight"))
		return "requests in flight";
	for (i = 0; i < BLK_STAT_COUNT; i++)
		if (!strcmp(blk_stat_name(i), name))
			return blk_stat_text(i);
	for (i = 0; i < BLK_GAUGE_COUNT; i++)
		if (!strcmp(blk_gauge_name(i), name))
			return blk_gauge_text(i);
	return "";
}

/* Is it a gauge? All others are counters. */
static bool is_gauge(const char *name)
{
	int i;

	for (i = 0; i < BLK_GAUGE_COUNT; i++)
		if (!strcmp(blk_gauge_name(i), name))
			return true;
	return !strcmp(name, "in-flight");
}

/* Add a row for each counter, behind @device if that is not NULL. */
static void add_rows(struct table *table, const char *device, json_t *stats)
{
	const char *name;
	json_t *value;

	json_object_foreach(stats, name, value) {
		if (!json_is_integer(value))
			continue;
		if (device)
			table_add(table, "%s", device);
		table_add(table, "%s", name);
		table_add(table, "%lld", (long long)json_integer_value(value));
		table_add(table, "%s", describe(name));
	}
}

static void print_tables(json_t *all, bool with_names)
{
	struct table table = TABLE_INIT(with_names ? 4 : 3);
	const char *device;
	json_t *stats;

	json_object_foreach(all, device, stats)
		add_rows(&table, with_names ? device : NULL, stats);
	table_print(&table);
}

/* Print one metric of all devices, whose values must stand together. */
static void print_metric(json_t *all, const char *name)
{
	const char *suffix = is_gauge(name) ? "" : "_total", *device;
	char metric[128];
	json_t *stats;
	size_t i;

	snprintf(metric, sizeof(metric), "qedblk_%s%s", name, suffix);
	for (i = 0; metric[i]; i++)
		if (metric[i] == '-')
			metric[i] = '_';
	printf("# HELP %s %s\n", metric, describe(name));
	printf("# TYPE %s %s\n", metric, suffix[0] ? "counter" : "gauge");
	json_object_foreach(all, device, stats) {
		json_t *value = json_object_get(stats, name);

		if (json_is_integer(value))
			printf("%s{name=\"%s\"} %lld\n", metric, device,
			       (long long)json_integer_value(value));
	}
}

/* Print in the text format of Prometheus. Servers of several versions have other counters. */
static void print_prometheus(json_t *all)
{
	json_t *printed = json_object(), *stats, *value;
	const char *device, *name;

	json_object_foreach(all, device, stats)
		json_object_foreach(stats, name, value) {
			if (!json_is_integer(value) || json_object_get(printed, name))
				continue;
			json_object_set_new(printed, name, json_true());
			print_metric(all, name);
		}
	json_decref(printed);
}

static const struct verb_option options[] = {
	OPT_SWITCH(0, "json", struct one_device_args, json),
	OPT_SWITCH(0, "prometheus", struct one_device_args, prometheus),
	OPT_SWITCH(0, "all", struct one_device_args, all),
	OPT_END,
};

/* Fill @all with the counters of each device that has a server, by name. */
static int ask_all(json_t *all, struct error *err)
{
	struct device *devs;
	size_t count, i;
	int ret = device_list(&devs, &count, err);

	if (ret)
		return ret;
	for (i = 0; i < count && !ret; i++) {
		json_t *stats = NULL;

		if (!devs[i].status)
			continue;
		ret = device_ask(devs[i].name, "stats", NULL, &stats, err);
		if (!ret)
			json_object_set(all, devs[i].name, stats);
		/* -ENODEV, -ENOTCONN: it has gone since. */
		else if (ret != -ENODEV && ret != -ENOTCONN && ret != -ENOMEM)
			report_warning("%s: %s", devs[i].name, error_text(err));
		if (ret && ret != -ENOMEM) {
			error_free(err);
			ret = 0;
		}
		json_decref(stats);
	}
	device_put_all(devs, count);
	return ret;
}

static int ask_one(const char *name, json_t *all, struct error *err)
{
	json_t *stats = NULL;
	int ret = device_ask(name, "stats", NULL, &stats, err);

	if (!ret)
		json_object_set(all, name, stats);
	json_decref(stats);
	return ret;
}

static int run_stats(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct one_device_args args;
	json_t *all;
	int ret;

	if (parse_one_device(argc, argv, options, &args))
		return 1;
	all = json_object();
	ret = args.all ? ask_all(all, &err) : ask_one(args.name, all, &err);
	if (!ret && args.json)
		json_print(args.all ? all : json_object_get(all, args.name));
	else if (!ret && args.prometheus)
		print_prometheus(all);
	else if (!ret)
		print_tables(all, args.all);
	json_decref(all);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_stats_verb = {
	.name = "stats",
	.synopsis = "[--json|--prometheus] NAME|--all",
	.summary = "counters of a device",
	.options = "  --json        one JSON object\n"
		   "  --prometheus  text for a metrics collector\n"
		   "  --all         of every device, by name\n",
	.example = "qedctl stats --prometheus --all",
	.run = run_stats,
};
