/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SIGINT, SIGTERM and SIGHUP while a device is half-way from one state to another.
 */
#ifndef QEDBLK_QEDCTL_SIGNALS_H
#define QEDBLK_QEDCTL_SIGNALS_H

#include <stdbool.h>

/* From now on they do not end the program, but interrupt what it waits for. */
void signals_note(void);
/* Whether one has come since. */
bool signals_noted(void);

/* Keep them waiting, until signals_release().  Not nested. */
void signals_hold(void);
void signals_release(void);

#endif
