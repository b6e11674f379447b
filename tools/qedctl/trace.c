// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl trace: record which parts of a device are read first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"
#include "util/path.h"

static int ask(const char *name, const char *command, const char *file, json_t **answer)
{
	json_t *arguments = file ? json_pack("{s:s}", "file", file) : NULL;
	struct error err = ERROR_INIT;
	struct device dev;
	int ret;

	if (file && !arguments)
		return report_error("%s: the name is not UTF-8", file);
	ret = device_find(name, &dev, &err);
	if (ret) {
		json_decref(arguments);
		return report_fail(&err);
	}
	if (dev.status) {
		ret = device_ask(name, command, arguments, answer, &err);
	} else {
		json_decref(arguments);
		ret = device_no_server(&dev, &err);
	}
	device_put(&dev);
	return ret ? report_fail(&err) : 0;
}

static int start(const char *name, const char *file)
{
	char *path = path_absolute(file);
	int status;

	if (!path)
		return report_error("%s: %s", file, strerror(errno));
	status = ask(name, "trace-start", path, NULL);
	free(path);
	return status;
}

static int stop(const char *name, const char *file)
{
	char *path = file ? path_absolute(file) : NULL;
	json_t *answer = NULL;
	long long lost;
	int status;

	if (file && !path)
		return report_error("%s: %s", file, strerror(errno));
	status = ask(name, "trace-stop", path, &answer);
	lost = json_get_int(answer, "lost", 0);
	json_decref(answer);
	free(path);
	if (!status && lost)
		fprintf(stderr, "qedctl: trace %s: warning: %lld clusters were left out\n", name,
			lost);
	return status;
}

static int run_trace(int argc, char **argv)
{
	bool starts;

	if (verb_options_parse(argc, argv, NULL, NULL, verb_getopt))
		return 1;
	if (argc - optind < 2)
		return report_usage("NAME and 'start FILE' or 'stop' are needed");
	report_context("trace %s", argv[optind]);
	if (refuse_bad_name(argv[optind]))
		return 1;
	starts = !strcmp(argv[optind + 1], "start");
	if (!starts && strcmp(argv[optind + 1], "stop"))
		return report_usage("'%s' is neither start nor stop", argv[optind + 1]);
	if (starts && argc - optind == 2)
		return report_usage("start takes a FILE");
	if (argc - optind > 3)
		return report_usage("unexpected argument '%s'", argv[optind + 3]);
	if (geteuid() != 0)
		return report_error("permission denied: not root");
	return starts ? start(argv[optind], argv[optind + 2]) :
			stop(argv[optind], argv[optind + 2]);
}

const struct verb ctl_trace_verb = {
	.name = "trace",
	.synopsis = "NAME start FILE | NAME stop [FILE]",
	.summary = "record which parts of a device are read first",
	.options = "With FILE, stop ends only what is recorded to that.\n",
	.example = "qedctl trace vm1 start boot.trace",
	.run = run_trace,
};
