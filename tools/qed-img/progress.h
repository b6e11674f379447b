/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How far a long verb is: on standard output with -p, and on SIGUSR1.
 */
#ifndef QEDBLK_QED_IMG_PROGRESS_H
#define QEDBLK_QED_IMG_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* @shown: -p was given.  SIGUSR1 asks for a line on standard error where it was not. */
void progress_start(bool shown);
/* @done of @total (in any unit) is over; @total 0 counts as nothing to do. */
void progress_update(uint64_t done, uint64_t total);
void progress_end(void);

#endif
