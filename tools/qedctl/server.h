/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The server process of a device: starting qedd, waiting until it is ready, stopping
 * it, and removing the remains of a dead one.
 */
#ifndef QEDBLK_QEDCTL_SERVER_H
#define QEDBLK_QEDCTL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "qedctl/device.h"
#include "util/error.h"

struct server_process {
	const char *name; /* of its device; owned by the caller */
	pid_t pid;
	int ready_fd; /* pipe with the server's report; -1 once it was read */
	int log_fd; /* its standard error, -1 when attached */
	bool made_image; /* it reported that it created the image */
	bool died; /* without an orderly stop: its device and files may remain */
};

/*
 * Start qedd for device @name with @options (a NULL-terminated vector without program name)
 * in the directory @dir (NULL: the current one). @attached: its messages go to this
 * program's standard error, and it ends with this program.
 */
int server_start(const char *name, char *const options[], const char *dir, bool attached,
		 struct server_process *server, struct error *err);

/*
 * Where systemd runs, move this process, which has one thread and stays in the background for
 * device @name, to a control group of its own: the caller's may be that of a service or a session
 * that ends. Warns when that fails.
 */
void server_leave_caller(const char *name);

/*
 * Wait for the server's report, and write the path of its block device to @path.
 * Returns 0 or a negative errno with an error line, which is the server's if it
 * failed; -EINTR when @signal_fd got a signal.
 */
int server_wait_ready(struct server_process *server, int signal_fd, char *path, size_t len,
		      struct error *err);

/*
 * Stop a server that this program started, in any state, and wait until it is gone.
 * Afterwards ->made_image and ->died are valid, even if its report was not read
 * before. Until a server is ready, it removes an image that it created itself.
 */
void server_abandon(struct server_process *server);

/* Print the startup messages of a server that is not attached to standard error. */
void server_relay_warnings(const struct server_process *server);

/* Close the descriptors; the process keeps running. */
void server_let_go(struct server_process *server);

struct quit {
	bool force; /* also when its block device is open */
	bool finish; /* first write pending copy-on-read clusters, however long that takes */
	int patience; /* how often to retry when it is busy, five times a second */
};

/*
 * Have the server of @dev flush and stop, and wait until its process is gone. Returns
 * 0 or a negative errno with an error line; -EBUSY: its block device is open, and the
 * server keeps running.
 */
int server_quit(const struct device *dev, const struct quit *how, struct error *err);

/*
 * device_find() for a verb that changes the device: wait some seconds for a server
 * that is starting or stopping, which holds its name but does not reply.
 */
int server_find_settled(const char *name, struct device *dev, struct error *err);

/* Kill the server of @dev that does not reply, if it lives, and wait until it is gone. */
void server_kill(const struct device *dev);

/*
 * End the server of @dev in order, by SIGTERM, though its control socket is gone, and wait until
 * its process is gone. -EBUSY while its block device is in use, unless @force; with that a server
 * that does not end in time is killed.
 */
int server_end_by_signal(const struct device *dev, bool force, struct error *err);

/*
 * Check that @dev, whose server does not reply, may be removed without --force.
 * -EBUSY: its server lives, or died and its ublk device waits for another.
 */
int server_check_removable(const struct device *dev, struct error *err);

/*
 * Return a descriptor for server_name_is_held(), or -1. The caller closes it.
 * server_name_is_held() returns true while @dev's name belongs to the same device,
 * even with another server.
 */
int server_hold_name(const struct device *dev);
bool server_name_is_held(int name_fd);

/*
 * Delete the ublk device and the files under /run that a dead server left. Without
 * @force, -EBUSY with nothing changed if the device waits for another server.
 */
int server_clear_away(const struct device *dev, bool force, struct error *err);

/*
 * Write NAME.json as @dev has it, once more, if the mapping is still there and the file is not: a
 * server that could not start has removed it. Reports what fails as a warning.
 */
void server_put_back_description(const struct device *dev);

#endif
