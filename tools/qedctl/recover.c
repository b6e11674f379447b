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

#include "block/node.h"
#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "device/run_files.h"
#include "file/name.h"
#include "qedctl/device.h"
#include "qedctl/each.h"
#include "qedctl/lower.h"
#include "qedctl/qed_target.h"
#include "qedctl/qedctl.h"
#include "qedctl/server.h"
#include "qedctl/signals.h"
#include "ublk/stale.h"

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

/*
 * Return true when the server ended in order, and took its ublk device with it, while the mapping
 * was in use.
 */
static bool is_only_mapped(const struct device *dev)
{
	struct ublk_dev_info info;

	return dev->map.exists && dev->map.lower &&
	       json_is_null(json_object_get(dev->hint, "pid")) &&
	       !ublk_stale_find_waiting(dev->server, &info, NULL);
}

/*
 * Return the last server's options for its successor (heap), which @takes_over its ublk device; or
 * NULL if unknown.
 */
static char **successor_options(const struct device *dev, bool takes_over)
{
	const json_t *options = json_object_get(dev->hint, "options"), *option;
	char **vector = calloc(json_array_size(options) + 2, sizeof(*vector));
	bool is_whole;
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
	is_whole = i == json_array_size(options);
	vector[n] = is_whole && takes_over ? strdup("--recover") : NULL;
	if (is_whole && (vector[n] || !takes_over))
		return vector;
	free_vector(vector);
	return NULL;
}

/* Put the mapping, whose server ended in order, on the block device @path of a new one. */
static int remap(const struct device *dev, const char *path, struct error *err)
{
	char params[128];
	struct mapping_table table = { .size = dev->map.size,
				       .target = dev->map.target,
				       .params = params,
				       .read_only = dev->map.read_only };
	struct target_choice target;
	struct lower lower;
	int ret = lower_look(path, &lower, err);

	/* A larger one is from a resize that did not get as far as the mapping. */
	if (!ret && lower.size < dev->map.size)
		ret = error_set(err, -EINVAL, "the device has %llu bytes, and its image only %llu",
				(unsigned long long)dev->map.size, (unsigned long long)lower.size);
	if (ret)
		return ret;
	target_of_device(dev, &target);
	target_params(&target, lower.dev, params, sizeof(params));
	ret = mapping_reload(dev->name, &table, err);
	return ret ? ret : lower_remove_partitions(path, err);
}

static void close_signals(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int start_successor(const struct device *dev, struct error *err)
{
	char *dir = word_of(json_object_get(dev->hint, "directory"));
	const char *image = device_image(dev);
	bool takes_over = !is_only_mapped(dev);
	char **options = successor_options(dev, takes_over);
	struct server_process server;
	char path[512];
	int signal_fd, ret;

	/*
	 * A signal ends this program, not the server, which finishes: the device is then recovered,
	 * or dead as before. But a server that is not below the mapping is taken back.
	 */
	signal_fd = takes_over ? -1 : signals_hold_with_fd();
	if (!options)
		ret = error_set(err, -ENODATA,
				"%s/%s" RUN_DESCRIPTION
				" does not tell with what options it was served",
				client_run_dir(), dev->server);
	else if (!takes_over && !blk_name_is_url(image) && access(image, F_OK))
		/* The options might make a new one. */
		ret = error_set_errno(err, -errno, "%s", image);
	else
		ret = server_start(dev->server, options, dir, false, &server, err);
	free_vector(options);
	free(dir);
	if (ret) {
		close_signals(signal_fd);
		return ret;
	}
	ret = server_wait_ready(&server, signal_fd, path, sizeof(path), err);
	if (!ret && !takes_over)
		ret = remap(dev, path, err);
	/* When this server ends, whose device is new, it removes all files of that name. */
	if (ret && !takes_over) {
		server_abandon(&server);
		server_put_back_description(dev);
	}
	if (!ret)
		server_relay_warnings(&server);
	server_let_go(&server);
	close_signals(signal_fd);
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
	if (!dev.status && dev.live.pid && dev.live.socket != SOCKET_HERE) {
		ret = device_unreachable(&dev, -EEXIST, err);
		device_put(&dev);
		return ret;
	}
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
static int recover_or_report(const char *name, const void *all)
{
	struct error err = ERROR_INIT;
	int ret;

	report_context("recover %s", name);
	if (refuse_bad_name(name))
		return 1;
	ret = recover(name, &err);
	if (*(const bool *)all && (ret == -EEXIST || ret == -ENODEV)) {
		error_free(&err);
		ret = 0;
	}
	return ret ? report_fail(&err) : 0;
}

static bool is_dead(const struct device *dev)
{
	return !dev->status;
}

static int recover_all(void)
{
	struct error err = ERROR_INIT;
	const bool all = true;
	struct device *devs;
	size_t count;
	int status;

	if (device_list(&devs, &count, &err))
		return report_fail(&err);
	status = each_device(devs, count, is_dead, recover_or_report, &all);
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
	return each_name((const char *const *)argv + optind, argc - optind, recover_or_report,
			 &opts.all);
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
