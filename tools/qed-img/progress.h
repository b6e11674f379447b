/* SPDX-License-Identifier: GPL-2.0 */
/* Progress of a long verb: on standard output with -p, and on SIGUSR1. */
#ifndef QEDBLK_QED_IMG_PROGRESS_H
#define QEDBLK_QED_IMG_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Start reporting. @shown: -p was given; otherwise SIGUSR1 prints a line on standard error. */
void progress_start(bool shown);
/* Report @done of @total, in any unit. A @total of 0 means nothing to do. */
void progress_update(uint64_t done, uint64_t total);
void progress_end(void);

#endif
