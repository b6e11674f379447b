// SPDX-License-Identifier: GPL-2.0
/* Work cut into pieces, done by several coroutines. */
#include <errno.h>
#include <stdlib.h>

#include "aio/sys.h"
#include "aio/timer.h"
#include "job/pieces.h"

/* Record the first error with its line, moved from @err; later ones are dropped. Frees @err. */
static void note_end(struct pieces *p, int ret, struct error *err)
{
	pthread_mutex_lock(&p->mutex);
	if (ret && !p->ret) {
		p->ret = ret;
		if (p->err) {
			*p->err = *err;
			*err = ERROR_INIT;
		}
	}
	pthread_mutex_unlock(&p->mutex);
	error_free(err);
}

static int first_error(struct pieces *p)
{
	int ret;

	pthread_mutex_lock(&p->mutex);
	ret = p->ret;
	pthread_mutex_unlock(&p->mutex);
	return ret;
}

static void note_done(struct pieces *p, uint64_t bytes)
{
	uint64_t done;

	pthread_mutex_lock(&p->mutex);
	done = p->done += bytes;
	pthread_mutex_unlock(&p->mutex);
	if (p->progress)
		p->progress(done, p->end);
}

/* Cut the next piece that has to be done; @piece->bytes is 0 at the end. */
static int co_next(struct pieces *p, struct piece *piece, struct error *err)
{
	int ret = 0;

	co_mutex_lock(&p->cutting);
	do {
		ret = first_error(p);
		*piece = (struct piece){ .offset = p->next };
		if (ret || p->next >= p->end)
			break;
		ret = p->co_cut(p, piece, err);
		if (ret)
			break;
		p->next += piece->bytes;
		if (piece->kind == PIECE_NOTHING)
			note_done(p, piece->bytes);
	} while (piece->kind == PIECE_NOTHING);
	co_mutex_unlock(&p->cutting);
	return ret;
}

/* Charge @piece, and sleep until the bytes charged so far are within the speed limit. */
static void co_keep_speed(struct pieces *p, const struct piece *piece)
{
	uint64_t due, now = aio_now();

	if (!p->speed || !piece->counts)
		return;
	pthread_mutex_lock(&p->mutex);
	p->counted += piece->bytes;
	due = p->started + (uint64_t)((double)p->counted * 1e9 / (double)p->speed);
	pthread_mutex_unlock(&p->mutex);
	if (due > now)
		aio_co_sleep(due - now);
}

static int co_work(struct pieces *p, uint8_t *buf, struct error *err)
{
	struct piece piece;

	for (;;) {
		int ret = co_next(p, &piece, err);

		if (ret || !piece.bytes)
			return ret;
		ret = p->co_do(p, &piece, buf, err);
		if (ret)
			return ret;
		note_done(p, piece.bytes);
		co_keep_speed(p, &piece);
	}
}

static void worker_main(void *arg)
{
	struct pieces *p = arg;
	struct error err = ERROR_INIT;
	uint8_t *buf = aligned_alloc(4096, p->buffers * PIECES_BUF_BYTES);
	int ret = buf ? co_work(p, buf, &err) : error_set_errno(&err, -ENOMEM, "buffers");

	free(buf);
	note_end(p, ret, &err);
	pthread_mutex_lock(&p->mutex);
	p->workers--;
	co_queue_wake_all(&p->ended);
	pthread_mutex_unlock(&p->mutex);
}

static void co_run_workers(struct pieces *p)
{
	for (unsigned int i = 0; i < PIECES_WORKERS; i++) {
		struct error err = ERROR_INIT;
		int ret;

		pthread_mutex_lock(&p->mutex);
		p->workers++;
		pthread_mutex_unlock(&p->mutex);
		ret = co_start(worker_main, p);
		if (!ret)
			continue;
		pthread_mutex_lock(&p->mutex);
		p->workers--;
		pthread_mutex_unlock(&p->mutex);
		/* The workers that did start do all the work. */
		if (!i)
			note_end(p, error_set_errno(&err, ret, "coroutine"), &err);
		break;
	}
	pthread_mutex_lock(&p->mutex);
	while (p->workers)
		co_queue_wait(&p->ended, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
}

int pieces_co_run(struct pieces *p, struct error *err)
{
	co_mutex_init(&p->cutting);
	pthread_mutex_init(&p->mutex, NULL);
	co_queue_init(&p->ended);
	p->next = p->done = p->counted = 0;
	p->workers = 0;
	p->ret = 0;
	p->err = err;
	p->started = aio_now();
	co_run_workers(p);
	pthread_mutex_destroy(&p->mutex);
	co_mutex_destroy(&p->cutting);
	return p->ret;
}
