// SPDX-License-Identifier: GPL-2.0
/* qedctl set: change options of a live device; the table of options says which can change. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "device/options.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"
#include "qedctl/reload.h"
#include "util/units.h"

struct set_args {
	const char *name;
	const char *values[DEVICE_NR_OPTIONS]; /* NULL: stays */
	struct device_options options; /* with these set */
};

/* Does the verb @by change the option? */
static bool is_changed(const struct device_option *option, const char *by)
{
	return (option->programs & DEVICE_QEDCTL) && option->changes &&
	       !strcmp(option->changes, by);
}

/* What `reload` changes, this verb does, too. */
static bool can_be_set(const struct device_option *option)
{
	return is_changed(option, "set") || is_changed(option, "reload");
}

/* Parse @word, OPTION=VALUE. */
static int parse_setting(const char *word, struct set_args *args)
{
	const char *value = strchr(word, '=');
	int len = (int)strcspn(word, "=");
	const struct device_option *option = device_option_find(word, len, DEVICE_QEDCTL);
	struct error err = ERROR_INIT;
	int status;

	if (!value)
		return report_usage("'%s' is not OPTION=VALUE", word);
	if (!option)
		return report_usage("no device has an option '%.*s'", len, word);
	if (!can_be_set(option) && option->changes)
		return report_usage("%s is changed by `qedctl %s`", option->name, option->changes);
	if (!can_be_set(option))
		return report_usage("%s cannot change: that needs a new device", option->name);
	if (!device_option_change(&args->options, option, value + 1, &err)) {
		args->values[option - device_option_table] = value + 1;
		return 0;
	}
	/* The line begins with "--OPTION". */
	status = report_usage("%s", error_text(&err) + strlen("--"));
	error_free(&err);
	return status;
}

static int parse(int argc, char **argv, struct set_args *args)
{
	int status = 0;

	memset(args, 0, sizeof(*args));
	device_options_init(&args->options);
	if (verb_options_parse(argc, argv, NULL, args, verb_getopt))
		return 1;
	if (argc - optind < 2)
		return report_usage("NAME and OPTION=VALUE are needed");
	args->name = argv[optind];
	report_context("set %s", args->name);
	if (refuse_bad_name(args->name))
		return 1;
	for (int i = optind + 1; i < argc && !status; i++)
		status = parse_setting(argv[i], args);
	return status;
}

/* Have the server change what it can change alone. */
static int set_in_server(const struct device *dev, const struct set_args *args, struct error *err)
{
	json_t *arguments = json_object();

	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		if (args->values[i] && is_changed(&device_option_table[i], "set"))
			json_object_set_new(arguments, device_option_table[i].name,
					    json_string(args->values[i]));
	if (json_object_size(arguments))
		return device_ask(dev->name, "set", arguments, NULL, err);
	json_decref(arguments);
	return 0;
}

/* Change what the target of the mapping does, and without a mapping the server alone. */
static int set_in_target(const struct device *dev, const struct set_args *args, struct error *err)
{
	const char *known_zero = args->values[DEVICE_OPTION_known_zero];
	const struct reload_wish wish = {
		.target = args->values[DEVICE_OPTION_target],
		.detect_zeroes = args->values[DEVICE_OPTION_detect_zeroes],
		.known_zero = known_zero && args->options.known_zero,
		.no_known_zero = known_zero && !args->options.known_zero,
	};

	if (!wish.target && !wish.detect_zeroes && !known_zero)
		return 0;
	if (dev->map.exists || wish.target || known_zero)
		return reload_device(dev, &wish, err);
	return device_ask(dev->name, "detect-zeroes",
			  json_pack("{s:s}", "mode", wish.detect_zeroes), NULL, err);
}

static int set(const struct device *dev, const struct set_args *args, struct error *err)
{
	int ret = dev->status ? set_in_server(dev, args, err) : device_no_server(dev, err);

	return ret ? ret : set_in_target(dev, args, err);
}

static int run_set(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct set_args args;
	struct device dev;
	int lock_fd, ret;

	if (parse(argc, argv, &args))
		return 1;
	if (device_find_alone(args.name, &dev, &lock_fd, &err))
		return report_fail(&err);
	ret = set(&dev, &args, &err);
	device_put(&dev);
	if (lock_fd >= 0)
		close(lock_fd);
	return ret ? report_fail(&err) : 0;
}

static void print_options(FILE *to)
{
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++) {
		const struct device_option *option = &device_option_table[i];

		if (can_be_set(option))
			fprintf(to, "  %s=%s\n", option->name,
				option->value ? option->value : "on|off");
	}
	fprintf(to, "\n`qedctl create --help` tells what they are.\n");
}

const struct verb ctl_set_verb = {
	.name = "set",
	.synopsis = "NAME OPTION=VALUE...",
	.summary = "change options of a live device",
	.print_options = print_options,
	.example = "qedctl set vm1 on-full=wait=300",
	.run = run_set,
};
