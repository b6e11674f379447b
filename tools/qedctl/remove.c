// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl remove: remove the mapping first, then stop the server, which flushes the
 * image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "device/run_files.h"
#include "qedctl/device.h"
#include "qedctl/each.h"
#include "qedctl/part_maps.h"
#include "qedctl/qedctl.h"
#include "qedctl/server.h"
#include "qedctl/signals.h"
#include "util/detach.h"
#include "util/units.h"

struct remove_options {
	bool all, force, deferred, retry, finish;
};

/* Return the number of retries for a busy server, five a second. */
static int patience(const struct remove_options *opts)
{
	return opts->retry ? 25 : mapping_udev_runs() ? 5 : 0;
}

/*
 * Retry until the server stops. If it dies meanwhile and has a successor, ask that
 * one; leave another device that has got the name since alone.
 */
static void wait_and_quit(const char *name, int name_fd, bool finish)
{
	const struct quit quit = { .finish = finish };
	struct device dev;
	bool go_on = true;

	while (go_on && !device_look(name, &dev, NULL)) {
		int ret = -ENOTCONN;

		go_on = server_name_is_held(name_fd);
		if (go_on && dev.status)
			ret = server_quit(&dev, &quit, NULL);
		go_on = go_on && ret && device_exists(&dev);
		device_put(&dev);
		if (go_on)
			usleep(500 * 1000);
	}
}

/* Wait until the waiter has left the caller's control group and closed its end of the pipe. */
static int wait_for_waiter(const int fds[2])
{
	char byte;

	close(fds[1]);
	(void)!read(fds[0], &byte, 1);
	close(fds[0]);
	return 0;
}

/*
 * The kernel removes the mapping at its last close, but does not notify the server:
 * leave a background process that asks the server to stop until it does.
 */
static int leave_waiter(const struct device *dev, bool finish, struct error *err)
{
	int name_fd = server_hold_name(dev), fds[2], ret;
	pid_t pid;

	if (name_fd < 0)
		return error_set_errno(err, -errno, "%s" RUN_LOCK, dev->name);
	pid = pipe2(fds, O_CLOEXEC) ? -1 : fork();
	if (pid) {
		ret = pid < 0 ? error_set_errno(err, -errno, "fork") : wait_for_waiter(fds);
		close(name_fd);
		return ret;
	}
	detach_from_session();
	server_leave_caller(dev->name);
	/* The waiter must not keep the caller's file system from being unmounted. */
	if (chdir("/") || !detach_stream(STDIN_FILENO) || !detach_stream(STDOUT_FILENO) ||
	    !detach_stream(STDERR_FILENO))
		_exit(1);
	mapping_release();
	detach_from_files(name_fd);
	wait_and_quit(dev->server, name_fd, finish);
	mapping_refresh_node(NULL);
	_exit(0);
}

/*
 * Remove the mapping, and before it @parts, its partitions. Sets *@waits when it is in use and goes
 * at its last close.
 */
static int remove_mapping(const struct device *dev, const struct remove_options *opts,
			  struct part_maps *parts, bool *waits, struct error *err)
{
	unsigned int flags = (opts->retry ? MAPPING_RETRY : 0) |
			     (opts->deferred || opts->force ? MAPPING_DEFERRED : 0);
	struct mapping now;
	int ret = 0;

	*waits = false;
	if (!dev->map.exists)
		return 0;
	if (opts->force) {
		/* The table is replaced when no request is in flight. */
		if (dev->status)
			device_ask(dev->name, "fail-full", NULL, NULL, NULL);
		ret = mapping_replace_by_error(dev->name, dev->map.size, err);
	}
	if (!ret)
		ret = part_maps_remove(dev, flags, true, parts, err);
	if (!ret) {
		ret = mapping_remove(dev->name, flags, err);
		if (ret == -EBUSY) {
			error_free(err);
			device_in_use(dev, err);
		}
		if (ret)
			part_maps_restore(dev, parts);
	}
	if (!ret && (flags & MAPPING_DEFERRED))
		ret = mapping_lookup(dev->name, &now, err);
	/* With an error table the mapping does not need the server. */
	if (!ret && (flags & MAPPING_DEFERRED) && !opts->force)
		*waits = now.exists && now.ours;
	if (*waits)
		mapping_refresh_node(dev->name);
	return ret;
}

