/* SPDX-License-Identifier: GPL-2.0 */
/* Tasks of libdevmapper, for the files about mappings (dm.h) only. */
#ifndef QEDBLK_QEDCTL_DM_TASK_H
#define QEDBLK_QEDCTL_DM_TASK_H

#include <libdevmapper.h>

#include "util/error.h"

/* Return a task of @type for the mapping @name (NULL: none), or NULL: no_task() says why. */
struct dm_task *task_new(int type, const char *name);

/* Run @task; on failure set the line "@doing: why". */
int task_run(struct dm_task *task, const char *doing, struct error *err);

/* Set why the library created no task: it creates none when the kernel does not respond. */
int no_task(struct error *err);

#endif
