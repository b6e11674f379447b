// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl create: start a server for an image and map its block device; both or
 * nothing.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/node.h"
#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "device/run_files.h"
#include "file/name.h"
#include "qedctl/create_options.h"
#include "qedctl/device.h"
#include "qedctl/lower.h"
#include "qedctl/part_maps.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"
#include "qedctl/server.h"

/* How long it may take to find out whether a block device is in use. */
#define SERVED_TIMEOUT_MS 10000

/*
 * From here on a signal does not end this program but is read from the descriptor, so
 * that a partial creation is undone.
 */
static int catch_signals(void)
{
	sigset_t set;

	/* SIGPIPE must not end this program midway either. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int check_signal(int signal_fd, struct error *err)
{
	struct pollfd pfd = { .fd = signal_fd, .events = POLLIN };

	if (poll(&pfd, 1, 0) > 0)
		return error_set(err, -EINTR, "interrupted");
	return 0;
}

/* Fail if a device of that name was renamed: its server still has the name. */
static int check_renamed(const char *name, struct error *err)
{
	struct device dev;
	int ret = device_look(name, &dev, err);

	if (ret)
		return ret;
	if (device_exists(&dev))
		ret = error_set(err, -EEXIST, "device exists: it is called %s now", dev.name);
	device_put(&dev);
	return ret;
}

static int check_free(const char *name, struct error *err)
{
	struct device dev;
	int ret = server_find_settled(name, &dev, err);

	if (ret == -ENODEV) {
		error_free(err);
		return check_renamed(name, err);
	}
	if (ret == -EPERM) {
		error_free(err);
		return error_set(err, -EEXIST,
				 "a device-mapper device of that name exists, and is not ours");
	}
	if (ret)
		return ret;
	if (dev.status) {
		ret = error_set(err, -EEXIST, "device exists");
	} else if (dev.live.pid) {
		ret = device_unreachable(&dev, -EEXIST, err);
		error_prefix(err, "device exists");
	} else {
		ret = error_set(err, -EEXIST,
				"device exists, but its server died: recover or remove it first");
	}
	device_put(&dev);
	return ret;
}

/* Check whether the image exists; a new one needs a size. */
static int check_image(const struct create_options *opts, bool *is_missing, struct error *err)
{
	struct stat st;

	if (blk_name_is_url(opts->image) || !stat(opts->image, &st) || errno != ENOENT)
		return 0;
	if (!opts->device.size && !opts->device.backing)
		return error_set(err, -ENOENT, "%s: %s: give --size or --backing to make it",
				 opts->image, strerror(ENOENT));
	*is_missing = true;
	return 0;
}

/* Create the mapping on the server's block device @path. */
static int map_device(const struct create_options *opts, const char *path, struct error *err)
{
	char params[128];
	struct mapping_table table = { .target = opts->target.target, .params = params };
	struct lower lower;
	int ret = lower_look(path, &lower, err);

	if (ret)
		return ret;
	target_params(&opts->target, lower.dev, params, sizeof(params));
	table.size = lower.size;
	table.read_only = lower.read_only;
	return mapping_create(opts->name, opts->name, &table, err);
}

/* Return an error with a line if the server has ended. */
static int check_ended(const struct server_process *server, struct error *err)
{
	siginfo_t info = { 0 };

	if (waitid(P_PID, server->pid, &info, WEXITED | WNOHANG | WNOWAIT))
		return error_set_errno(err, -errno, "the server's process");
	if (!info.si_pid)
		return 0;
	if (info.si_code != CLD_EXITED)
		return error_set(err, -EIO, "the server died: %s", strsignal(info.si_status));
	return error_set(err, -ENODEV, "it was removed in this moment");
}

/*
 * Check that the server keeps running. Before the mapping existed, a concurrent
 * `remove` could stop it, and may have just checked whether its device was in use.
 */
static int check_served(const struct creation *creation, struct error *err)
{
	int64_t end = client_now_ms() + SERVED_TIMEOUT_MS;
	struct device dev;
	const char *state;
	bool asked;
	int ret;

	for (;;) {
		ret = device_look(creation->name, &dev, err);
		if (ret)
			return ret;
		state = json_get_string(dev.status, "state", "");
		asked = json_get_bool(dev.status, "quit-pending", false);
		if (!strcmp(state, SERVER_STATE_LIVE) && !asked)
			break;
		ret = check_ended(creation->server, err);
		if (!ret && !strcmp(state, SERVER_STATE_STOPPING))
			ret = error_set(err, -ENODEV, "it was removed in this moment");
		if (!ret)
			ret = check_signal(creation->signal_fd, err);
		/* A server that does not reply may be busy, and counts as running. */
		if (ret || client_now_ms() > end)
			break;
		device_put(&dev);
		usleep(50 * 1000);
	}
	device_put(&dev);
	return ret;
}

/* Map the partitions of the new device, if that was asked for. */
static int map_partitions(const struct create_options *opts, struct error *err)
{
	struct error why = ERROR_INIT;
	struct device dev;
	bool kept;
	int ret;

	if (!opts->device.partitions)
		return 0;
	ret = device_look(opts->name, &dev, err);
	if (ret)
		return ret;
	ret = part_maps_update(&dev, &kept, &why);
	device_put(&dev);
	/* A new image has none yet. */
	if (ret == -ENOENT)
		report_warning("%s: %s", opts->name, error_text(&why));
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret == -ENOENT ? 0 : ret;
}

/* Remove the mapping, and what is above it. */
static void undo_mapping(const char *name)
{
	struct device dev;

	if (!device_look(name, &dev, NULL)) {
		part_maps_remove(&dev, MAPPING_RETRY, false, NULL, NULL);
		device_put(&dev);
	}
	mapping_remove(name, MAPPING_RETRY, NULL);
}

/* Create server and mapping; stop at the first failure or signal. */
static int make_device(struct create_options *opts, struct creation *creation, char *path,
		       size_t len, struct error *err)
{
	char lower[256];
	int ret;

	ret = check_free(opts->name, err);
	if (!ret)
		ret = check_image(opts, &creation->image_was_missing, err);
	if (!ret)
		ret = target_choose(&opts->target, err);
	if (!ret && create_options_set_server_mode(opts))
		ret = error_set(err, -ENOMEM, "out of memory");
	if (ret)
		return ret;
	ret = server_start(opts->name, opts->server, NULL, opts->device.foreground,
			   creation->server, err);
	creation->server_was_started = !ret;
	if (!ret)
		ret = server_wait_ready(creation->server, creation->signal_fd, lower, sizeof(lower),
					err);
	snprintf(path, len, "%s", lower);
	if (!ret && !opts->device.no_dm) {
		ret = map_device(opts, lower, err);
		creation->mapped = !ret;
		if (!ret)
			ret = lower_remove_partitions(lower, err);
		if (!ret)
			ret = check_served(creation, err);
		if (!ret)
			ret = map_partitions(opts, err);
		snprintf(path, len, "%s/%s", mapping_node_dir(), opts->name);
	}
	return ret ? ret : check_signal(creation->signal_fd, err);
}

/* Undo the creation. Errors here are ignored: @err, the cause, matters more. */
static void undo(struct creation *creation, struct error *err)
{
	struct device dev;

	if (creation->mapped)
		undo_mapping(creation->name);
	server_abandon(creation->server);
	/*
	 * Until a server is ready, it removes an image that it created itself. A file that it did
	 * not report as created may belong to another process, or be left by a server that died.
	 */
	if (creation->server->made_image)
		unlink(creation->image);
	else if (creation->server->died && creation->image_was_missing &&
		 !access(creation->image, F_OK))
		error_prefix(err, "%s may be half made, and is left", creation->image);
	/* A server that died leaves its device, possibly before it wrote NAME.json. */
	if (creation->server_was_started && !device_look(creation->name, &dev, NULL)) {
		if (!dev.status && (dev.hint || creation->server->died))
			server_clear_away(&dev, true, NULL);
		device_put(&dev);
	}
}

static int announce(const char *path, struct error *err)
{
	int ret;

	errno = 0;
	if (printf("%s\n", path) >= 0 && !fflush(stdout))
		return 0;
	ret = error_set_errno(err, errno ? -errno : -EIO, "standard output");
	/* The exit must not retry the write and report the error again. */
	__fpurge(stdout);
	clearerr(stdout);
	return ret;
}

static int create(struct create_options *opts)
{
	struct server_process server = { .pid = -1, .ready_fd = -1, .log_fd = -1 };
	struct creation creation = { .name = opts->name, .image = opts->image, .server = &server };
	struct error err = ERROR_INIT;
	char path[512];
	int ret;

	creation.signal_fd = catch_signals();
	if (creation.signal_fd < 0)
		return report_error("signals: %s", strerror(errno));
	ret = make_device(opts, &creation, path, sizeof(path), &err);
	if (!ret)
		ret = announce(path, &err);
	if (ret) {
		undo(&creation, &err);
		return report_fail(&err);
	}
	server_relay_warnings(&server);
	server_let_go(&server);
	if (opts->device.foreground)
		return create_stay_attached(&creation);
	return 0;
}

static int run_create(int argc, char **argv)
{
	struct create_options opts;
	int status;

	status = create_options_parse(argc, argv, &opts);
	if (!status && geteuid() != 0)
		status = report_error("permission denied: not root");
	if (!status)
		status = create(&opts);
	create_options_free(&opts);
	return status;
}

const struct verb ctl_create_verb = {
	.name = "create",
	.synopsis = "NAME IMAGE [OPTION...]",
	.summary = "make a block device of an image",
	.print_options = create_options_print_help,
	.example = "qedctl create vm1 /images/vm1.qed --backing /images/golden.img",
	.run = run_create,
};
