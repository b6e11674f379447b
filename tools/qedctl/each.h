/* SPDX-License-Identifier: GPL-2.0 */
/* One verb on many devices at once. */
#ifndef QEDBLK_QEDCTL_EACH_H
#define QEDBLK_QEDCTL_EACH_H

#include <stdbool.h>
#include <stddef.h>

#include "qedctl/device.h"

/*
 * Call @one for each of the @count @names, some at a time, each in a process of its own. @one
 * returns 0, or 1 after an error line; a line is one write, so lines do not mix. After SIGINT,
 * SIGTERM or SIGHUP no more are begun, and when those that were begun are done the signal ends
 * this program. Returns 0, or 1 when one failed: report_last_status() is that of the last of
 * @names that failed.
 */
int each_name(const char *const *names, size_t count, int (*one)(const char *name, const void *arg),
	      const void *arg);

/* The same for the devices @devs that @want accepts (NULL: all). */
int each_device(const struct device *devs, size_t count, bool (*want)(const struct device *dev),
		int (*one)(const char *name, const void *arg), const void *arg);

#endif
