// SPDX-License-Identifier: GPL-2.0
/* qedctl stats: print a device's counters, as text, JSON or for Prometheus. */
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

static void print_table(json_t *stats)
{
	struct table table = TABLE_INIT(3);
	const char *name;
	json_t *value;

	json_object_foreach(stats, name, value) {
		if (!json_is_integer(value))
			continue;
		table_add(&table, "%s", name);
		table_add(&table, "%lld", (long long)json_integer_value(value));
		table_add(&table, "%s", describe(name));
	}
	table_print(&table);
}

/* Print in the text format of Prometheus. */
static void print_prometheus(const char *device, json_t *stats)
{
	const char *name, *suffix;
	char metric[128];
	json_t *value;
	size_t i;

	json_object_foreach(stats, name, value) {
		if (!json_is_integer(value))
			continue;
		suffix = is_gauge(name) ? "" : "_total";
		snprintf(metric, sizeof(metric), "qedblk_%s%s", name, suffix);
		for (i = 0; metric[i]; i++)
			if (metric[i] == '-')
				metric[i] = '_';
		printf("# HELP %s %s\n", metric, describe(name));
		printf("# TYPE %s %s\n", metric, suffix[0] ? "counter" : "gauge");
		printf("%s{name=\"%s\"} %lld\n", metric, device,
		       (long long)json_integer_value(value));
	}
}

static const struct verb_option options[] = {
	OPT_SWITCH(0, "json", struct one_device_args, json),
	OPT_SWITCH(0, "prometheus", struct one_device_args, prometheus),
	OPT_END,
};

static int run_stats(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct one_device_args args;
	json_t *stats;

	if (parse_one_device(argc, argv, options, &args))
		return 1;
	if (device_ask(args.name, "stats", NULL, &stats, &err))
		return report_fail(&err);
	if (args.json)
		json_print(stats);
	else if (args.prometheus)
		print_prometheus(args.name, stats);
	else
		print_table(stats);
	json_decref(stats);
	return 0;
}

const struct verb ctl_stats_verb = {
	.name = "stats",
	.synopsis = "[--json|--prometheus] NAME",
	.summary = "counters of a device",
	.options = "  --json        one JSON object\n"
		   "  --prometheus  text for a metrics collector\n",
	.example = "qedctl stats --prometheus vm1",
	.run = run_stats,
};
