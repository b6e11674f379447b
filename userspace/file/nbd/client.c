// SPDX-License-Identifier: GPL-2.0
/*
 * The thread of a client: serving, and reconnecting.
 *
 * When the connection is lost, requests wait, those that were sent and new ones.
 * The client reconnects at once and then at growing intervals, for as long as the
 * export is open.  After reconnect-delay it gives up: all waiting requests fail
 * with EIO, and new ones fail at once, until there is a connection again.
 * A connection counts as good from the first reply on: a server that accepts
 * connections and does not reply does not prolong the wait of any request.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "aio/sys.h"
#include "file/nbd/client.h"
#include "util/log.h"
#include "util/units.h"

#define NSEC	      1000000000ULL
#define RING_ENTRIES  64
#define FIRST_DELAY   (NSEC / 10)
#define LONGEST_DELAY (2 * NSEC)
/* A connection that was idle for this long, or the delay if that is less, counts as good. */
#define GOOD_AFTER (10 * NSEC)

/* ---- Loss of the connection, and reconnecting ---- */

static void give_up(struct nbd_client *client)
{
	client->given_up = true;
	if (nbd_queue_busy(client))
		log_error("%s: no connection for %" PRIu32 " seconds: what waited for it fails",
			  client->name, client->uri.reconnect_delay);
	nbd_queue_fail(client, ENOTCONN);
}

static void on_give_up(struct aio_timer *timer)
{
	struct nbd_client *client = container_of(timer, struct nbd_client, give_up_timer);

	/* While there is a connection, libnbd has the buffers: requests end by that connection. */
	if (!client->ready)
		give_up(client);
}

static void connection_lost(struct nbd_client *client, const struct error *err)
{
	static struct log_ratelimit limit;
	uint64_t now = aio_now(), delay = client->uri.reconnect_delay * NSEC;

	if (!client->down_since) {
		client->down_since = now;
		if (log_allowed(&limit)) {
			client->said_lost = true;
			log_warning("%s: connection lost: %s; trying again", client->name,
				    error_text(err));
		}
	}
	if (now - client->down_since >= delay)
		give_up(client);
	else
		aio_timer_arm(&client->give_up_timer, client->down_since + delay - now);
}

/* The connection works: there was a reply, or it was idle for GOOD_AFTER. */
static void connection_is_good(struct nbd_client *client)
{
	client->next_delay = 0;
	if (!client->down_since)
		return;
	client->down_since = 0;
	aio_timer_cancel(&client->give_up_timer);
	if (client->said_lost)
		log_warning("%s: connected again", client->name);
	client->said_lost = false;
}

/* Wait before the next attempt to connect, longer each time. */
static void back_off(struct nbd_client *client)
{
	uint64_t until = aio_now() + client->next_delay, now;

	while (!client->stopping && (now = aio_now()) < until)
		nbd_wait(client, until - now);
	client->next_delay = client->next_delay ? min_u64(2 * client->next_delay, LONGEST_DELAY) :
						  FIRST_DELAY;
}

/* ---- Serving ---- */

/*
 * Has the reply timeout passed: for all commands in flight, or for one while later ones have their
 * replies?  Else *@left is the time until it passes, in ns; 0: no limit.
 */
static bool is_silent(struct nbd_client *client, uint64_t *left)
{
	uint64_t limit = client->last_reply + client->uri.reply_timeout * NSEC, now;

	*left = 0;
	if (!client->nr_sent)
		return false;
	now = aio_now();
	if (now >= limit || nbd_queue_overdue(client, client->uri.reply_timeout * NSEC))
		return true;
	*left = limit - now;
	return false;
}

