/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue of a ublk device: one thread, one loop, and a request for every tag,
 * which the kernel and a target hand to each other.
 *
 * What a request means is the target's affair; this file knows the protocol
 * with the kernel alone.
 */
#ifndef QEDBLK_UBLK_QUEUE_H
#define QEDBLK_UBLK_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "aio/loop.h"
#include "block/request.h"
#include "ublk/uapi.h"
#include "util/error.h"

struct ublk_queue;
struct ublk_target;

struct ublk_request {
	struct aio_op command; /* the fetch that brought, and the commit that will answer it */
	struct ublk_queue *queue;
	const struct ublk_target *target;
	void *buf; /* page-aligned, max_io_bytes long: a write's data, or room for a read's */
	uint16_t tag;

	uint8_t op; /* UBLK_IO_OP_* */
	uint32_t flags; /* UBLK_IO_F_* */
	uint32_t bytes; /* below 2 GiB */
	uint64_t offset; /* bytes */

	struct blk_request io; /* for the target, while it has the request */
};

/* Who serves requests. */
struct ublk_target {
	/*
	 * Take @req and answer it, now or later, by ublk_request_complete().
	 * Plain loop code on the queue's thread: starts what has to be done and
	 * does not block.
	 */
	void (*submit)(struct ublk_request *req);
};

/*
 * Answer with 0, or with a negative errno.  On the queue's thread; the request
 * is the kernel's again.
 */
void ublk_request_complete(struct ublk_request *req, int result);

struct ublk_queue_opts {
	int char_fd; /* of /dev/ublkcN, open as long as the queue is */
	unsigned int id, depth;
	uint32_t max_io_bytes;
	const struct ublk_target *target;
	/* Called on the queue's thread when it is about to end, for whatever reason. */
	void (*ended)(void *arg);
	void *ended_arg;
};

/*
 * Start a queue's thread and have it fetch every tag.  Returns when that is
 * done, or with the reason why not.  After an error *@queue is NULL, or a queue
 * that ends, and can be joined, once the device is stopped.  Blocks.
 *
 * Should the thread's ring fail later, the whole process ends at once.
 */
int ublk_queue_start(struct ublk_queue **queue, const struct ublk_queue_opts *opts,
		     struct error *err);

/*
 * Wait until the queue's thread has ended, which it does when the kernel has
 * aborted every tag's fetch (the device was stopped), then free the queue.
 * Returns -ETIMEDOUT, having freed nothing, when that does not happen within
 * @seconds.  Blocks.
 */
int ublk_queue_join(struct ublk_queue *queue, unsigned int seconds);

/* Requests that the target has now.  Any thread. */
unsigned int ublk_queue_in_flight(const struct ublk_queue *queue);

#endif
