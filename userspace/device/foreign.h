/* SPDX-License-Identifier: GPL-2.0 */
/* Files that are no disk images, though any file can be opened as raw. */
#ifndef QEDBLK_DEVICE_FOREIGN_H
#define QEDBLK_DEVICE_FOREIGN_H

#include "block/node.h"

/*
 * If @node was probed, and is raw only because no format recognized it, look whether its first
 * bytes are those of a compressed file, an archive or a text.  Returns 0,
 * or -EINVAL with an error line that names @option, by which raw can be asked for; or another
 * negative errno.  Coroutine; yields.
 */
int foreign_co_refuse(struct blk_node *node, const char *option, struct error *err);

#endif