/* Use the connection until it fails or the client is closed. */
static void serve(struct nbd_client *client, struct error *err)
{
	uint64_t delay = client->uri.reconnect_delay * NSEC, left = 0;
	uint64_t good_at = aio_now() + min_u64(delay, GOOD_AFTER);

	client->given_up = false;
	while (!client->stopping && !err->code) {
		/* Before a new command is sent, since that may break the connection. */
		if (!nbd_queue_owed(client) && aio_now() >= good_at)
			connection_is_good(client);
		nbd_queue_send(client);
		while (nbd_queue_finish(client, !nbd_is_alive(client))) {
			client->last_reply = aio_now();
			connection_is_good(client);
			/* Slots are free again.  A command that cannot be sent is DONE at once. */
			nbd_queue_send(client);
		}
		if (client->leaving)
			error_set(err, -ESHUTDOWN, "the server is shutting down");
		else if (client->broken)
			error_set(err, -EPROTO, "the server broke the protocol");
		else if (!nbd_is_alive(client))
			nbd_set_error(err);
		else if (is_silent(client, &left))
			error_set(err, -ETIMEDOUT, "no reply for %" PRIu32 " seconds",
				  client->uri.reply_timeout);
		if (err->code)
			break;
		nbd_poll_arm(client);
		nbd_wait(client, left);
		(void)nbd_poll_notify(client, err);
	}
}

static void tell_opener(struct nbd_client *client, int ret)
{
	struct co *opener = client->opener;

	client->open_ret = ret;
	client->opener = NULL;
	client->open_err = NULL;
	co_wake(opener);
}

/* The main coroutine. */
static void client_main(void *arg)
{
	struct nbd_client *client = arg;
	int ret;

	nbd_wait_init(client);
	ret = nbd_connect(client, client->open_err);
	tell_opener(client, ret);
	if (ret)
		return;
	while (!client->stopping) {
		struct error err = ERROR_INIT;

		if (client->ready) {
			serve(client, &err);
			nbd_disconnect(client);
			nbd_answers_forget(&client->answers);
		} else {
			back_off(client);
			if (!client->stopping)
				nbd_connect(client, &err);
		}
		if (err.code && !client->stopping)
			connection_lost(client, &err);
		error_free(&err);
	}
	/* The connection may have been made while the close began. */
	if (client->ready)
		nbd_disconnect(client);
	aio_timer_cancel(&client->give_up_timer);
}

/* ---- The thread ---- */

static void *thread_main(void *arg)
{
	struct nbd_client *client = arg;
	int ret = aio_loop_create(&client->loop, RING_ENTRIES, client->open_err);

	if (ret) {
		tell_opener(client, ret);
		return NULL;
	}
	ret = aio_loop_run_co(client->loop, client_main, client);
	if (ret) {
		/* The ring failed: no request can be completed any more. */
		log_error("%s: event loop: %s", client->name,
			  error_text(&(struct error){ .code = ret }));
		abort();
	}
	aio_loop_destroy(client->loop);
	return NULL;
}

/* Start the thread with all signals blocked, so that the program's own threads get them. */
static int start_thread(struct nbd_client *client)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&client->thread, NULL, thread_main, client);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static int join_on_worker(void *arg)
{
	return -pthread_join(*(pthread_t *)arg, NULL);
}

/* Wait for the end of the thread, which was asked to end or has ended. */
static void co_join(struct nbd_client *client)
{
	if (aio_co_call(join_on_worker, &client->thread) < 0)
		join_on_worker(&client->thread);
}

static void client_free(struct nbd_client *client)
{
	nbd_uri_free(&client->uri);
	nbd_answers_destroy(&client->answers);
	free(client);
}

int nbd_client_co_open(struct nbd_client **out, const char *name, struct error *err)
{
	struct nbd_client *client = calloc(1, sizeof(*client));
	int ret;

	if (!client)
		return error_set_errno(err, -ENOMEM, "client");
	client->name = name;
	client->opener = co_self();
	client->open_err = err;
	nbd_queue_init(client);
	nbd_answers_init(&client->answers);
	aio_timer_init(&client->give_up_timer, on_give_up);
	ret = nbd_uri_parse(&client->uri, name, err);
	if (!ret) {
		ret = start_thread(client);
		if (ret)
			error_set_errno(err, ret, "cannot start a thread");
	}
	if (ret) {
		client_free(client);
		return ret;
	}
	co_park();
	if (client->open_ret) {
		ret = client->open_ret;
		co_join(client);
		client_free(client);
		return ret;
	}
	*out = client;
	return 0;
}

static void on_stop(struct aio_post *post)
{
	struct nbd_client *client = container_of(post, struct nbd_client, stop_post);

	client->stopping = true;
	nbd_kick(client);
}

void nbd_client_co_close(struct nbd_client *client)
{
	client->stop_post.fn = on_stop;
	aio_loop_post(client->loop, &client->stop_post);
	co_join(client);
	client_free(client);
}
