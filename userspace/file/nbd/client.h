/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A client of one NBD export: one connection, owned by one thread.
 *
 * The thread has an event loop of its own, on which the connection's main
 * coroutine connects, serves, and reconnects when the connection is lost.
 * libnbd's handle, the queue, the slots and all other fields of struct nbd_client
 * belong to that thread; other threads post requests to its loop and are woken
 * through theirs.  They read the fields that are set before the export is open
 * (size, has_holes) and the answers about holes, which have a mutex.
 *
 * Why one thread, and not a connection per queue thread: many servers accept only
 * one client (qemu-nbd by default); TLS and the copies from the socket, which
 * libnbd does in the calling thread, delay no queue; and the state of a lost
 * server is in one place.  The price is a hand-over between threads each way,
 * small compared with the network's latency.
 */
#ifndef QEDBLK_FILE_NBD_CLIENT_H
#define QEDBLK_FILE_NBD_CLIENT_H

#include <libnbd.h>
#include <pthread.h>
#include <urcu/list.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "file/nbd/chunks.h"
#include "file/nbd/runs.h"
#include "file/nbd/uri.h"

/* Commands in flight on the connection. */
#define NBD_SLOTS 64
/* The most slots of one request, so that a long one leaves room for others. */
#define NBD_SLOTS_PER_REQUEST 8
/* The most bytes of a command; a server may set a lower limit. */
#define NBD_MAX_PIECE (1u << 20)
/* Bytes: the largest block of a server; the block layer supports no larger alignment. */
#define NBD_MAX_BLOCK (64u << 10)

struct nbd_client;

enum nbd_request_kind { NBD_REQ_READ, NBD_REQ_HOLES };

/* On the stack of the coroutine that waits for it. */
struct nbd_request {
	struct aio_post post;
	struct nbd_client *client;
	struct co *co;
	enum nbd_request_kind kind;
	uint64_t offset, bytes;
	char *buf; /* of a read */
	struct nbd_runs *runs; /* the answer about holes */
	uint64_t begun; /* bytes for which slots were taken */
	unsigned int slots; /* slots that it has now */
	int ret; /* the first error */
	struct cds_list_head link; /* in client->queue until all its bytes have slots */
};

enum nbd_slot_state {
	NBD_SLOT_FREE,
	NBD_SLOT_TO_SEND, /* to be sent, for the first time or again: libnbd has no reference */
	NBD_SLOT_SENT, /* libnbd may write to its buffer */
	NBD_SLOT_DONE,
};

/* A command, or a piece of a request that becomes one. */
struct nbd_slot {
	enum nbd_slot_state state;
	struct nbd_request *req;
	uint64_t offset;
	uint32_t bytes;
	struct nbd_client *client;
	struct nbd_chunks chunks; /* of a read: the bytes of the reply so far */
	bool broken; /* the reply violates the protocol */
	unsigned int losses; /* connections that were lost before the reply */
	uint64_t begun_at, sent_at; /* ns: first taken, last sent */
	int error; /* errno, once it is done */
};

struct nbd_poll {
	struct aio_op op;
	struct nbd_client *client;
	unsigned int mask; /* POLLIN or POLLOUT */
	bool armed, fired;
};

struct nbd_client {
	/* Set by the opener before the thread starts. */
	const char *name; /* as given by the user, for the log */
	struct nbd_uri uri;
	pthread_t thread;

	/* Set before the export is open, constant then. */
	struct aio_loop *loop;
	uint64_t size; /* bytes */
	_Atomic uint32_t tag; /* of the export's description, of the latest connection */
	uint32_t align; /* bytes: the server's smallest block */
	bool has_holes; /* the server can report holes */

	/* The coroutine that opens the export, while it waits. */
	struct co *opener;
	int open_ret;
	struct error *open_err;

	/* The main coroutine, and what it waits for. */
	struct co *co;
	bool waiting, kicked, stopping;
	struct aio_post stop_post;
	struct aio_timer timer;

	struct nbd_handle *nbd; /* NULL while there is no connection */
	bool ready; /* commands may be sent */
	bool leaving; /* the server announced its shutdown */
	bool broken; /* the server violated the protocol */
	uint32_t max_piece; /* bytes of a command on this connection */
	uint32_t max_holes; /* bytes of one query for holes */
	struct nbd_poll in, out;

