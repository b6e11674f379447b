// SPDX-License-Identifier: GPL-2.0
/* Command lines common to several verbs. */
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"

static const struct {
	char letter;
	const char *name;
} known_option[] = {
	{ 'j', "json" }, { 'p', "prometheus" }, { 'f', "noflush" }, { 'l', "nolockfs" }
};

#define KNOWN_OPTIONS (sizeof(known_option) / sizeof(known_option[0]))

/* Parse the options whose letters are in @allowed. */
static int parse_options(int argc, char **argv, const char *allowed, struct one_device_args *args)
{
	struct option long_options[KNOWN_OPTIONS + 1] = { 0 };
	size_t i, used = 0;
	int opt;

	memset(args, 0, sizeof(*args));
	for (i = 0; i < KNOWN_OPTIONS; i++)
		if (strchr(allowed, known_option[i].letter))
			long_options[used++] = (struct option){ known_option[i].name, no_argument,
								NULL, known_option[i].letter };
	while ((opt = verb_getopt(argc, argv, "", long_options)) != -1) {
		if (opt == '?')
			return 1;
		args->json |= opt == 'j';
		args->prometheus |= opt == 'p';
		args->no_flush |= opt == 'f';
		args->no_lockfs |= opt == 'l';
	}
	if (args->json && args->prometheus)
		return report_error("--json and --prometheus exclude each other");
	return 0;
}

int parse_one_device(int argc, char **argv, const char *allowed, struct one_device_args *args)
{
	struct error err = ERROR_INIT;

	if (parse_options(argc, argv, allowed, args))
		return 1;
	if (optind == argc)
		return report_error("NAME is needed");
	if (optind + 1 < argc)
		return report_error("unexpected argument '%s'", argv[optind + 1]);
	args->name = argv[optind];
	report_context("%s %s", argv[0], args->name);
	if (device_check_name(args->name, &err))
		return report_fail(&err);
	return 0;
}

int parse_json_only(int argc, char **argv, bool *json)
{
	struct one_device_args args;

	if (parse_options(argc, argv, "j", &args))
		return 1;
	if (optind < argc)
		return report_error("unexpected argument '%s'", argv[optind]);
	*json = args.json;
	return 0;
}
