// SPDX-License-Identifier: GPL-2.0
/*
 * The command line of `qedctl create`, and the server's options derived from it. The
 * options are those of the table in device/.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/node.h"
#include "cmdline/report.h"
#include "cmdline/options.h"
#include "file/name.h"
#include "qedctl/create_options.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"

void create_options_print_help(FILE *to)
{
	device_options_print_help(to, DEVICE_QEDCTL);
	fprintf(to, "\nThe device's path is printed when it is ready for I/O. Sizes take K M G T "
		    "(base 1024), or KiB MiB GiB TiB.\n");
}

static int add_argument(struct create_options *opts, const char *text)
{
	char **more = reallocarray(opts->server, opts->server_count + 2, sizeof(*more));

	if (!more)
		return report_error("out of memory");
	opts->server = more;
	more[opts->server_count] = strdup(text);
	if (!more[opts->server_count])
		return report_error("out of memory");
	more[++opts->server_count] = NULL;
	return 0;
}

/*
 * Return @path as an absolute path (heap): its directory resolved, its last component
 * as it is, since backing file names are relative to the link, not to its destination.
 */
static char *absolute_path(const char *path)
{
	char *for_dir = strdup(path), *for_base = strdup(path);
	char dir[PATH_MAX], *result = NULL;

	if (for_dir && for_base && realpath(dirname(for_dir), dir) &&
	    asprintf(&result, "%s/%s", !strcmp(dir, "/") ? "" : dir, basename(for_base)) < 0)
		result = NULL;
	free(for_dir);
	free(for_base);
	return result;
}

/* Set the image to the place of @name, absolute but for names of protocols and options. */
static int set_image(struct create_options *opts, const char *name, struct error *err)
{
	char *place;
	int ret;

	if (blk_name_is_json(name)) {
		opts->image = strdup(name);
		return opts->image ? 0 : error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	ret = blk_name_place(name, NULL, &place, NULL, err);
	if (ret)
		return ret;
	opts->image = blk_name_is_url(place) ? strdup(place) : absolute_path(place);
	if (!opts->image)
		ret = error_set(err, -errno, "%s", strerror(errno));
	free(place);
	return ret;
}

/* Add --NAME=VALUE as one word, since a value may begin with a dash. */
static int add_option(struct create_options *opts, const struct device_option *option)
{
	const char *value = opts->device.given[option - device_option_table];
	struct error err = ERROR_INIT;
	char full[PATH_MAX], *text;
	int ret;

	/* A successor of the server may get the same options in another working directory. */
	if (option->type == DEVICE_DIRECTORY) {
		if (!realpath(value, full)) {
			error_set_errno(&err, -errno, "--%s: %s", option->name, value);
			return report_fail(&err);
		}
		value = full;
	}
	if (asprintf(&text, "--%s%s%s", option->name, option->value ? "=" : "", value) < 0)
		return report_error("out of memory");
	ret = add_argument(opts, text);
	free(text);
	return ret;
}

/* Add the given options that are for the server, except --detect-zeroes, which is decided later. */
static int add_options(struct create_options *opts)
{
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		if (opts->device.given[i] && (device_option_table[i].programs & DEVICE_QEDD) &&
		    i != DEVICE_OPTION_detect_zeroes && add_option(opts, &device_option_table[i]))
			return 1;
	return 0;
}

/* Choose the target. Without a mapping there is none, and the server detects zeroes. */
static int choose_target(struct create_options *opts)
{
	const struct device_options *device = &opts->device;

	opts->target = (struct target_choice){
		.target = device_option_text(device, DEVICE_OPTION_target),
		.detect_zeroes = device_option_text(device, DEVICE_OPTION_detect_zeroes),
		.known_zero = device->known_zero,
	};
	if (!device->no_dm)
		return add_argument(opts, "--no-partitions");
	if (device->partitions)
		return report_usage("--partitions: with --no-dm the kernel maps them by itself");
	if (opts->target.known_zero || target_is_qed(&opts->target))
		return report_usage("--no-dm: there is no target then");
	opts->target.target = TARGET_LINEAR;
	return 0;
}

int create_options_set_server_mode(struct create_options *opts)
{
	char text[32];

	if (!strcmp(target_server_mode(&opts->target), "off"))
		return 0;
	snprintf(text, sizeof(text), "--detect-zeroes=%s", opts->target.detect_zeroes);
	return add_argument(opts, text);
}

static int parse_operands(int argc, char **argv, struct create_options *opts)
{
	struct error err = ERROR_INIT;

	if (argc - optind < 2)
		return report_usage("NAME and IMAGE are needed");
	if (argc - optind > 2)
		return report_usage("unexpected argument '%s'", argv[optind + 2]);
	opts->name = argv[optind];
	if (device_check_name(opts->name, &err)) {
		error_prefix(&err, "%s", opts->name);
		return fail_usage(&err);
	}
	report_context("create %s", opts->name);
	if (!argv[optind + 1][0])
		return report_usage("an empty image name");
	if (set_image(opts, argv[optind + 1], &err)) {
		error_prefix(&err, "%s", argv[optind + 1]);
		return report_fail(&err);
	}
	return add_argument(opts, "--name") || add_argument(opts, opts->name) ||
	       add_argument(opts, "--image") || add_argument(opts, opts->image);
}

/* Set the option that getopt found. */
static int take_option(struct create_options *opts, size_t id)
{
	struct error err = ERROR_INIT;

	return device_option_set(&opts->device, &device_option_table[id], optarg, &err) ?
		       fail_usage(&err) :
		       0;
}

int create_options_parse(int argc, char **argv, struct create_options *opts)
{
	struct option long_options[DEVICE_NR_OPTIONS + 1];
	struct error err = ERROR_INIT;
	int opt;

	memset(opts, 0, sizeof(*opts));
	device_options_init(&opts->device);
	device_options_for_getopt(long_options, DEVICE_QEDCTL);
	while ((opt = verb_getopt(argc, argv, "", long_options)) != -1)
		if (opt == '?' || take_option(opts, opt - DEVICE_OPTION_GETOPT))
			return 1;
	if (parse_operands(argc, argv, opts))
		return 1;
	if (device_options_check(&opts->device, &err))
		return fail_usage(&err);
	return choose_target(opts) || add_options(opts);
}

void create_options_free(struct create_options *opts)
{
	size_t i;

	for (i = 0; i < opts->server_count; i++)
		free(opts->server[i]);
	free(opts->server);
	free(opts->image);
}
