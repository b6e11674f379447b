/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to systemd, where it is the init process. libsystemd is loaded when it is needed: it
 * would add libraries and memory to each server. The functions block for some seconds at most.
 */
#ifndef QEDBLK_UTIL_SYSTEMD_H
#define QEDBLK_UTIL_SYSTEMD_H

#include <stdbool.h>

bool systemd_runs(void);

/* Return true when systemd shuts the system down. Any thread. */
bool systemd_is_stopping(void);

#endif
