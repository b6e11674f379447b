/* SPDX-License-Identifier: GPL-2.0 */
/* SIGINT, SIGTERM and SIGHUP while a device changes its state. */
#ifndef QEDBLK_QEDCTL_SIGNALS_H
#define QEDBLK_QEDCTL_SIGNALS_H

#include <stdbool.h>

/* From now on they do not end the program, but interrupt system calls that wait. */
void signals_note(void);
/* Return true when one has come since. */
bool signals_noted(void);

/* Block them until signals_release(). Does not nest. */
void signals_hold(void);
void signals_release(void);
/*
 * Block them for good. Returns a descriptor, for the caller to close, that can be read once one has
 * come, or a negative errno.
 */
int signals_hold_with_fd(void);
/* Return true when one that was held will end the program. */
bool signals_pending(void);

#endif
