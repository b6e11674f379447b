// SPDX-License-Identifier: GPL-2.0
/*
 * NBD as a protocol below the formats: exports of other machines, or of other
 * local programs, as read-only image files.
 */
#include <errno.h>
#include <string.h>

#include "file/protocol.h"
#include "file/nbd/client.h"
#include "file/nbd/options.h"
#include "util/units.h"

/* The least bytes of a query for holes, within the export. */
#define HOLES_AHEAD (64 * MiB)

/* Do kept answers of the server say that the whole range reads as zeroes? */
static bool is_known_zero(struct nbd_client *client, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len, run;
	bool zero;

	while (offset < end) {
		if (!nbd_answers_find(&client->answers, offset, &run, &zero) || !zero)
			return false;
		offset += run;
	}
	return true;
}

static int co_read(struct blk_file *file, void *buf, size_t len, uint64_t offset)
{
	struct nbd_request req = {
		.kind = NBD_REQ_READ,
		.offset = offset,
		.bytes = len,
		.buf = buf,
	};
	int ret;

	if (is_known_zero(file->remote, offset, len)) {
		memset(buf, 0, len);
		return 0;
	}
	ret = nbd_client_co_request(file->remote, &req);

	/* The server chooses the errno: callers must not take it for one of our own. */
	return ret ? -EIO : 0;
}

static ssize_t nbd_co_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	uint64_t size = atomic_load(&file->size);
	ssize_t done = 0;

	for (int i = 0; i < iovcnt && offset < size; i++) {
		size_t len = min_u64(iov[i].iov_len, size - offset);
		int ret = len ? co_read(file, iov[i].iov_base, len, offset) : 0;

		if (ret)
			return ret;
		done += (ssize_t)len;
		offset += len;
	}
	return done;
}

/*
 * Query the holes of the range from the start of @offset's block.  @runs covers at least that
 * block.  Where the server returns an error the range is data, and is kept as such.  Returns 0, or
 * -EIO without a connection.
 */
static int co_ask_holes(struct blk_file *file, uint64_t offset, uint64_t len, struct nbd_runs *runs)
{
	struct nbd_client *client = file->remote;
	uint64_t size = atomic_load(&file->size);
	uint32_t block = client->align > NBD_RUN_BLOCK ? client->align : NBD_RUN_BLOCK;
	uint64_t start = round_down(offset, block);
	uint64_t end = min_u64(size, round_up(offset + max_u64(len, HOLES_AHEAD), block));
	struct nbd_request req = {
		.kind = NBD_REQ_HOLES,
		.offset = start,
		.bytes = end - start,
		.runs = runs,
	};
	int ret = nbd_client_co_request(client, &req);

	if (ret == -ENOTCONN)
		return -EIO;
	if (ret) {
		nbd_runs_init(runs, start, end, block);
		nbd_runs_add(runs, end - start, false);
	}
	nbd_runs_finish(runs);
	return 0;
}

static int nbd_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run)
{
	struct nbd_client *client = file->remote;
	struct nbd_runs runs;
	unsigned int era;
	bool zero = false;
	int ret;

	*run = len;
	if (!client->has_holes)
		return 1;
	if (!nbd_answers_find(&client->answers, offset, run, &zero)) {
		era = nbd_answers_era(&client->answers);
		ret = co_ask_holes(file, offset, len, &runs);
		if (ret)
			return ret;
		nbd_answers_keep(&client->answers, &runs, era);
		nbd_runs_find(&runs, offset, run, &zero);
	}
	*run = min_u64(*run, len);
	return !zero;
}

static int nbd_co_identify(struct blk_file *file, struct blk_file_identity *identity)
{
	struct nbd_client *client = file->remote;

	identity->tag = atomic_load(&client->tag);
	return 0;
}

static const struct blk_file_ops nbd_file_ops = {
	.co_preadv = nbd_co_preadv,
};

static void nbd_co_close(struct blk_file *file)
{
	nbd_client_co_close(file->remote);
}

static int nbd_co_open(struct blk_file *file, struct error *err)
{
	struct nbd_client *client;
	int ret;

	ret = nbd_client_co_open(&client, file->name, err);
	if (ret)
		return ret;
	file->remote = client;
	file->ops = &nbd_file_ops;
	atomic_store(&file->size, client->size);
	ret = blk_file_set_align(file, client->align, 1);
	if (ret)
		nbd_co_close(file);
	return ret;
}

static const char *const address[] = { "host", "path", "server.type", NULL };

const struct blk_protocol blk_protocol_nbd = {
	.name = "nbd",
	.read_only = true,
	.address = address,
	.matches = nbd_uri_matches,
	.name_from = nbd_name_from,
	.co_open = nbd_co_open,
	.co_close = nbd_co_close,
	.co_is_data = nbd_co_is_data,
	.co_identify = nbd_co_identify,
};
