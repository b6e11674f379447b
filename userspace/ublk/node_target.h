/* SPDX-License-Identifier: GPL-2.0 */
/* The target that serves a node of the block layer. */
#ifndef QEDBLK_UBLK_NODE_TARGET_H
#define QEDBLK_UBLK_NODE_TARGET_H

#include <stdatomic.h>

#include "block/node.h"
#include "block/zero_run.h"
#include "ublk/full.h"
#include "ublk/gate.h"
#include "ublk/queue.h"

struct ublk_node_target {
	struct ublk_target target;
	struct ublk_gate gate;
	struct blk_node *node; /* read by the queues' threads; changed while the gate is closed */
	/* An enum detect_zeroes. Any thread may change it, relaxed. */
	_Atomic int detect_zeroes;
	struct ublk_full full;
};

/*
 * Initialise @target, without zero detection; requests that find no room in a file system fail at
 * once. The caller owns @node, and keeps it open while requests may come.
 */
void ublk_node_target_init(struct ublk_node_target *target, struct blk_node *node);

/*
 * Exchange the node behind @target, or change something in it or below it, while no request uses
 * it: hold new requests, yield until those in flight have ended, call @co_change(@arg, &node), go
 * on.  A request that waits for room in a file system is held, too, and is tried again on the new
 * node.
 *
 * @co_change is a coroutine of the caller's loop, and may yield; the guest waits for it, so what
 * can be done before or after belongs there.  It may set *node to another node, which then serves
 * all requests, those held first; its owner keeps both nodes open until this returns.  After an
 * error of it the old node stays.
 *
 * Only requests of the device are held.  The caller keeps away the other users of the node: jobs,
 * the thread that populates (populate_co_detach()), commands.  One caller at a time.
 *
 * Returns what @co_change returned, or, without having called it, -ETIMEDOUT with an error line:
 * after @timeout_ns a request was still in flight.  Coroutine; yields.
 */
int ublk_node_target_co_exchange(struct ublk_node_target *target, uint64_t timeout_ns,
				 int (*co_change)(void *arg, struct blk_node **node), void *arg,
				 struct error *err);

#endif
