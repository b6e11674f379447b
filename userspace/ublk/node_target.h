/* SPDX-License-Identifier: GPL-2.0 */
/* The target that serves a node of the block layer. */
#ifndef QEDBLK_UBLK_NODE_TARGET_H
#define QEDBLK_UBLK_NODE_TARGET_H

#include <stdatomic.h>

#include "block/node.h"
#include "block/zero_run.h"
#include "ublk/full.h"
#include "ublk/queue.h"

struct ublk_node_target {
	struct ublk_target target;
	struct blk_node *node;
	/* An enum detect_zeroes. Any thread may change it, relaxed. */
	_Atomic int detect_zeroes;
	struct ublk_full full;
};

/*
 * Initialise @target, without zero detection; requests that find no room in a file system fail at
 * once. The caller owns @node, and keeps it open while requests may come.
 */
void ublk_node_target_init(struct ublk_node_target *target, struct blk_node *node);

#endif
