/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Becoming a daemon, and telling whoever started the server how that went.
 */
#ifndef QEDBLK_SERVER_DAEMON_H
#define QEDBLK_SERVER_DAEMON_H

#include "device/options.h"

/* Whoever waits to hear that the device is live. */
struct starter {
	int fd; /* gets `ready DEVICE [created]' or `error TEXT'; -1: our own standard streams do */
	bool detach; /* leave the standard streams once it was told */
};

/*
 * Do as @options say: stay in the foreground, or go into the background now.
 * Returns -1 in the process that is to serve; else, in the one that was called,
 * its exit status: the server told that it is ready, or why it is not.
 * Call before threads start.
 */
int daemon_start(const struct device_options *options, struct starter *starter);

/* Tell that @device is live, or that there will be none. */
void starter_ready(struct starter *starter, const char *device, bool created);
void starter_error(struct starter *starter, const char *name, const char *text);

/*
 * Make the process one that memory may be written back through: its pages stay,
 * it is not killed for want of memory, and it does not wait for itself.  What
 * we are not allowed to do is left.
 */
void daemon_harden(void);

#endif
