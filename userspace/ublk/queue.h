/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue of a ublk device: one thread, one loop, and one request per tag, which
 * passes between the kernel and a target.
 *
 * The target interprets requests; this file implements only the protocol with the
 * kernel.
 */
#ifndef QEDBLK_UBLK_QUEUE_H
#define QEDBLK_UBLK_QUEUE_H

#include <stdint.h>
#include <urcu/list.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "block/request.h"
#include "util/error.h"

struct ublk_gate;
struct ublk_gate_queue;
struct ublk_queue;
struct ublk_target;

struct ublk_request {
	/* The fetch that delivered the request, then the commit of its result. */
	struct aio_op command;
	struct ublk_queue *queue;
	const struct ublk_target *target;
	void *buf; /* page-aligned, max_io_bytes long: a write's data, or room for a read's */
	uint16_t tag;

	uint8_t op; /* UBLK_IO_OP_* */
	uint32_t flags; /* UBLK_IO_F_* */
	uint32_t bytes; /* below 2 GiB */
	uint64_t offset; /* bytes */

	struct ublk_gate_queue *gate; /* the queue's, of the target's gate */
	struct cds_list_head held; /* of gate.c */

	/* For the target's use, from submit() to ublk_request_complete(). */
	struct blk_request io;
	struct {
		uint64_t since; /* ns, monotonic: it waits for room; 0: it does not */
		void (*retry)(struct ublk_request *req);
		struct aio_timer timer;
	} full; /* of full.c */
};

/* The server of a queue's requests. */
struct ublk_target {
	/*
	 * Start @req; complete it, now or later, by ublk_request_complete(). Called outside of a
	 * coroutine on the queue's thread; must not block.
	 */
	void (*submit)(struct ublk_request *req);
	struct ublk_gate *gate; /* that requests enter in submit() (gate.h); the queues join it */
};

/*
 * Complete @req with @result, 0 or a negative errno. On the queue's thread. The target
 * must not touch @req afterwards.
 */
void ublk_request_complete(struct ublk_request *req, int result);

struct ublk_queue_opts {
	int char_fd; /* of /dev/ublkcN, open as long as the queue is */
	unsigned int id, depth;
	uint32_t max_io_bytes;
	const struct ublk_target *target;
	/* Called on the queue's thread just before it ends. */
	void (*ended)(void *arg);
	void *ended_arg;
};

/*
 * Start a queue's thread and have it fetch every tag. Blocks until that is done.
 * Returns 0 or a negative errno with an error line. After an error *@queue is NULL, or
 * a queue that ends, and can be joined, once the device is stopped.
 *
 * If the thread's ring fails later, the process exits at once.
 */
int ublk_queue_start(struct ublk_queue **queue, const struct ublk_queue_opts *opts,
		     struct error *err);

/*
 * Wait for the queue's thread to end, then free the queue. The thread ends when the
 * kernel has aborted the fetch of every tag, which it does when the device is stopped.
 * Blocks. Returns 0, or -ETIMEDOUT after @seconds, with nothing freed.
 */
int ublk_queue_join(struct ublk_queue *queue, unsigned int seconds);

/* Return the number of requests that the target has. Any thread. */
unsigned int ublk_queue_in_flight(const struct ublk_queue *queue);

#endif
