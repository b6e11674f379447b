/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The server process of a device: starting qedd, waiting until it is ready,
 * ending it, and clearing away what a dead one left.
 */
#ifndef QEDBLK_QEDCTL_SERVER_H
#define QEDBLK_QEDCTL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "qedctl/device.h"
#include "util/error.h"

struct server {
	const char *name; /* of its device; the caller's */
	pid_t pid;
	int ready_fd; /* the server's line comes from here; -1 once it has come */
	int log_fd; /* what it wrote to standard error, -1 when attached */
	bool made_image; /* by its word: there was none before */
	bool died; /* without an end in order: what it made may be left */
};

/*
 * Start qedd for device @name with @options (a NULL-terminated vector without program name)
 * in the folder @dir, or in ours if that is NULL.
 * @attached: its messages go to our standard error, and it ends when we do.
 */
int server_start(const char *name, char *const options[], const char *dir, bool attached,
		 struct server *server, struct error *err);

/*
 * Wait for the server's line, and put the path of its block device into
 * @path.  Returns -EINTR when a signal came in by @signal_fd, or the server's own error.
 */
int server_wait_ready(struct server *server, int signal_fd, char *path, size_t len,
		      struct error *err);

/*
 * End a server that we started, whatever state it is in, and wait until it is
 * gone.  Afterwards ->made_image and ->died are right, be it that its line was
 * not read: until it is ready it takes an image that it made back itself.
 */
void server_abandon(struct server *server);

/* Print to standard error what a server that is not attached had to say while it started. */
void server_relay_warnings(const struct server *server);

/* Close the descriptors; the process goes on. */
void server_let_go(struct server *server);

struct quit {
	bool force; /* be it that somebody has its block device open */
	bool finish; /* keep what was read and is not kept yet first, however long it takes */
	int patience; /* how often to ask again when it is busy, five times a second */
};

/*
 * Ask the server of @dev to make all durable and end, and wait until its process is
 * gone.  -EBUSY, and it goes on, while somebody has its block device open.
 */
int server_quit(const struct device *dev, const struct quit *how, struct error *err);

/*
 * device_find() for one who changes the device: a server that is just starting, or leaving,
 * holds its name but does not answer.  It is given some seconds to do either.
 */
int server_find_settled(const char *name, struct device *dev, struct error *err);

/* Kill the server of @dev that does not answer, if one lives, and wait until it is gone. */
void server_kill(const struct device *dev);

/*
 * Is @dev, whose server does not answer, one that may go without --force?  -EBUSY: its
 * server lives, or died and its ublk device waits for another.
 */
int server_check_removable(const struct device *dev, struct error *err);

/*
 * A descriptor by which server_name_is_held() tells whether @dev's name is still that of the
 * same device, be it with another server, or -1.  To be closed.
 */
int server_hold_name(const struct device *dev);
bool server_name_is_held(int name_fd);

/*
 * Delete the ublk device and the files under /run that a dead server left.  Without
 * @force -EBUSY, and nothing changes, where the device waits for another server.
 */
int server_clear_away(const struct device *dev, bool force, struct error *err);

#endif
