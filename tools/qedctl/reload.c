// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl reload: replace the table of a live device, to change its target or its zero
 * detection.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/zero_run.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/qed_target.h"
#include "qedctl/qedctl.h"
#include "qedctl/reload.h"
#include "qedctl/signals.h"

static int tell_server(const char *name, const char *mode, struct error *err)
{
	return device_ask(name, "detect-zeroes", json_pack("{s:s}", "mode", mode), NULL, err);
}

/*
 * Change the server first: for a moment both detect zeroes, or neither does, and
 * either is correct. If loading the table fails, restore the server's mode.
 */
static int reload(const struct device *dev, const struct target_choice *old,
		  const struct target_choice *new, struct error *err)
{
	char params[128];
	const struct mapping_table table = { .size = dev->map.size,
					     .target = new->target,
					     .params = params,
					     .read_only = dev->map.read_only };
	int ret;

	target_params(new, dev->map.lower, params, sizeof(params));
	ret = tell_server(dev->name, target_server_mode(new), err);
	if (ret)
		return ret;
	ret = mapping_reload(dev->name, &table, err);
	if (ret)
		tell_server(dev->name, target_server_mode(old), NULL);
	return ret;
}

static int check(const struct device *dev, struct error *err)
{
	if (!dev->map.exists || !dev->map.lower)
		return error_set(err, -ENOTSUP, "it has no device mapping");
	if (!dev->status)
		/* Without a server the reload would wait for its I/O forever. */
		return error_set(err, -ENOTCONN, "its server does not run any more");
	if (dev->map.suspended)
		return error_set(err, -EBUSY, "it is suspended");
	return device_check_room(dev, err);
}

int reload_device(const struct device *dev, const struct reload_wish *wish, struct error *err)
{
	struct target_choice old, new;
	int ret = check(dev, err);

	if (ret)
		return ret;
	target_of_device(dev, &old);
	new = old;
	if (wish->target)
		new.target = wish->target;
	if (wish->detect_zeroes)
		new.detect_zeroes = wish->detect_zeroes;
	/* known-zero, which linear does not have, is dropped with the target, unless requested. */
	new.known_zero = wish->known_zero || (old.known_zero && !wish->no_known_zero &&
					      strcmp(new.target, TARGET_LINEAR));
	ret = target_choose(&new, err);
	if (ret)
		return ret;
	signals_hold();
	ret = reload(dev, &old, &new, err);
	signals_release();
	return ret;
}

struct reload_args {
	const char *name;
	struct reload_wish wish;
};

static const struct verb_option options[] = {
	OPT_TEXT(0, "target", struct reload_args, wish.target),
	OPT_TEXT(0, "detect-zeroes", struct reload_args, wish.detect_zeroes),
	OPT_SWITCH(0, "known-zero", struct reload_args, wish.known_zero),
	OPT_SWITCH(0, "no-known-zero", struct reload_args, wish.no_known_zero),
	OPT_END,
};

static int parse(int argc, char **argv, struct reload_args *args)
{
	memset(args, 0, sizeof(*args));
	if (verb_options_parse(argc, argv, options, args, verb_getopt))
		return 1;
	if (args->wish.target && strcmp(args->wish.target, "auto") &&
	    strcmp(args->wish.target, TARGET_QED) && strcmp(args->wish.target, TARGET_LINEAR))
		return report_usage("--target: '%s' is not one of auto|linear|qed",
				    args->wish.target);
	if (args->wish.detect_zeroes &&
	    detect_zeroes_mode(args->wish.detect_zeroes) == DETECT_ZEROES_MODES)
		return report_usage("--detect-zeroes: '%s' is not one of off|on|unmap",
				    args->wish.detect_zeroes);
	if (args->wish.known_zero && args->wish.no_known_zero)
		return report_usage("--known-zero and --no-known-zero exclude each other");
	if (argc - optind != 1)
		return report_usage(argc == optind ? "NAME is needed" : "one NAME is needed");
	args->name = argv[optind];
	report_context("reload %s", args->name);
	return refuse_bad_name(args->name);
}

static int run_reload(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct reload_args args;
	struct device dev;
	int lock_fd, ret;

	if (parse(argc, argv, &args))
		return 1;
	if (device_find_alone(args.name, &dev, &lock_fd, &err))
		return report_fail(&err);
	ret = reload_device(&dev, &args.wish, &err);
	device_put(&dev);
	if (lock_fd >= 0)
		close(lock_fd);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_reload_verb = {
	.name = "reload",
	.synopsis = "[OPTION...] NAME",
	.summary = "another device-mapper table, live",
	.options =
		"  --target auto|linear|qed         (as it is)\n"
		"  --detect-zeroes off|on|unmap     what becomes of writes of zeroes (as it is)\n"
		"  --known-zero, --no-known-zero    remember zeroes in target qed (as it is)\n",
	.example = "qedctl reload --target qed --detect-zeroes on vm1",
	.run = run_reload,
};