	/* Loss of the connection.  Times are in ns; 0: unset. */
	uint64_t down_since; /* set until the next reply */
	uint64_t last_reply; /* if none is later, when the first command in flight was sent */
	uint64_t newest_answered; /* when the newest command with a reply was sent, or 0 */
	uint64_t next_delay; /* before the next attempt */
	bool given_up; /* requests fail until there is a connection */
	bool said_lost; /* the loss is in the log, so the reconnection is logged, too */
	struct aio_timer give_up_timer;

	struct cds_list_head queue; /* struct nbd_request: those with bytes that have no slot yet */
	unsigned int nr_sent; /* slots in state SENT, or DONE and not finished */
	unsigned int nr_waiting; /* slots in state TO_SEND */
	struct nbd_slot slot[NBD_SLOTS];

	struct nbd_answers answers;
};

/* ---- client.c: any thread ---- */

/*
 * Connect.  Coroutine; yields.  @name must outlive the client.  Returns 0 or a negative errno; the
 * error line is the reason alone.
 */
int nbd_client_co_open(struct nbd_client **client, const char *name, struct error *err);
/* Disconnect and free @client.  No request may be in flight.  Coroutine; yields. */
void nbd_client_co_close(struct nbd_client *client);

/* ---- queue.c ---- */

/*
 * Execute @req; kind, offset, bytes and the destination (buf or runs) are set.
 * Coroutine of any loop; yields.  Returns 0, the server's error as a negative errno,
 * or -ENOTCONN without a connection.
 */
int nbd_client_co_request(struct nbd_client *client, struct nbd_request *req);

/* The rest is for the client's own thread. */
void nbd_queue_init(struct nbd_client *client);
/* Pass libnbd the commands that can be sent. */
void nbd_queue_send(struct nbd_client *client);
/*
 * Finish the slots that are done, and wake the callers whose requests are complete.  Returns the
 * number of commands to which the server replied.
 */
unsigned int nbd_queue_finish(struct nbd_client *client, bool connection_lost);
/* Is a request waiting, in the queue or in a slot? */
bool nbd_queue_busy(struct nbd_client *client);
/* Is there a slot that is sent or to be sent? */
bool nbd_queue_owed(const struct nbd_client *client);
/*
 * Is there a command without a reply although one that was sent more than @timeout ns after it has
 * its reply?  Counts this in the slot: a command is not sent again after the second connection on
 * which it happens.
 */
bool nbd_queue_overdue(struct nbd_client *client, uint64_t timeout);
/*
 * The connection is lost: mark the commands that were sent to be sent again.  libnbd may still
 * have their buffers.
 */
void nbd_queue_lost(struct nbd_client *client);
/*
 * Fail the commands that must not be sent again.  Call it after nbd_queue_lost(), when libnbd has
 * no buffer any more.
 */
void nbd_queue_fail_hopeless(struct nbd_client *client);
/* Fail all requests with @error, a positive errno.  No command may be in libnbd. */
void nbd_queue_fail(struct nbd_client *client, int error);

/* ---- wait.c: waiting of the main coroutine ---- */

void nbd_wait_init(struct nbd_client *client);
/* Yield until nbd_kick(), or for @ns nanoseconds (0: no limit). */
void nbd_wait(struct nbd_client *client, uint64_t ns);
/* Make the pending, else the next, nbd_wait() return. */
void nbd_kick(struct nbd_client *client);
/* Poll the descriptor for the events that libnbd needs. */
void nbd_poll_arm(struct nbd_client *client);
/* Pass the events of the descriptor to libnbd.  0, or a negative errno with libnbd's message. */
int nbd_poll_notify(struct nbd_client *client, struct error *err);
/* Stop polling the descriptor, before it is closed.  Yields. */
void nbd_poll_disarm(struct nbd_client *client);

/* ---- connect.c ---- */

/* Connect and check the export, the first time or again.  Yields. */
int nbd_connect(struct nbd_client *client, struct error *err);
/* Close the connection; unanswered commands are to be sent again.  Yields. */
void nbd_disconnect(struct nbd_client *client);
/* Set @err to libnbd's last error on this thread; returns its errno, negative. */
int nbd_set_error(struct error *err);
/* Is there a connection that is still usable? */
bool nbd_is_alive(const struct nbd_client *client);

#endif
