// SPDX-License-Identifier: GPL-2.0
/*
 * Connect: the name look-up runs on a worker thread, since libnbd blocks in it,
 * the rest on the loop; and check the export.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "aio/sys.h"
#include "file/file_identity.h"
#include "file/nbd/client.h"
#include "util/log.h"
#include "util/units.h"

/* Bytes of one query for holes; lengths in replies have 32 bits. */
#define HOLES_WINDOW (256 * MiB)
/* The most bytes that a server may send before the first command: mainly certificates. */
#define MAX_HANDSHAKE MiB

int nbd_set_error(struct error *err)
{
	const char *text = nbd_get_error();
	int code = nbd_get_errno();

	if (!text)
		text = "the connection was lost";
	/* Skip the name of libnbd's function, which is of no use to the user. */
	if (!strncmp(text, "nbd_", 4)) {
		const char *end = text;

		while (isalnum((unsigned char)*end) || *end == '_')
			end++;
		if (end[0] == ':' && end[1] == ' ')
			text = end + 2;
	}
	return error_set(err, code ? -code : -EIO, "%s", text);
}

bool nbd_is_alive(const struct nbd_client *client)
{
	return client->nbd && nbd_aio_is_dead(client->nbd) == 0 &&
	       nbd_aio_is_closed(client->nbd) == 0;
}

