/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A client of one NBD export: one connection, owned by one thread.
 *
 * The thread has an event loop of its own, on which the connection's main
 * coroutine connects, serves, and connects again when the connection is lost.
 * libnbd's handle, the queue, the slots and all the rest of struct nbd_client
 * belong to that thread; other threads post requests to its loop and are woken
 * through theirs.  They read what is written before the export is open (size,
 * has_holes) and the answers about holes, which have a mutex.
 *
 * A thread of its own and not the connection of each queue thread: many servers
 * take one client (qemu-nbd by default); the TLS arithmetic and the copying out
 * of the socket, which libnbd does where it is called, keep no queue waiting;
 * and what is known of a server that is gone is known in one place.  The price
 * is a hand-over between threads each way, small beside the network's.
 */
#ifndef QEDBLK_FILE_NBD_CLIENT_H
#define QEDBLK_FILE_NBD_CLIENT_H

#include <libnbd.h>
#include <pthread.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "file/file.h"
#include "file/nbd/chunks.h"
#include "file/nbd/runs.h"
#include "file/nbd/uri.h"

/* Commands in flight on the connection. */
#define NBD_SLOTS 64
/* One request has at most this many of them, so that a long one leaves room for others. */
#define NBD_SLOTS_PER_REQUEST 8
/* Bytes of a command at most; a server may want less. */
#define NBD_MAX_PIECE (1u << 20)
/* Larger blocks than this cannot be asked of the block layer. */
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
	uint64_t begun; /* bytes that slots were taken for */
	unsigned int slots; /* that it has now */
	int ret; /* the first error */
	struct nbd_request *next;
};

enum nbd_slot_state {
	NBD_SLOT_FREE,
	NBD_SLOT_TO_SEND, /* or to be sent again: libnbd knows nothing of it */
	NBD_SLOT_SENT, /* libnbd has its buffer */
	NBD_SLOT_DONE,
};

/* A command, or a piece of a request that becomes one. */
struct nbd_slot {
	enum nbd_slot_state state;
	struct nbd_request *req;
	uint64_t offset;
	uint32_t bytes;
	struct nbd_client *client;
	struct nbd_chunks chunks; /* of a read: what the reply had */
	bool broken; /* the reply is none that the protocol allows */
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
	const char *name; /* as people know it, for the log */
	struct nbd_uri uri;
	pthread_t thread;

	/* Set before the export is open, constant then. */
	struct aio_loop *loop;
	uint64_t size; /* bytes */
	uint32_t align; /* bytes: the server's smallest block */
	bool has_holes; /* the server can tell them */

	/* The opener, while it waits. */
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
	bool leaving; /* the server said that it is about to go */
	bool broken; /* the server sent what the protocol does not allow */
	uint32_t max_piece; /* bytes, of this connection */
	uint32_t max_holes; /* bytes that are asked about at once */
	struct nbd_poll in, out;

	/* Losing the connection.  Times in ns, 0: not. */
	uint64_t down_since; /* until a reply comes again */
	uint64_t last_reply; /* or since the first command in flight was sent */
	uint64_t newest_answered; /* when the newest command that has a reply was sent, or 0 */
	uint64_t next_delay; /* before the next attempt */
	bool given_up; /* requests fail until there is a connection */
	bool said_lost; /* the log has a line to take back */
	struct aio_timer give_up_timer;

	struct nbd_request *queue, **queue_tail; /* with bytes to begin */
	unsigned int nr_sent; /* slots that are sent */
	unsigned int nr_waiting; /* slots to send */
	struct nbd_slot slot[NBD_SLOTS];

	struct nbd_answers answers;
};

/* ---- client.c: any thread ---- */

/* Connect.  Coroutine.  The error's line is the reason alone. */
int nbd_client_co_open(struct nbd_client **client, const char *name, struct error *err);
/* No request may be in flight. */
void nbd_client_co_close(struct nbd_client *client);

/* ---- queue.c ---- */

/*
 * Have @req done; kind, offset, bytes and where to put it are set.  Coroutine of
 * any loop.  Returns the server's error, or -ENOTCONN where there is none.
 */
int nbd_client_co_request(struct nbd_client *client, struct nbd_request *req);

/* The rest is for the client's own thread. */
void nbd_queue_init(struct nbd_client *client);
/* Give libnbd what there is to send. */
void nbd_queue_send(struct nbd_client *client);
/* Answer what is done.  Returns how many commands had a reply of the server. */
unsigned int nbd_queue_finish(struct nbd_client *client, bool connection_lost);
/* Is anybody waiting? */
bool nbd_queue_busy(const struct nbd_client *client);
/* Are there commands that were sent, and not answered yet? */
bool nbd_queue_owed(const struct nbd_client *client);
/*
 * Does a command wait while one that was sent more than @timeout ns after it has its reply?
 * Notes it: the second connection on which this happens is the last that the command is sent on.
 */
bool nbd_queue_overdue(struct nbd_client *client, uint64_t timeout);
/*
 * The connection is gone: what was sent is to be sent again.  libnbd may still have the buffers.
 */
void nbd_queue_lost(struct nbd_client *client);
/*
 * Let what is not to be sent again fail; after nbd_queue_lost(), and libnbd has no buffer any
 * more.
 */
void nbd_queue_fail_hopeless(struct nbd_client *client);
/* Let all that wait fail. */
void nbd_queue_fail(struct nbd_client *client, int error);

/* ---- wait.c: waiting of the main coroutine ---- */

void nbd_wait_init(struct nbd_client *client);
/* Wait until something happened, or for @ns nanoseconds (0: no limit). */
void nbd_wait(struct nbd_client *client, uint64_t ns);
/* Something happened. */
void nbd_kick(struct nbd_client *client);
/* Have the descriptor watched for what libnbd waits for. */
void nbd_poll_arm(struct nbd_client *client);
/* Tell libnbd what the descriptor is ready for.  0, or a negative errno with libnbd's words. */
int nbd_poll_notify(struct nbd_client *client, struct error *err);
/* Have the descriptor watched no more; before it is closed. */
void nbd_poll_disarm(struct nbd_client *client);

/* ---- connect.c ---- */

/* Make a connection and look at the export, the first time or again. */
int nbd_connect(struct nbd_client *client, struct error *err);
void nbd_disconnect(struct nbd_client *client);
/* libnbd's last words on this thread, with its errno. */
int nbd_set_error(struct error *err);
/* Is there a connection that can be used on? */
bool nbd_is_alive(const struct nbd_client *client);

#endif
