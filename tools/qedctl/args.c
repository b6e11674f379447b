// SPDX-License-Identifier: GPL-2.0
/* Command lines common to several verbs. */
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"

const struct verb_option ctl_json_option[] = {
	OPT_SWITCH(0, "json", struct one_device_args, json),
	OPT_END,
};

int fail_usage(struct error *err)
{
	report_usage("%s", error_text(err));
	error_free(err);
	return 1;
}

int refuse_bad_name(const char *name)
{
	struct error err = ERROR_INIT;

	return device_check_name(name, &err) ? fail_usage(&err) : 0;
}

static bool has_all(const struct verb_option *options)
{
	for (; options && options->name; options++)
		if (!strcmp(options->name, "all"))
			return true;
	return false;
}

int parse_one_device(int argc, char **argv, const struct verb_option *options,
		     struct one_device_args *args)
{
	memset(args, 0, sizeof(*args));
	if (verb_options_parse(argc, argv, options, args, verb_getopt))
		return 1;
	if (args->json && args->prometheus)
		return report_usage("--json and --prometheus exclude each other");
	if (args->all && optind < argc)
		return report_usage("--all takes no NAME");
	if (args->all)
		return 0;
	if (optind == argc)
		return report_usage(has_all(options) ? "NAME or --all is needed" :
						       "NAME is needed");
	if (optind + 1 < argc)
		return report_usage("unexpected argument '%s'", argv[optind + 1]);
	args->name = argv[optind];
	report_context("%s %s", argv[0], args->name);
	return refuse_bad_name(args->name);
}

int parse_json_only(int argc, char **argv, bool *json)
{
	struct one_device_args args = { 0 };

	if (verb_options_parse(argc, argv, ctl_json_option, &args, verb_getopt))
		return 1;
	if (optind < argc)
		return report_usage("unexpected argument '%s'", argv[optind]);
	*json = args.json;
	return 0;
}