/* Is its server, which does not reply, to be ended by a signal? With --force even elsewhere. */
static bool ends_by_signal(const struct device *dev, const struct remove_options *opts)
{
	return !dev->status && dev->live.pid &&
	       (dev->live.socket == SOCKET_GONE ||
		(dev->live.socket == SOCKET_ELSEWHERE && opts->force));
}

/* What only the server can do, when it is asked to. */
static int check_options(const struct remove_options *opts, struct error *err)
{
	if (opts->deferred || opts->finish)
		return error_set(err, -ENOTSUP, "%s: its server has no control socket any more",
				 opts->deferred ? "--deferred" : "--finish");
	return 0;
}

static int end_server(const struct device *dev, const struct remove_options *opts,
		      struct error *err)
{
	const struct quit quit = { opts->force, opts->finish, patience(opts) };
	struct error why = ERROR_INIT;
	int ret;

	if (ends_by_signal(dev, opts))
		return server_end_by_signal(dev, opts->force, err);
	if (!dev->status)
		return server_clear_away(dev, opts->force, err);
	ret = server_quit(dev, &quit, &why);
	/* Without a mapping the server's own device is open. */
	if (ret == -EBUSY && opts->deferred)
		ret = leave_waiter(dev, opts->finish, err);
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret;
}

/* The server refused to stop: restore the mapping. */
static void restore_mapping(const struct device *dev)
{
	const struct mapping_table table = { .size = dev->map.size,
					     .target = dev->map.target,
					     .params = dev->map.params,
					     .read_only = dev->map.read_only };

	if (dev->map.exists && dev->map.lower)
		mapping_create(dev->name, dev->server, &table, NULL);
}

/*
 * Fail the I/O that waits for a server that hangs or died. This comes first: the
 * kernel swaps a mapping's tables only when no I/O is in flight below it.
 */
static int end_waiting(const struct device *dev, struct error *err)
{
	server_kill(dev);
	return server_clear_away(dev, true, err);
}

/* The file has no name any more: it is gone when its server has ended. */
static bool is_lost(const char *file)
{
	return file && (!strcmp(file, "deleted") || !strcmp(file, "replaced"));
}

/* How to keep what is in the device: all of it, or with a backing file what the image lacks. */
static int refuse_to_lose(const struct device *dev, const char *what, const char *path,
			  const char *file, bool can_stream, struct error *err)
{
	char device[512];

	file = !strcmp(file, "replaced") ? "was replaced by another file" : "was deleted";
	device_path(dev, device, sizeof(device));
	if (can_stream)
		return error_set(err, -EPERM,
				 "its %s %s %s, and is lost with the device: keep what the image "
				 "needs of it by `qedctl stream --wait %s`, or use --force",
				 what, path, file, dev->name);
	return error_set(err, -EPERM,
			 "its %s %s %s, and is lost with the device: copy it first, by "
			 "`qed-img convert -f raw -O qed %s NEW`, or use --force",
			 what, path, file, device);
}

/* Refuse to remove a device with the only copy of what was its image, or a backing file. */
static int check_files(const struct device *dev, struct error *err)
{
	bool read_only = json_get_bool(dev->status, "read-only", false);
	const json_t *entry;
	size_t i;

	if (is_lost(device_image_file(dev)))
		return refuse_to_lose(dev, "image", device_image(dev), device_image_file(dev),
				      false, err);
	json_array_foreach(json_object_get(dev->status, "backing-chain"), i, entry) {
		const char *file = json_get_string(entry, "file", NULL);

		if (is_lost(file))
			return refuse_to_lose(dev, "backing file",
					      json_get_string(entry, "filename", "-"), file,
					      !read_only, err);
	}
	return 0;
}

