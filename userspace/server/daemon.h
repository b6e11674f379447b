/* SPDX-License-Identifier: GPL-2.0 */
/* Becoming a daemon, and reporting to the process that started the server. */
#ifndef QEDBLK_SERVER_DAEMON_H
#define QEDBLK_SERVER_DAEMON_H

#include "device/options.h"

/* Where to report that the device is live. */
struct starter {
	/* Gets `ready DEVICE [created]' or `error TEXT'; -1: the server's standard streams. */
	int fd;
	bool detach; /* close the standard streams after the report */
};

/*
 * Stay in the foreground or fork into the background, as @options say. Returns -1 in
 * the process that is to serve. In its parent, waits for the server's report and
 * returns the exit status. Call before threads start.
 */
int daemon_start(const struct device_options *options, struct starter *starter);

/* Report that @device is live, or the error that prevents it. Once per server. */
void starter_ready(struct starter *starter, const char *device, bool created);
void starter_error(struct starter *starter, const char *name, const char *text);

/*
 * Make the process safe for memory reclaim that writes back through its device: lock
 * its pages, exempt it from the OOM killer, and set PR_SET_IO_FLUSHER. Skips what it
 * has no permission for.
 */
void daemon_harden(void);

#endif
