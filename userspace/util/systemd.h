/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to systemd, where it is the init process. libsystemd is loaded when it is needed: it
 * would add libraries and memory to each server. The functions block for some seconds at most.
 */
#ifndef QEDBLK_UTIL_SYSTEMD_H
#define QEDBLK_UTIL_SYSTEMD_H

#include <stdbool.h>

#include "util/error.h"

bool systemd_runs(void);

/* Return true when systemd shuts the system down. Any thread. */
bool systemd_is_stopping(void);

/*
 * Move this process, which has one thread, from its caller's control group to a scope of its own,
 * which @description describes: it then does not end with its caller's service or session.
 * Returns 0 or a negative errno with an error line.
 */
int systemd_leave_caller(const char *description, struct error *err);

#endif
