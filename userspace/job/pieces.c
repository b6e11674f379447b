// SPDX-License-Identifier: GPL-2.0
/* Work cut into pieces, done by several coroutines. */
#include <errno.h>
#include <stdlib.h>

#include "aio/timer.h"
#include "job/pieces.h"
#include "util/units.h"

/* How long a worker sleeps that does not work because the image is busy, and the longest rest. */
#define IDLE_NAP_NS 5000000ULL
#define MAX_NAP_NS  50000000ULL

#define NONE UINT64_MAX

struct piece_worker {
	struct pieces *p;
	uint64_t number; /* of the piece in work; NONE: there is none */
	struct piece piece;
	uint64_t began; /* ns: when the work on it began */
	struct co *waiting; /* for its turn to end the piece */
};

static struct piece_worker *oldest(const struct pieces *p)
{
	struct piece_worker *first = p->crew;

	for (unsigned int i = 1; i < p->workers; i++)
		if (p->crew[i].number < first->number)
			first = &p->crew[i];
	return first;
}

const struct piece *pieces_oldest(const struct pieces *p)
{
	const struct piece_worker *first = oldest(p);

	return first->number == NONE ? NULL : &first->piece;
}

/* Wake the worker whose turn it is to end its piece, and those that a failure stops. */
static void wake_waiting(struct pieces *p)
{
	const struct piece_worker *first = oldest(p);

	for (unsigned int i = 0; i < p->workers; i++) {
		struct piece_worker *worker = &p->crew[i];

		if (!worker->waiting || (worker != first && worker->number < p->failed))
			continue;
		co_wake(worker->waiting);
		worker->waiting = NULL;
	}
}

/* Keep the error of the lowest number, with its line, moved from @err. Frees @err. */
static void note_error(struct pieces *p, uint64_t number, int ret, struct error *err)
{
	if (number < p->failed) {
		p->failed = number;
		p->ret = ret;
		error_free(&p->error);
		p->error = *err;
		*err = ERROR_INIT;
		wake_waiting(p);
	}
	error_free(err);
}

static void note_done(struct pieces *p, uint64_t bytes)
{
	p->done += bytes;
	if (p->progress)
		p->progress(p->done, p->total ? p->total : p->end);
}

static int cancelled(struct error *err)
{
	return error_set_errno(err, -ECANCELED, "job");
}

/* Is there nothing left to cut, or has a piece failed? */
static bool is_over(const struct pieces *p)
{
	return p->all_cut || p->next >= p->end || p->failed != NONE;
}

/* Cut the next piece that has to be done; 0 bytes: there is none. */
static int co_cut(struct pieces *p, struct piece *piece, struct error *err)
{
	int ret;

	do {
		*piece = (struct piece){ .offset = p->next };
		if (is_over(p))
			return 0;
		ret = p->co_cut(p, piece, err);
		if (ret)
			return ret;
		p->next = piece->offset + piece->bytes;
		p->all_cut = !piece->bytes;
		if (piece->kind == PIECE_NOTHING)
			note_done(p, piece->bytes);
	} while (piece->kind == PIECE_NOTHING);
	return 0;
}

/* Take the next piece; without one, worker->number stays NONE. Waits for the speed limit. */
static int co_take(struct piece_worker *worker, struct error *err)
{
	struct pieces *p = worker->p;
	struct piece *piece = &worker->piece;
	bool go_on = true;
	int ret;

	co_mutex_lock(&p->cutting);
	ret = co_cut(p, piece, err);
	if (ret || piece->bytes)
		worker->number = ++p->number;
	if (!ret && piece->bytes)
		go_on = piece->counts ? job_co_pace(p->job, piece->bytes) :
					job_co_checkpoint(p->job);
	co_mutex_unlock(&p->cutting);
	return go_on ? ret : cancelled(err);
}

/* Yield until the piece may be ended. Returns false when one before it has failed. */
static bool co_await_turn(struct piece_worker *worker)
{
	struct pieces *p = worker->p;

	while (p->in_order && worker != oldest(p) && worker->number < p->failed) {
		worker->waiting = co_self();
		co_park();
	}
	return worker->number < p->failed;
}

