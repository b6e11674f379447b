// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: from any thread, through the queue and the slots, to libnbd and back.
 *
 * A request waits in the queue until slots were taken for all its bytes.  A
 * slot outlives the connection: a command that was in flight when the connection
 * broke is sent again.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "file/nbd/client.h"
#include "util/log.h"
#include "util/units.h"

#define NSEC 1000000000ULL
/*
 * A command that was lost with this many connections is not sent again once it has also waited for
 * reconnect-delay and reply-timeout together.  Meanwhile the server answered others, or the client
 * would have given up.
 */
#define MAX_LOSSES 64

void nbd_queue_init(struct nbd_client *client)
{
	CDS_INIT_LIST_HEAD(&client->queue);
	client->nr_sent = client->nr_waiting = 0;
	memset(client->slot, 0, sizeof(client->slot));
}

bool nbd_queue_busy(struct nbd_client *client)
{
	return !cds_list_empty(&client->queue) || nbd_queue_owed(client);
}

bool nbd_queue_owed(const struct nbd_client *client)
{
	return client->nr_sent || client->nr_waiting;
}

/* ---- Submission ---- */

static void on_post(struct aio_post *post)
{
	struct nbd_request *req = container_of(post, struct nbd_request, post);
	struct nbd_client *client = req->client;

	if (client->given_up) {
		req->ret = -ENOTCONN;
		co_wake(req->co);
		return;
	}
	cds_list_add_tail(&req->link, &client->queue);
	nbd_kick(client);
}

int nbd_client_co_request(struct nbd_client *client, struct nbd_request *req)
{
	req->client = client;
	req->co = co_self();
	req->post.fn = on_post;
	req->begun = 0;
	req->slots = 0;
	req->ret = 0;
	aio_loop_post(client->loop, &req->post);
	co_park();
	return req->ret;
}

static bool all_begun(const struct nbd_request *req)
{
	/* After an error no further piece is begun. */
	return req->ret || req->begun == req->bytes;
}

/* ---- Sending ---- */

/* Called from within libnbd: only record the result. */
static int on_completion(void *opaque, int *error)
{
	struct nbd_slot *slot = opaque;

	if (slot->state == NBD_SLOT_SENT) {
		slot->state = NBD_SLOT_DONE;
		slot->error = *error;
	}
	return 1; /* retires the command in libnbd */
}

/* The reply to @slot violates the protocol: fail it, and close the connection. */
static void break_slot(struct nbd_slot *slot, const char *why)
{
	static struct log_ratelimit limit;

	slot->broken = true;
	if (slot->client->broken)
		return;
	slot->client->broken = true;
	if (log_allowed(&limit))
		log_error("%s: %s", slot->client->name, why);
}

/*
 * Record a piece of a reply, data or a hole, that is in the buffer.  libnbd checks
 * neither whether the pieces cover the request, nor whether one comes twice.
 */
static int on_chunk(void *opaque, const void *buf, size_t count, uint64_t offset,
		    unsigned int status, int *error)
{
	struct nbd_slot *slot = opaque;

	(void)buf;
	(void)error;
	if (slot->state != NBD_SLOT_SENT || status == LIBNBD_READ_ERROR)
		return 0;
	if (offset < slot->offset || !nbd_chunks_add(&slot->chunks, offset - slot->offset,
						     offset - slot->offset + count, slot->bytes))
		break_slot(slot, "the server sent a part of a read twice, or in too many pieces");
	return 0;
}

/* Record the server's answer about holes; @entries are pairs of a length and flags. */
static int on_extents(void *opaque, const char *context, uint64_t offset, uint32_t *entries,
		      size_t count, int *error)
{
	struct nbd_slot *slot = opaque;
	struct nbd_runs *runs = slot->req->runs;

	(void)error;
	if (slot->state != NBD_SLOT_SENT || strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION))
		return 0;
	if (runs->answered || offset != runs->start) {
		break_slot(slot, "the server said twice where holes are");
		return 0;
	}
	runs->answered = true;
	for (size_t i = 0; i + 1 < count; i += 2)
		if (!nbd_runs_add(runs, entries[i], entries[i + 1] & LIBNBD_STATE_ZERO))
			break;
	return 0;
}

