// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl recover: start a new server for a device whose server died, with the options
 * of the dead one. The server does the recovery.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "device/run_files.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"
#include "qedctl/server.h"

/* Decode hexadecimal @digits to a heap string; NULL: invalid. */
static char *from_hex(const char *digits)
{
	size_t len = strlen(digits) / 2;
	char *bytes = malloc(len + 1);
	unsigned int byte;

	if (!bytes)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (sscanf(digits + 2 * i, "%2x", &byte) != 1) {
			free(bytes);
			return NULL;
		}
		bytes[i] = (char)byte;
	}
	bytes[len] = '\0';
	return bytes;
}

/* Return an argument that the server stored in NAME.json (heap), or NULL. */
static char *word_of(const json_t *json)
{
	const char *text = json_string_value(json), *hex = json_get_string(json, "hex", NULL);

	if (text)
		return strdup(text);
	return hex ? from_hex(hex) : NULL;
}

static void free_vector(char **vector)
{
	for (char **word = vector; word && *word; word++)
		free(*word);
	free(vector);
}

/* Return the dead server's options for its successor (heap), or NULL if unknown. */
static char **successor_options(const struct device *dev)
{
	const json_t *options = json_object_get(dev->hint, "options"), *option;
	char **vector = calloc(json_array_size(options) + 2, sizeof(*vector));
	size_t i, n = 0;

	if (!vector || !json_array_size(options)) {
		free(vector);
		return NULL;
	}
	json_array_foreach(options, i, option) {
		vector[n] = word_of(option);
		if (!vector[n])
			break;
		/* The process that waited for it is gone, too. */
		if (!strcmp(vector[n], "--foreground"))
			free(vector[n]);
		else
			n++;
	}
	vector[n] = i == json_array_size(options) ? strdup("--recover") : NULL;
	if (vector[n])
		return vector;
	free_vector(vector);
	return NULL;
}

static int start_successor(const struct device *dev, struct error *err)
{
	char *dir = word_of(json_object_get(dev->hint, "directory"));
	char **options = successor_options(dev);
	struct server_process server;
	char path[512];
	int ret;

	ret = options ? server_start(dev->name, options, dir, false, &server, err) :
			error_set(err, -ENOENT,
				  "%s/%s" RUN_DESCRIPTION
				  " does not tell with what options it was served",
				  client_run_dir(), dev->name);
	free_vector(options);
	free(dir);
	if (ret)
		return ret;
	/*
	 * A signal ends this program, not the server, which finishes: the device is then recovered,
	 * or dead as before.
	 */
	ret = server_wait_ready(&server, -1, path, sizeof(path), err);
	if (!ret)
		server_relay_warnings(&server);
	server_let_go(&server);
	return ret;
}

/* Recover one device. -EEXIST: it has a server, possibly of a concurrent `recover`. */
static int recover(const char *name, struct error *err)
{
	struct error why = ERROR_INIT;
	struct device dev;
	int ret = server_find_settled(name, &dev, err);

	if (ret)
		return ret;
	if (!dev.status) {
		ret = start_successor(&dev, &why);
		device_put(&dev);
		if (!ret || device_look(name, &dev, NULL))
			memset(&dev, 0, sizeof(dev));
	}
	if (dev.status)
		ret = error_set(err, -EEXIST, "its server runs");
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	device_put(&dev);
	return ret;
}

/*
 * Recover a device, or report the error. With @all, a device that has gone or got a
 * server since it was listed is no error.
 */
static int recover_or_report(const char *name, bool all)
{
	struct error err = ERROR_INIT;
	int ret;

	report_context("recover %s", name);
	ret = recover(name, &err);
	if (all && (ret == -EEXIST || ret == -ENODEV)) {
		error_free(&err);
		ret = 0;
	}
	return ret ? report_fail(&err) : 0;
}

static int recover_all(void)
{
	struct error err = ERROR_INIT;
	struct device *devs;
	size_t count, i;
	int status = 0;

	if (device_list(&devs, &count, &err))
		return report_fail(&err);
	for (i = 0; i < count; i++)
		if (!devs[i].status)
			status |= recover_or_report(devs[i].name, true);
	device_put_all(devs, count);
	return status;
}

struct recover_options {
	bool all;
};

static const struct verb_option options[] = {
	OPT_SWITCH(0, "all", struct recover_options, all),
	OPT_END,
};

static int run_recover(int argc, char **argv)
{
	struct recover_options opts = { 0 };
	int status = 0;

	if (verb_options_parse(argc, argv, options, &opts, verb_getopt))
		return 1;
	if (opts.all && optind < argc)
		return report_usage("--all takes no NAME");
	if (!opts.all && optind == argc)
		return report_usage("NAME or --all is needed");
	if (geteuid() != 0)
		return report_error("permission denied: not root");
	if (opts.all)
		return recover_all();
	for (; optind < argc; optind++)
		status |= recover_or_report(argv[optind], false);
	return status;
}

const struct verb ctl_recover_verb = {
	.name = "recover",
	.synopsis = "NAME...|--all",
	.summary = "give a device whose server died a new one",
	.options =
		"  --all  every device whose server died\n"
		"\nRequests that wait for a server go on, and nothing that was answered is lost.\n",
	.example = "qedctl recover --all",
	.run = run_recover,
};
