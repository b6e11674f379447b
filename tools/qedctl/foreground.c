// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl create --foreground: wait for the server's end or a signal, and then remove
 * the device.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "qedctl/device.h"
#include "qedctl/part_maps.h"
#include "qedctl/qedctl.h"
#include "qedctl/server.h"

/* How often to check whether a device in use has been closed. */
#define LOOK_AGAIN_MS 300

/* The server is gone: fail the I/O that waits for it, and remove its remains. */
static int after_server(struct creation *creation)
{
	struct device dev;
	int status = 0;

	if (waitpid(creation->server->pid, &status, 0) == creation->server->pid)
		creation->server->pid = -1;
	if (!device_look(creation->name, &dev, NULL)) {
		/*
		 * First fail the I/O that waits for another server, since the removal would wait
		 * for it. If the device has a new server already, leave it alone.
		 */
		bool ours = !dev.status && server_clear_away(&dev, true, NULL) != -EBUSY;

		if (ours && dev.map.exists && dev.map.ours) {
			mapping_replace_by_error(dev.name, dev.map.size, NULL);
			part_maps_remove(&dev, MAPPING_DEFERRED, false, NULL, NULL);
			mapping_remove(dev.name, MAPPING_DEFERRED, NULL);
		}
		device_put(&dev);
	}
	if (WIFSIGNALED(status))
		return report_error("the server died: %s", strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		return report_error("the server ended with an error");
	return 0;
}

/* Find the mapping, which may have another name meanwhile. Returns false if it is gone. */
static bool find_mapping(const struct creation *creation, struct mapping *map)
{
	return mapping_lookup_server(creation->name, map, NULL) || map->exists;
}

/* Have the server stop unless its block device is open. Returns false when it is. */
static bool is_unused(const struct creation *creation)
{
	const struct quit quit = { .patience = mapping_udev_runs() ? 5 : 0 };
	struct device dev;
	int ret = 0;

	if (device_look(creation->name, &dev, NULL))
		return true;
	if (dev.status)
		ret = server_quit(&dev, &quit, NULL);
	device_put(&dev);
	return ret != -EBUSY;
}

static bool may_end(const struct creation *creation)
{
	struct mapping map;

	return (!creation->mapped || !find_mapping(creation, &map)) && is_unused(creation);
}

static void report_users(const struct creation *creation)
{
	char *users = NULL;
	struct device dev;

	if (!device_look(creation->name, &dev, NULL)) {
		users = device_used_by(&dev);
		device_put(&dev);
	}
	report_error("device is in use%s%s: it ends at its last close", users ? " by " : "",
		     users ? users : "");
	free(users);
}

/*
 * After a signal: remove the mapping, now or at its last close. Returns true when the
 * device is unused.
 */
static bool begin_end(struct creation *creation)
{
	struct error err = ERROR_INIT;
	struct mapping map;
	struct device dev;
	bool gone;

	if (creation->mapped && !device_look(creation->name, &dev, NULL)) {
		part_maps_remove(&dev, MAPPING_DEFERRED, false, NULL, NULL);
		device_put(&dev);
	}
	if (creation->mapped && find_mapping(creation, &map) &&
	    mapping_remove(map.exists ? map.name : creation->name, MAPPING_DEFERRED, &err))
		report_fail(&err);
	gone = may_end(creation);
	if (!gone)
		report_users(creation);
	return gone;
}

int create_stay_attached(struct creation *creation)
{
	int pid_fd = (int)syscall(SYS_pidfd_open, creation->server->pid, 0);
	struct pollfd pfd[2] = { { .fd = pid_fd, .events = POLLIN },
				 { .fd = creation->signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	bool ending = false, gone = false;

	if (pid_fd < 0)
		return report_error("pidfd_open: %s", strerror(errno));
	while (!(pfd[0].revents & POLLIN)) {
		if (poll(pfd, 2, ending && !gone ? LOOK_AGAIN_MS : -1) < 0 && errno != EINTR)
			return report_error("poll: %s", strerror(errno));
		if (pfd[1].revents && read(creation->signal_fd, &info, sizeof(info)) > 0) {
			gone = begin_end(creation);
			ending = true;
		} else if (ending && !gone) {
			gone = may_end(creation);
		}
		if (gone) {
			kill(creation->server->pid, SIGTERM);
			gone = ending = false;
		}
	}
	close(pid_fd);
	return after_server(creation);
}