static void send_slot(struct nbd_client *client, struct nbd_slot *slot)
{
	nbd_completion_callback done = { .callback = on_completion, .user_data = slot };
	struct nbd_request *req = slot->req;
	int64_t cookie;

	/* Before the call: the command may be complete when it returns. */
	slot->state = NBD_SLOT_SENT;
	slot->sent_at = aio_now();
	nbd_chunks_init(&slot->chunks);
	if (req->kind == NBD_REQ_READ) {
		nbd_chunk_callback chunk = { .callback = on_chunk, .user_data = slot };

		cookie = nbd_aio_pread_structured(client->nbd,
						  req->buf + (slot->offset - req->offset),
						  slot->bytes, slot->offset, chunk, done, 0);
	} else {
		nbd_extent_callback extents = { .callback = on_extents, .user_data = slot };

		nbd_runs_init(req->runs, slot->offset, slot->offset + slot->bytes,
			      client->align > NBD_RUN_BLOCK ? client->align : NBD_RUN_BLOCK);
		cookie = nbd_aio_block_status(client->nbd, slot->bytes, slot->offset, extents, done,
					      0);
	}
	client->nr_waiting--;
	client->nr_sent++;
	if (cookie < 0 && slot->state == NBD_SLOT_SENT) {
		slot->state = NBD_SLOT_DONE;
		slot->error = nbd_get_errno() ? nbd_get_errno() : EIO;
	}
}

/* Take a slot for the next piece of @req. */
static void begin_piece(struct nbd_client *client, struct nbd_request *req, struct nbd_slot *slot)
{
	uint64_t max = req->kind == NBD_REQ_READ ? client->max_piece : client->max_holes;

	slot->state = NBD_SLOT_TO_SEND;
	slot->req = req;
	slot->offset = req->offset + req->begun;
	slot->bytes = (uint32_t)min_u64(req->bytes - req->begun, max);
	slot->error = 0;
	slot->client = client;
	slot->broken = false;
	slot->losses = 0;
	slot->begun_at = aio_now();
	/* For holes one answer is enough, however many bytes it covers. */
	req->begun = req->kind == NBD_REQ_READ ? req->begun + slot->bytes : req->bytes;
	req->slots++;
	client->nr_waiting++;
}

/* Return the next request that may take another slot, or NULL. */
static struct nbd_request *next_to_begin(struct nbd_client *client)
{
	struct nbd_request *req;

	cds_list_for_each_entry(req, &client->queue, link)
		if (req->slots < NBD_SLOTS_PER_REQUEST)
			return req;
	return NULL;
}

void nbd_queue_send(struct nbd_client *client)
{
	struct nbd_request *req;

	if (!client->nr_sent)
		client->last_reply = aio_now();
	if (cds_list_empty(&client->queue) && !client->nr_waiting)
		return;
	for (size_t i = 0; i < NBD_SLOTS && nbd_is_alive(client) && !client->broken; i++) {
		struct nbd_slot *slot = &client->slot[i];

		if (slot->state == NBD_SLOT_FREE) {
			req = next_to_begin(client);
			if (!req)
				continue;
			begin_piece(client, req, slot);
			if (all_begun(req))
				cds_list_del(&req->link);
		}
		if (slot->state == NBD_SLOT_TO_SEND)
			send_slot(client, slot);
	}
}

/* ---- Completion ---- */

/* Free @slot, which ended with @error (a positive errno or 0).  The last slot ends its request. */
static void end_slot(struct nbd_slot *slot, int error)
{
	struct nbd_request *req = slot->req;

	slot->state = NBD_SLOT_FREE;
	slot->req = NULL;
	req->slots--;
	if (error && !req->ret) {
		/* The rest of the request is not begun. */
		if (!all_begun(req))
			cds_list_del(&req->link);
		req->ret = -error;
	}
	if (!req->slots && all_begun(req))
		co_wake(req->co);
}