/* Yield while another worker alone may take pieces. Returns false at the end of all work. */
static bool co_stand_back(struct piece_worker *worker, bool *busy)
{
	struct pieces *p = worker->p;

	while ((*busy = p->is_busy && p->is_busy(p)) && worker != p->crew) {
		if (is_over(p) || !job_co_checkpoint(p->job))
			return false;
		job_co_nap(p->job, IDLE_NAP_NS);
	}
	return true;
}

/* Do one piece. Returns 0 with worker->number NONE when there is none. */
static int co_step(struct piece_worker *worker, uint8_t *buf, struct error *err)
{
	struct pieces *p = worker->p;
	int ret = co_take(worker, err);

	if (ret || worker->number == NONE)
		return ret;
	worker->began = aio_now();
	ret = p->co_do(p, &worker->piece, buf, err);
	if (!ret && p->co_end && co_await_turn(worker))
		ret = p->co_end(p, &worker->piece, buf, err);
	if (!ret && worker->number < p->failed)
		note_done(p, worker->piece.bytes);
	return ret;
}

static void co_work(struct piece_worker *worker, uint8_t *buf)
{
	struct pieces *p = worker->p;
	struct error err = ERROR_INIT;
	bool busy, more = true;
	int ret;

	while (more && co_stand_back(worker, &busy)) {
		ret = co_step(worker, buf, &err);
		more = worker->number != NONE && !ret;
		if (ret)
			note_error(p, worker->number, ret, &err);
		worker->number = NONE;
		wake_waiting(p);
		if (more && busy)
			job_co_nap(p->job, min_u64(aio_now() - worker->began, MAX_NAP_NS));
	}
}

static void worker_main(void *arg)
{
	struct piece_worker *worker = arg;
	struct pieces *p = worker->p;
	struct error err = ERROR_INIT;
	uint8_t *buf = p->buffers ? aligned_alloc(4096, p->buffers * PIECES_BUF_BYTES) : NULL;

	if (buf || !p->buffers)
		co_work(worker, buf);
	else
		note_error(p, 0, error_set_errno(&err, -ENOMEM, "buffers"), &err);
	free(buf);
	if (!--p->running)
		co_wake(p->owner);
}

static void co_run_workers(struct pieces *p)
{
	struct error err = ERROR_INIT;
	unsigned int i;
	int ret = 0;

	p->owner = co_self();
	p->running = 1;
	for (i = 0; i < p->workers && !ret; i++) {
		p->running++;
		ret = co_start(worker_main, &p->crew[i]);
		if (ret)
			p->running--;
	}
	/* Fewer workers than wanted do all the work; only the first is needed. */
	if (ret && i == 1)
		note_error(p, 0, error_set_errno(&err, ret, "coroutine"), &err);
	if (--p->running)
		co_park();
}

static int co_run_controlled(struct pieces *p, struct error *err)
{
	struct piece_worker crew[PIECES_MAX_WORKERS];

	if (!p->workers)
		p->workers = PIECES_WORKERS;
	for (unsigned int i = 0; i < p->workers; i++)
		crew[i] = (struct piece_worker){ .p = p, .number = NONE };
	p->crew = crew;
	p->next = p->done = p->start;
	p->number = 0;
	p->all_cut = false;
	p->failed = NONE;
	p->ret = 0;
	p->error = ERROR_INIT;
	co_mutex_init(&p->cutting);
	co_run_workers(p);
	co_mutex_destroy(&p->cutting);
	if (!p->ret && !job_co_checkpoint(p->job))
		p->ret = cancelled(&p->error);
	if (err)
		*err = p->error;
	else
		error_free(&p->error);
	return p->ret;
}

int pieces_co_run(struct pieces *p, struct error *err)
{
	struct job control;
	int ret;

	if (p->job)
		return co_run_controlled(p, err);
	job_init(&control, NULL, NULL);
	control.speed = p->speed;
	p->job = &control;
	ret = co_run_controlled(p, err);
	p->job = NULL;
	job_destroy(&control);
	return ret;
}
