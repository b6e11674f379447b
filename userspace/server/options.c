// SPDX-License-Identifier: GPL-2.0
/* The command line of qedd: --NAME VALUE and --NAME=VALUE, by the table of device options. */
#include <errno.h>
#include <string.h>

#include "server/options.h"
#include "util/getopt.h"

/* Set an error line about @word, for @what of option_next(). */
static int set_option_error(int what, const char *word, struct error *err)
{
	if (what == OPTION_NEEDS_VALUE)
		return error_set(err, -EINVAL, "%s: needs a value", word);
	if (what == OPTION_TAKES_NO_VALUE)
		return error_set(err, -EINVAL, "%.*s: takes no value", (int)strcspn(word, "="),
				 word);
	if (strncmp(word, "--", 2))
		return error_set(err, -EINVAL, "%s: unexpected argument", word);
	return error_set(err, -EINVAL, "%s: unknown option", word);
}

/* A unit file that abbreviates an option would break when another one gets the same beginning. */
static bool is_abbreviated(const char *word, const struct device_option *option)
{
	return strcspn(word + 2, "=") != strlen(option->name);
}

static int parse_words(struct device_options *options, int argc, char **argv, struct error *err)
{
	struct option names[DEVICE_NR_OPTIONS + 1];

	device_options_for_getopt(names, DEVICE_QEDD);
	for (optind = 0;;) {
		const char *word = argv[optind ? optind : 1];
		int opt = option_next(argc, argv, "+", names);
		int id = opt - DEVICE_OPTION_GETOPT, ret;

		if (opt == -1)
			break;
		if (opt < 0 || is_abbreviated(word, &device_option_table[id]))
			return set_option_error(opt, word, err);
		ret = device_option_set(options, &device_option_table[id], optarg, err);
		if (ret < 0)
			return ret;
	}
	return optind < argc ? set_option_error(OPTION_UNKNOWN, argv[optind], err) : 0;
}

int options_parse(struct device_options *options, int argc, char **argv, struct error *err)
{
	int ret;

	device_options_init(options);
	ret = parse_words(options, argc, argv, err);
	if (ret < 0 || options->help || options->version)
		return ret;
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
	fprintf(to, "\nSizes take K, M, G, T (base 1024), or KiB, MiB, GiB, TiB.\n");
}
