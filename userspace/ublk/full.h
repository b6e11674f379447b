/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests that found no room in the image's file system: they wait and are retried, as
 * dm-thin's are, until there is room or their time is over. All other requests go on.
 */
#ifndef QEDBLK_UBLK_FULL_H
#define QEDBLK_UBLK_FULL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "ublk/queue.h"

struct ublk_full {
	/* How long a request waits, in seconds; 0: it fails at once. Any thread, relaxed. */
	_Atomic unsigned int wait_s;
	/*
	 * The requests that wait now, and when the first of them began. Two atomic variables: a
	 * reader on another thread may see them a moment apart, which only a user sees.
	 */
	_Atomic unsigned int waiting;
	_Atomic time_t since;
	/*
	 * Optional: called on a queue's thread when the first request begins to wait, and when the
	 * last one no longer does. Set before the first request.
	 */
	void (*changed)(void *arg);
	void *changed_arg;
};

/*
 * Decide about the result @error, 0 or a negative errno, of a try of @req. True: @req waits, and
 * @retry is called later, as a timer of the queue's loop. False: the caller completes @req. On the
 * queue's thread; a coroutine may call this.
 */
bool ublk_full_holds(struct ublk_full *full, struct ublk_request *req, int error,
		     void (*retry)(struct ublk_request *req));

#endif