/*
 * Check a reply of the server: it may be an error, complete, or a violation of the protocol, which
 * sets @slot->broken.
 */
static void check_reply(struct nbd_client *client, struct nbd_slot *slot)
{
	static struct log_ratelimit limit;
	uint32_t sent = nbd_chunks_bytes(&slot->chunks);

	if (slot->broken || slot->req->kind != NBD_REQ_READ)
		return;
	if (slot->error) {
		if (slot->error != EIO && log_allowed(&limit))
			log_error("%s: the server refused a read: %s", client->name,
				  strerror(slot->error));
		return;
	}
	if (sent == slot->bytes)
		return;
	slot->broken = client->broken = true;
	if (log_allowed(&limit))
		log_error("%s: the server answered a read of %" PRIu32 " bytes with %" PRIu32,
			  client->name, slot->bytes, sent);
}

/* Mark @slot, which gets no reply on this connection, to be sent again. */
static void slot_lost(struct nbd_client *client, struct nbd_slot *slot)
{
	slot->state = NBD_SLOT_TO_SEND;
	slot->losses++;
	client->nr_waiting++;
}

unsigned int nbd_queue_finish(struct nbd_client *client, bool connection_lost)
{
	unsigned int replies = 0;

	for (size_t i = 0; i < NBD_SLOTS && client->nr_sent; i++) {
		struct nbd_slot *slot = &client->slot[i];

		if (slot->state != NBD_SLOT_DONE)
			continue;
		client->nr_sent--;
		/* Errors of the connection, or of a server that shuts down. */
		if (!slot->broken && slot->error && (connection_lost || slot->error == ESHUTDOWN)) {
			client->leaving = !connection_lost;
			slot_lost(client, slot);
			continue;
		}
		check_reply(client, slot);
		if (slot->broken) {
			end_slot(slot, EIO);
			continue;
		}
		replies++;
		client->newest_answered = max_u64(client->newest_answered, slot->sent_at);
		end_slot(slot, slot->error);
	}
	return replies;
}

bool nbd_queue_overdue(struct nbd_client *client, uint64_t timeout)
{
	bool found = false;

	if (!client->nr_sent)
		return false;
	for (size_t i = 0; i < NBD_SLOTS; i++) {
		struct nbd_slot *slot = &client->slot[i];

		if (slot->state != NBD_SLOT_SENT ||
		    client->newest_answered <= slot->sent_at + timeout)
			continue;
		/* Half of the limit: the command is sent once more, on another connection. */
		slot->losses += MAX_LOSSES / 2;
		found = true;
	}
	return found;
}

void nbd_queue_lost(struct nbd_client *client)
{
	nbd_queue_finish(client, true);
	for (size_t i = 0; i < NBD_SLOTS; i++) {
		if (client->slot[i].state != NBD_SLOT_SENT)
			continue;
		client->nr_sent--;
		slot_lost(client, &client->slot[i]);
	}
	client->broken = false;
	client->newest_answered = 0;
}

void nbd_queue_fail_hopeless(struct nbd_client *client)
{
	uint64_t patience = (client->uri.reconnect_delay + client->uri.reply_timeout) * NSEC;
	uint64_t now = aio_now();

	for (size_t i = 0; i < NBD_SLOTS; i++) {
		struct nbd_slot *slot = &client->slot[i];

		if (slot->state != NBD_SLOT_TO_SEND)
			continue;
		if (!slot->broken && (slot->losses < MAX_LOSSES || now - slot->begun_at < patience))
			continue;
		client->nr_waiting--;
		end_slot(slot, EIO);
	}
}

void nbd_queue_fail(struct nbd_client *client, int error)
{
	for (size_t i = 0; i < NBD_SLOTS; i++) {
		if (client->slot[i].state != NBD_SLOT_TO_SEND)
			continue;
		client->nr_waiting--;
		end_slot(&client->slot[i], error);
	}
	while (!cds_list_empty(&client->queue)) {
		struct nbd_request *req =
			cds_list_first_entry(&client->queue, struct nbd_request, link);

		cds_list_del(&req->link);
		req->ret = -error;
		co_wake(req->co);
	}
}
