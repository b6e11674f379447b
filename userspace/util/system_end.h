/* SPDX-License-Identifier: GPL-2.0 */
/* Whether this machine, or container, shuts down. */
#ifndef QEDBLK_UTIL_SYSTEM_END_H
#define QEDBLK_UTIL_SYSTEM_END_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Return true when the system shuts down or reboots, for a process that got SIGTERM from process
 * @sender. Blocks: systemd is asked.
 */
bool system_ends(pid_t sender);

#endif
