// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for room in the image's file system. A request is retried as a whole: it was not
 * answered, so that a part of it that is on disk already is written again with the same data.
 */
#include "ublk/full.h"
#include "util/log.h"
#include "util/room.h"
#include "util/units.h"

/* The pause between two tries: as long as the request has waited, within these bounds. */
#define MIN_PAUSE_NS (50 * 1000000ULL)
#define MAX_PAUSE_NS (1000 * 1000000ULL)

static void tell_changed(const struct ublk_full *full)
{
	if (full->changed)
		full->changed(full->changed_arg);
}

static void begin(struct ublk_full *full, unsigned int wait_s)
{
	if (atomic_fetch_add(&full->waiting, 1))
		return;
	atomic_store(&full->since, time(NULL));
	log_warning("no room in the image's file system: requests that need some wait, %u s at "
		    "most",
		    wait_s);
	tell_changed(full);
}

static void end(struct ublk_full *full, int error)
{
	if (atomic_fetch_sub(&full->waiting, 1) > 1)
		return;
	if (is_out_of_room(error))
		log_error("no room in the image's file system: requests fail");
	else if (!error)
		log_info("the image's file system has room again");
	tell_changed(full);
}

static void on_timer(struct aio_timer *timer)
{
	struct ublk_request *req = container_of(timer, struct ublk_request, full.timer);

	req->full.retry(req);
}

bool ublk_full_holds(struct ublk_full *full, struct ublk_request *req, int error,
		     void (*retry)(struct ublk_request *req))
{
	uint64_t limit = atomic_load_explicit(&full->wait_s, memory_order_relaxed) * 1000000000ULL;
	uint64_t now, waited = 0;

	if (!is_out_of_room(error) && !req->full.since)
		return false;
	now = aio_now();
	if (req->full.since)
		waited = now - req->full.since;
	if (!is_out_of_room(error) || waited >= limit) {
		if (req->full.since)
			end(full, error);
		req->full.since = 0;
		return false;
	}
	if (!req->full.since) {
		req->full.since = now;
		req->full.retry = retry;
		aio_timer_init(&req->full.timer, on_timer);
		begin(full, (unsigned int)(limit / 1000000000));
	}
	aio_timer_arm(&req->full.timer,
		      min_u64(limit - waited,
			      min_u64(max_u64(waited, MIN_PAUSE_NS), MAX_PAUSE_NS)));
	return true;
}