static int configure(struct nbd_handle *nbd, struct error *err)
{
	if (nbd_set_uri_allow_transports(nbd, LIBNBD_ALLOW_TRANSPORT_TCP |
						      LIBNBD_ALLOW_TRANSPORT_UNIX) < 0 ||
	    /* For the description. */
	    nbd_set_full_info(nbd, true) < 0 ||
	    /* For tls-psk-file= and tls-certificates=. */
	    nbd_set_uri_allow_local_file(nbd, true) < 0 ||
	    nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
		return nbd_set_error(err);
	return 0;
}

struct start_call {
	struct nbd_handle *nbd;
	const char *uri;
	struct error *err;
};

static int start_on_worker(void *arg)
{
	struct start_call *call = arg;

	return nbd_aio_connect_uri(call->nbd, call->uri) < 0 ? nbd_set_error(call->err) : 0;
}

/* Return the number of bytes that can be read from the socket. */
static uint64_t bytes_to_read(const struct nbd_client *client)
{
	int bytes;

	if (!client->in.fired || ioctl(nbd_aio_get_fd(client->nbd), FIONREAD, &bytes) || bytes < 0)
		return 0;
	return (uint64_t)bytes;
}

static int shake_hands(struct nbd_client *client, struct error *err)
{
	uint64_t limit = aio_now() + client->uri.reply_timeout * 1000000000ULL, bytes = 0;
	int ret;

	while (nbd_aio_is_ready(client->nbd) != 1) {
		uint64_t now = aio_now();

		if (client->stopping)
			return error_set(err, -ECANCELED, "closed");
		if (!nbd_is_alive(client))
			return nbd_set_error(err);
		if (now >= limit)
			return error_set_errno(err, -ETIMEDOUT,
					       "no connection in %" PRIu32 " seconds",
					       client->uri.reply_timeout);
		nbd_poll_arm(client);
		nbd_wait(client, limit - now);
		/* libnbd stores what a server offers, without a limit. */
		bytes += bytes_to_read(client);
		if (bytes > MAX_HANDSHAKE)
			return error_set(err, -EPROTO, "the server's offers do not end");
		ret = nbd_poll_notify(client, err);
		if (ret)
			return ret;
	}
	return 0;
}

/* Return the server's block size of @kind, bytes, or @fallback if it sent none. */
static int64_t block_size(struct nbd_handle *nbd, int kind, int64_t fallback)
{
	int64_t size = nbd_get_block_size(nbd, kind);

	return size > 0 ? size : fallback;
}

static int check_blocks(struct nbd_client *client, uint64_t size, uint32_t *align,
			struct error *err)
{
	int64_t min = block_size(client->nbd, LIBNBD_SIZE_MINIMUM, 1);
	int64_t max = block_size(client->nbd, LIBNBD_SIZE_MAXIMUM, NBD_MAX_PIECE);

	if (!is_power_of_2((uint64_t)min) || min > NBD_MAX_BLOCK)
		return error_set(err, -EINVAL,
				 "the server's blocks of %" PRId64 " bytes are not supported", min);
	if (size & ((uint64_t)min - 1))
		return error_set(err, -EINVAL,
				 "the export's size, %" PRIu64
				 " bytes, is no multiple of the server's blocks of %" PRId64,
				 size, min);
	if (max < min)
		return error_set(err, -EINVAL, "the server takes no requests of a whole block");
	*align = (uint32_t)min;
	client->max_piece =
		(uint32_t)round_down(min_u64((uint64_t)max, NBD_MAX_PIECE), (uint64_t)min);
	client->max_holes = (uint32_t)HOLES_WINDOW;
	return 0;
}

/* First connection: take the properties of the export. */
static int adopt_export(struct nbd_client *client, uint64_t size, uint32_t align)
{
	client->size = size;
	client->align = align;
	client->has_holes = nbd_can_meta_context(client->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	return 0;
}

/* Reconnection: check that it can still be the export that was opened. */
static int compare_export(const struct nbd_client *client, uint64_t size, uint32_t align,
			  struct error *err)
{
	static struct log_ratelimit limit;

	if (size < client->size)
		return error_set(err, -EIO,
				 "the export has shrunk from %" PRIu64 " to %" PRIu64 " bytes",
				 client->size, size);
	if (align > client->align)
		return error_set(err, -EIO,
				 "the server's blocks have grown from %" PRIu32 " to %" PRIu32
				 " bytes",
				 client->align, align);
	if (size > client->size && log_allowed(&limit))
		log_warning("%s: the export has grown from %" PRIu64 " to %" PRIu64
			    " bytes; what was added is left out",
			    client->name, client->size, size);
	return 0;
}

/* Old servers have no description, and others are free to have none. */
static void take_description(struct nbd_client *client)
{
	char *text = nbd_get_export_description(client->nbd);

	atomic_store(&client->tag, text ? blk_file_tag(text) : 0);
	free(text);
}

static int look_at_export(struct nbd_client *client, struct error *err)
{
	int64_t size = nbd_get_size(client->nbd);
	uint32_t align = 1;
	int ret;

	if (size < 0)
		return nbd_set_error(err);
	ret = check_blocks(client, (uint64_t)size, &align, err);
	if (ret)
		return ret;
	take_description(client);
	if (client->opener)
		return adopt_export(client, (uint64_t)size, align);
	return compare_export(client, (uint64_t)size, align, err);
}

int nbd_connect(struct nbd_client *client, struct error *err)
{
	struct start_call call = { .uri = client->uri.text, .err = err };
	int ret;

	client->nbd = call.nbd = nbd_create();
	if (!client->nbd)
		return nbd_set_error(err);
	ret = configure(client->nbd, err);
	if (!ret)
		ret = aio_co_call(start_on_worker, &call);
	if (!ret)
		ret = shake_hands(client, err);
	if (!ret)
		ret = look_at_export(client, err);
	if (ret) {
		error_set_errno(err, ret, "cannot connect");
		nbd_disconnect(client);
		return ret;
	}
	client->ready = true;
	client->leaving = false;
	return 0;
}

void nbd_disconnect(struct nbd_client *client)
{
	client->ready = false;
	nbd_poll_disarm(client);
	/* From here on libnbd's callbacks find no slot in state SENT, and do nothing. */
	nbd_queue_lost(client);
	nbd_close(client->nbd);
	client->nbd = NULL;
	nbd_queue_fail_hopeless(client);
}
