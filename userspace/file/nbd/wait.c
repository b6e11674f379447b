// SPDX-License-Identifier: GPL-2.0
/*
 * The events of the main coroutine: the socket, requests, timers.
 *
 * The socket is polled by one-shot operations, one for reading and one for
 * writing, each armed only when libnbd needs that direction.  The ring keeps the
 * socket open while one is armed, so the server would not notice that libnbd
 * closes the descriptor: the operations are cancelled first.
 */
#include <errno.h>
#include <poll.h>

#include "file/nbd/client.h"
#include "util/units.h"

void nbd_kick(struct nbd_client *client)
{
	client->kicked = true;
	if (!client->waiting)
		return;
	client->waiting = false;
	co_wake(client->co);
}

static void on_timer(struct aio_timer *timer)
{
	nbd_kick(container_of(timer, struct nbd_client, timer));
}

static void on_poll(struct aio_op *op, int res, uint32_t flags)
{
	struct nbd_poll *poll = container_of(op, struct nbd_poll, op);

	(void)flags;
	poll->armed = false;
	/* On an error of poll itself libnbd tries the socket, and finds the error. */
	poll->fired = res != -ECANCELED;
	nbd_kick(poll->client);
}

static void poll_init(struct nbd_client *client, struct nbd_poll *poll, unsigned int mask)
{
	*poll = (struct nbd_poll){ .op.done = on_poll, .client = client, .mask = mask };
}

void nbd_wait_init(struct nbd_client *client)
{
	client->co = co_self();
	aio_timer_init(&client->timer, on_timer);
	poll_init(client, &client->in, POLLIN);
	poll_init(client, &client->out, POLLOUT);
}

void nbd_wait(struct nbd_client *client, uint64_t ns)
{
	if (!client->kicked) {
		if (ns)
			aio_timer_arm(&client->timer, ns);
		client->waiting = true;
		co_park();
		aio_timer_cancel(&client->timer);
	}
	client->kicked = false;
}

static void arm(struct nbd_client *client, struct nbd_poll *poll, int fd)
{
	struct io_uring_sqe *sqe;

	if (poll->armed || poll->fired)
		return;
	sqe = aio_get_sqe(client->loop);
	io_uring_prep_poll_add(sqe, fd, poll->mask);
	aio_sqe_set_op(sqe, &poll->op);
	poll->armed = true;
}

void nbd_poll_arm(struct nbd_client *client)
{
	unsigned int direction = nbd_aio_get_direction(client->nbd);
	int fd = nbd_aio_get_fd(client->nbd);

	if (fd < 0)
		return;
	if (direction & LIBNBD_AIO_DIRECTION_READ)
		arm(client, &client->in, fd);
	if (direction & LIBNBD_AIO_DIRECTION_WRITE)
		arm(client, &client->out, fd);
}

int nbd_poll_notify(struct nbd_client *client, struct error *err)
{
	/* Query the direction each time: a notification can change what libnbd waits for. */
	if (client->in.fired) {
		client->in.fired = false;
		if ((nbd_aio_get_direction(client->nbd) & LIBNBD_AIO_DIRECTION_READ) &&
		    nbd_aio_notify_read(client->nbd) < 0)
			return nbd_set_error(err);
	}
	if (client->out.fired) {
		client->out.fired = false;
		if ((nbd_aio_get_direction(client->nbd) & LIBNBD_AIO_DIRECTION_WRITE) &&
		    nbd_aio_notify_write(client->nbd) < 0)
			return nbd_set_error(err);
	}
	return 0;
}

static void take_back(struct nbd_client *client, struct nbd_poll *poll)
{
	struct io_uring_sqe *sqe;

	if (!poll->armed)
		return;
	sqe = aio_get_sqe(client->loop);
	io_uring_prep_poll_remove(sqe, (uint64_t)(uintptr_t)&poll->op);
	aio_sqe_set_op(sqe, NULL);
}

void nbd_poll_disarm(struct nbd_client *client)
{
	take_back(client, &client->in);
	take_back(client, &client->out);
	while (client->in.armed || client->out.armed)
		nbd_wait(client, 0);
	client->in.fired = client->out.fired = false;
}