static int remove_device(const char *name, const struct remove_options *opts, struct error *err)
{
	struct part_maps parts = { 0 };
	struct device dev;
	bool waits;
	int ret;

	ret = server_find_settled(name, &dev, err);
	/* With --all, a device that another process has removed is no error. */
	if (ret == -ENODEV && opts->all) {
		error_free(err);
		return 0;
	}
	if (ret)
		return ret;
	if (ends_by_signal(&dev, opts))
		ret = check_options(opts, err);
	else if (dev.status && !opts->force)
		ret = check_files(&dev, err);
	else if (!dev.status)
		ret = opts->force ? end_waiting(&dev, err) : server_check_removable(&dev, err);
	if (!ret)
		ret = remove_mapping(&dev, opts, &parts, &waits, err);
	if (ret) {
		part_maps_free(&parts);
		device_put(&dev);
		return ret;
	}
	if (waits)
		ret = leave_waiter(&dev, opts->finish, err);
	else
		ret = end_server(&dev, opts, err);
	if (ret == -EBUSY && !opts->force) {
		restore_mapping(&dev);
		part_maps_restore(&dev, &parts);
	}
	part_maps_free(&parts);
	device_put(&dev);
	return ret;
}

/* Remove one device, or report the error; the caller continues with the others. */
static int remove_or_report(const char *name, const void *opts)
{
	struct error err = ERROR_INIT;
	int ret;

	report_context("remove %s", name);
	if (refuse_bad_name(name))
		return 1;
	/* A signal midway would leave a mapping without its server, or the reverse. */
	signals_hold();
	ret = remove_device(name, opts, &err);
	signals_release();
	return ret ? report_fail(&err) : 0;
}

static int remove_all(const struct remove_options *opts)
{
	struct error err = ERROR_INIT;
	struct device *devs;
	size_t count;
	int status;

	if (device_list(&devs, &count, &err))
		return report_fail(&err);
	status = each_device(devs, count, NULL, remove_or_report, opts);
	device_put_all(devs, count);
	return status;
}

static const struct verb_option options[] = {
	OPT_SWITCH(0, "all", struct remove_options, all),
	OPT_SWITCH('f', "force", struct remove_options, force),
	OPT_SWITCH(0, "deferred", struct remove_options, deferred),
	OPT_SWITCH(0, "retry", struct remove_options, retry),
	OPT_SWITCH(0, "finish", struct remove_options, finish),
	OPT_END,
};

static int run_remove(int argc, char **argv)
{
	struct remove_options opts = { 0 };

	if (verb_options_parse(argc, argv, options, &opts, verb_getopt))
		return 1;
	if (opts.all && optind < argc)
		return report_usage("--all takes no NAME");
	if (!opts.all && optind == argc)
		return report_usage("NAME or --all is needed");
	if (geteuid() != 0)
		return report_error("permission denied: not root");
	if (opts.all)
		return remove_all(&opts);
	return each_name((const char *const *)argv + optind, argc - optind, remove_or_report,
			 &opts);
}

const struct verb ctl_remove_verb = {
	.name = "remove",
	.alias = "rm",
	.synopsis = "[OPTION...] NAME...|--all",
	.summary = "take devices away, everything written made durable",
	.options = "  --all        every device\n"
		   "  -f, --force  also one in use: its users get errors from now on\n"
		   "  --deferred   one in use goes at its last close\n"
		   "  --retry      try again for some seconds while it is in use\n"
		   "  --finish     keep first what was read and is not kept yet\n"
		   "\nA device in use is refused otherwise, and nothing is changed.\n",
	.example = "qedctl remove --retry vm1",
	.run = run_remove,
};
