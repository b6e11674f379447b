// SPDX-License-Identifier: GPL-2.0
/* The command line of qedd: --NAME VALUE and --NAME=VALUE, by the table of device options. */
#include <errno.h>
#include <string.h>

#include "server/options.h"

static int parse_one(struct device_options *options, char **argv, int *index, struct error *err)
{
	const char *arg = argv[*index], *value;
	const struct device_option *option;
	size_t len;

	if (strncmp(arg, "--", 2))
		return error_set(err, -EINVAL, "%s: unexpected argument", arg);
	len = strcspn(arg + 2, "=");
	value = arg[2 + len] ? arg + 2 + len + 1 : NULL;
	option = device_option_find(arg + 2, len, DEVICE_QEDD);
	if (!option)
		return error_set(err, -EINVAL, "%s: unknown option", arg);
	if (!option->value && value)
		return error_set(err, -EINVAL, "--%s: takes no value", option->name);
	if (option->value && !value) {
		value = argv[++*index];
		if (!value)
			return error_set(err, -EINVAL, "--%s: needs a value", option->name);
	}
	return device_option_set(options, option, value, err);
}

int options_parse(struct device_options *options, int argc, char **argv, struct error *err)
{
	device_options_init(options);
	for (int i = 1; i < argc; i++) {
		int ret = parse_one(options, argv, &i, err);

		if (ret < 0)
			return ret;
	}
	if (options->help || options->version)
		return 0;
	if (!options->name)
		return error_set(err, -EINVAL, "--name is needed");
	if (!options->image)
		return error_set(err, -EINVAL, "--image is needed");
	return device_options_check(options, err);
}

void options_print_help(FILE *to)
{
	fprintf(to, "Usage: qedd --name NAME --image FILE [OPTIONS]\n"
		    "Serve a disk image as a block device.\n\n");
	device_options_print_help(to, DEVICE_QEDD);
	fprintf(to, "\nSizes take K, M, G, T (base 1024).\n");
}
