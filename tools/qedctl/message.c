// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl message: send a message to the device's target. With linear, which takes
 * none, the server executes those that concern it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/device.h"
#include "qedctl/qed_target.h"
#include "qedctl/qedctl.h"

static int to_server(const char *name, int count, char **words, struct error *err)
{
	json_t *arguments;

	if (count != 2 || strcmp(words[0], "detect_zeroes"))
		return error_set(err, -EINVAL,
				 "its target is linear: the only message is detect_zeroes "
				 "off|on|unmap");
	arguments = json_pack("{s:s}", "mode", words[1]);
	return device_ask(name, "detect-zeroes", arguments, NULL, err);
}

static int to_target(const char *name, int count, char **words, struct error *err)
{
	char message[256] = "";
	struct error why = ERROR_INIT;
	size_t used = 0;
	int i, ret;

	for (i = 0; i < count; i++) {
		used += snprintf(message + used, sizeof(message) - used, "%s%s", i ? " " : "",
				 words[i]);
		if (used >= sizeof(message))
			return error_set(err, -EINVAL, "message too long");
	}
	ret = mapping_message(name, message, &why);
	if (ret == -EINVAL)
		error_set(err, ret, "the target knows no message '%s'", message);
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret;
}

static int run_message(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct device dev;
	const char *name;
	int ret;

	if (verb_options_parse(argc, argv, NULL, NULL, verb_getopt))
		return 1;
	if (argc - optind < 2)
		return report_usage("NAME and a message are needed");
	name = argv[optind++];
	report_context("message %s", name);
	if (refuse_bad_name(name))
		return 1;
	if (device_find(name, &dev, &err))
		return report_fail(&err);
	if (!dev.map.exists)
		ret = error_set(&err, -ENOTSUP, "it has no device mapping");
	else if (!strcmp(dev.map.target, TARGET_QED))
		ret = to_target(name, argc - optind, argv + optind, &err);
	else
		ret = to_server(name, argc - optind, argv + optind, &err);
	device_put(&dev);
	return ret ? report_fail(&err) : 0;
}

const struct verb ctl_message_verb = {
	.name = "message",
	.synopsis = "NAME detect_zeroes off|on|unmap | NAME stats reset | NAME forget",
	.summary = "send a message to the device-mapper target",
	.options = "The target qed takes all of them, linear the first.\n",
	.example = "qedctl message vm1 detect_zeroes unmap",
	.run = run_message,
};
