// SPDX-License-Identifier: GPL-2.0
/*
 * An NBD server that sends what the input says: a handshake of any bytes, or replies that lie.
 *
 * The first byte has flags; the rest is a script, four bytes per step (struct step). A request
 * takes steps up to one that completes its reply.  After the last step, the server answers all
 * requests correctly, or hangs up.  Data are always those of their offset, or zeroes if the reply
 * says so: a read that succeeds must have returned one of these.
 */
#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "block/io.h"
#include "fuzz.h"
#include "util/units.h"

#define SOCKET	    "nbd.sock"
#define EXPORT_SIZE (256 * KiB)
#define READ_BYTES  (20 * KiB)
/* Contents of buffers before a read; no byte of the export. */
#define POISON 0xa5
/* A bound, for scripts that never stop sending, and clients that never stop asking. */
#define MAX_SENDS 200

enum flags {
	RAW_HANDSHAKE = 1 << 0, /* send the script as it is, from the beginning */
	GOES_ON = 1 << 1, /* after the script, answer all requests correctly */
	NO_HOLES = 1 << 2,
};

enum step_kind {
	STEP_ALL, /* all of the requested range */
	STEP_DATA, /* data from @place on */
	STEP_HOLE,
	STEP_ERROR,
	STEP_ERROR_AT,
	STEP_EXTENTS, /* the next @count steps are extents */
	STEP_NONE,
	STEP_SIMPLE,
	STEP_BYTES, /* bytes of the input, verbatim */
	STEP_HANG_UP,
	NR_STEPS,
};

#define STEP_DONE 0x80 /* flag in @kind: the last part of the reply */

struct step {
	uint8_t kind, count;
	uint8_t place[2];
};

struct server {
	const uint8_t *script;
	size_t left;
	unsigned int flags, sends;
	_Atomic bool any_bytes; /* it has sent bytes that may be a reply with any data */
	_Atomic bool zeroes; /* it has reported a range as zero */
	int listener;
};

struct request {
	uint16_t kind;
	uint64_t cookie, offset;
	uint32_t length;
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset % 97 + 1);
}

/* ---- Sending and receiving; false: the connection has ended ---- */

static bool send_all(struct server *s, int fd, const void *data, size_t size)
{
	const char *from = data;

	if (s->sends++ > MAX_SENDS)
		return false;
	while (size) {
		ssize_t n = send(fd, from, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		from += n;
		size -= (size_t)n;
	}
	return true;
}

static bool receive(int fd, void *data, size_t size)
{
	return !size || recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

static bool skip(int fd, size_t size)
{
	char buf[4096];

	while (size) {
		size_t part = size < sizeof(buf) ? size : sizeof(buf);

		if (!receive(fd, buf, part))
			return false;
		size -= part;
	}
	return true;
}

/* ---- Replies ---- */

static bool send_chunk(struct server *s, int fd, const struct request *r, unsigned int kind,
		       bool done, const void *data, size_t size)
{
	static uint8_t buf[20 + MiB + 64];

	if (size > sizeof(buf) - 20)
		return false;
	fuzz_put_be32(buf, 0x668e33ef);
	fuzz_put_be32(buf + 4, (uint32_t)done << 16 | kind);
	fuzz_put_be64(buf + 8, r->cookie);
	fuzz_put_be32(buf + 16, (uint32_t)size);
	memcpy(buf + 20, data, size);
	return send_all(s, fd, buf, 20 + size);
}

static bool send_data(struct server *s, int fd, const struct request *r, uint64_t offset,
		      uint32_t length, bool done)
{
	static uint8_t buf[8 + MiB];

	length = (uint32_t)min_u64(length, MiB);
	fuzz_put_be64(buf, offset);
	for (uint32_t i = 0; i < length; i++)
		buf[8 + i] = byte_at(offset + i);
	return send_chunk(s, fd, r, 1, done, buf, 8 + length);
}

static bool answer_well(struct server *s, int fd, const struct request *r)
{
	uint8_t extents[12];

	if (r->kind == 0)
		return send_data(s, fd, r, r->offset, r->length, true);
	fuzz_put_be32(extents, 7);
	fuzz_put_be32(extents + 4, r->length);
	fuzz_put_be32(extents + 8, 0);
	return r->kind == 7 && send_chunk(s, fd, r, 5, true, extents, sizeof(extents));
}

/* Send @count pairs of a length and flags, from the script. */
static bool send_extents(struct server *s, int fd, const struct request *r, unsigned int count,
			 bool done)
{
	uint8_t buf[4 + 255 * 8];
	size_t used = 4;

	s->zeroes = true;
	fuzz_put_be32(buf, 7);
	for (; count && s->left >= 4; count--, used += 8) {
		fuzz_put_be32(buf + used, s->script[0] | (uint32_t)s->script[1] << 8 |
						  (uint32_t)s->script[2] << 16);
		fuzz_put_be32(buf + used + 4, s->script[3]);
		s->script += 4;
		s->left -= 4;
	}
	return send_chunk(s, fd, r, 5, done, buf, used);
}

static bool send_bytes(struct server *s, int fd, size_t count)
{
	size_t n = min_u64(count, s->left);
	bool sent = send_all(s, fd, s->script, n);

	s->any_bytes = true;
	s->script += n;
	s->left -= n;
	return sent;
}

static bool send_error(struct server *s, int fd, const struct request *r, const struct step *step,
		       uint64_t offset, bool at, bool done)
{
	uint8_t buf[14 + 4];
	size_t text = 4;

	fuzz_put_be32(buf, step->count);
	buf[4] = 0;
	buf[5] = (uint8_t)text;
	memcpy(buf + 6, "\n\033[m", text);
	if (!at)
		return send_chunk(s, fd, r, 0x8001, done, buf, 6 + text);
	fuzz_put_be64(buf + 6 + text, offset);
	return send_chunk(s, fd, r, 0x8002, done, buf, 6 + text + 8);
}

static bool send_hole(struct server *s, int fd, const struct request *r, uint64_t offset,
		      uint32_t length, bool done)
{
	uint8_t buf[12];

	s->zeroes = true;
	fuzz_put_be64(buf, offset);
	fuzz_put_be32(buf + 8, length);
	return send_chunk(s, fd, r, 2, done, buf, sizeof(buf));
}

/* Do one step. Return false to hang up. */
static bool take_step(struct server *s, int fd, const struct request *r, const struct step *step)
{
	bool done = step->kind & STEP_DONE;
	uint64_t offset = r->offset + (step->place[0] | (uint32_t)step->place[1] << 8);
	uint8_t simple[16];

	switch ((step->kind & ~STEP_DONE) % NR_STEPS) {
	case STEP_ALL:
		return send_data(s, fd, r, r->offset, r->length, done);
	case STEP_DATA:
		return send_data(s, fd, r, offset, step->count * 64u, done);
	case STEP_HOLE:
		return send_hole(s, fd, r, offset, step->count * 64u, done);
	case STEP_ERROR:
	case STEP_ERROR_AT:
		return send_error(s, fd, r, step, offset, step->kind % 2, done);
	case STEP_EXTENTS:
		return send_extents(s, fd, r, step->count, done);
	case STEP_NONE:
		return send_chunk(s, fd, r, 0, done, "", 0);
	case STEP_SIMPLE:
		fuzz_put_be32(simple, 0x67446698);
		fuzz_put_be32(simple + 4, step->count);
		fuzz_put_be64(simple + 8, r->cookie);
		return send_all(s, fd, simple, sizeof(simple));
	case STEP_BYTES:
		return send_bytes(s, fd, step->count);
	default:
		return false;
	}
}

static bool answer(struct server *s, int fd, const struct request *r)
{
	struct step step;

	do {
		if (s->left < sizeof(step))
			return s->flags & GOES_ON && answer_well(s, fd, r);
		memcpy(&step, s->script, sizeof(step));
		s->script += sizeof(step);
		s->left -= sizeof(step);
		if (!take_step(s, fd, r, &step))
			return false;
	} while (!(step.kind & STEP_DONE));
	return true;
}

/* ---- The connection ---- */

static bool send_option_reply(struct server *s, int fd, uint32_t option, uint32_t kind,
			      const void *data, size_t size)
{
	uint8_t buf[20 + 64];

	fuzz_put_be64(buf, 0x3e889045565a9);
	fuzz_put_be32(buf + 8, option);
	fuzz_put_be32(buf + 12, kind);
	fuzz_put_be32(buf + 16, (uint32_t)size);
	memcpy(buf + 20, data, size);
	return send_all(s, fd, buf, 20 + size);
}

static bool answer_option(struct server *s, int fd, uint32_t option)
{
	uint8_t export[12] = { 0 };

	fuzz_put_be64(export + 2, EXPORT_SIZE);
	export[11] = 3; /* has flags, and is read-only */
	if (option == 10 && !(s->flags & NO_HOLES))
		return send_option_reply(s, fd, option, 4, "\0\0\0\7base:allocation", 19) &&
		       send_option_reply(s, fd, option, 1, "", 0);
	if (option == 6 || option == 7)
		return send_option_reply(s, fd, option, 3, export, sizeof(export)) &&
		       send_option_reply(s, fd, option, 1, "", 0);
	return send_option_reply(s, fd, option, option == 8 ? 1 : 0x80000001, "", 0);
}

static bool shake_hands(struct server *s, int fd)
{
	uint8_t head[16];
	uint32_t option;

	if (!send_all(s, fd, "NBDMAGICIHAVEOPT\0\3", 18) || !skip(fd, 4))
		return false;
	do {
		uint32_t length;

		if (!receive(fd, head, sizeof(head)))
			return false;
		memcpy(&option, head + 8, 4);
		memcpy(&length, head + 12, 4);
		option = be32toh(option);
		if (!skip(fd, be32toh(length)) || !answer_option(s, fd, option))
			return false;
	} while (option != 7);
	return true;
}

static bool receive_request(int fd, struct request *r)
{
	uint8_t buf[28];

	if (!receive(fd, buf, sizeof(buf)))
		return false;
	memcpy(&r->kind, buf + 6, 2);
	memcpy(&r->cookie, buf + 8, 8);
	memcpy(&r->offset, buf + 16, 8);
	memcpy(&r->length, buf + 24, 4);
	r->kind = be16toh(r->kind);
	r->cookie = be64toh(r->cookie);
	r->offset = be64toh(r->offset);
	r->length = be32toh(r->length);
	return r->kind != 2;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct request r;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		if (s->flags & RAW_HANDSHAKE)
			send_bytes(s, fd, s->left);
		else if (shake_hands(s, fd))
			while (receive_request(fd, &r) && answer(s, fd, &r))
				;
		close(fd);
	}
	return NULL;
}

/* ---- The client ---- */

static void co_read(struct blk_node *node, const struct server *s, uint64_t offset)
{
	static uint8_t buf[READ_BYTES];

	memset(buf, POISON, sizeof(buf));
	if (blk_co_pread(node, offset, sizeof(buf), buf, 0) || s->any_bytes)
		return;
	for (uint64_t i = 0; i < sizeof(buf); i++)
		fuzz_require(buf[i] == byte_at(offset + i) || (!buf[i] && s->zeroes),
			     "a read that succeeded has a byte that was not sent");
}

static void co_use(void *arg)
{
	const char *name = "nbd+unix:///?socket=" SOCKET "&reconnect-delay=0&reply-timeout=1";
	struct blk_open_opts opts = { .format = "raw" };
	struct error err = ERROR_INIT;
	struct blk_status status;
	struct blk_node *node;
	uint64_t pos = 0;

	if (blk_co_open(&node, name, &opts, &err)) {
		fuzz_require(error_text(&err)[0] && !strchr(error_text(&err), '\n'),
			     "an error of other than one line");
		error_free(&err);
		return;
	}
	if (atomic_load(&node->size) == EXPORT_SIZE) {
		for (int i = 0; i < 8 && pos < EXPORT_SIZE; i++, pos += status.bytes)
			if (blk_co_status(node, pos, EXPORT_SIZE - pos, &status))
				break;
		for (uint64_t i = 0; i < 4; i++)
			co_read(node, arg, i * 24 * KiB);
	}
	(void)blk_co_close(node);
}

static int listen_there(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(SOCKET);
	fuzz_require(fd >= 0 && !bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, 4),
		     "no socket");
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server server = { .script = data + 1, .left = size - 1 };
	pthread_t thread;

	if (!size)
		return 0;
	/* A socket's path must be short, and the test's directory may be deep. */
	fuzz_require(!chdir(fuzz_scratch()), "no scratch folder");
	server.flags = data[0];
	server.listener = listen_there();
	fuzz_require(!pthread_create(&thread, NULL, serve, &server), "no thread");
	fuzz_run_co(co_use, &server);
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(server.listener);
	return 0;
}

/* ---- Seeds ---- */

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	/* A read of 20 KiB is one request: 160 times 64 bytes are half of it. */
	static const struct {
		uint8_t flags, len;
		uint8_t script[40];
	} seeds[] = {
		{ GOES_ON | NO_HOLES, 0, { 0 } },
		{ GOES_ON, 0, { 0 } },
		/* The same half twice; both halves, the second one first. */
		{ GOES_ON | NO_HOLES,
		  8,
		  { STEP_DATA, 160, 0, 0, STEP_DATA | STEP_DONE, 160, 0, 0 } },
		{ GOES_ON | NO_HOLES,
		  8,
		  { STEP_DATA, 160, 0, 40, STEP_HOLE | STEP_DONE, 160, 0, 0 } },
		{ GOES_ON | NO_HOLES, 8, { STEP_ALL, 0, 0, 0, STEP_HOLE | STEP_DONE, 1, 5, 0 } },
		{ GOES_ON | NO_HOLES, 4, { STEP_ERROR | STEP_DONE, 5, 0, 0 } },
		{ GOES_ON | NO_HOLES, 8, { STEP_ERROR_AT, 1, 9, 0, STEP_NONE | STEP_DONE } },
		{ GOES_ON | NO_HOLES, 4, { STEP_SIMPLE | STEP_DONE, 0, 0, 0 } },
		{ GOES_ON | NO_HOLES, 12, { STEP_BYTES, 4, 0, 0, 1, 2, 3, 4, STEP_HANG_UP } },
		{ GOES_ON, 20, { STEP_EXTENTS | STEP_DONE,
				 4,
				 0,
				 0,
				 1,
				 0,
				 0,
				 3,
				 0,
				 16,
				 0,
				 0,
				 0,
				 96,
				 0,
				 3,
				 0,
				 0,
				 1,
				 0 } },
		{ RAW_HANDSHAKE, 38,
		  "NBDMAGICIHAVEOPT\0\3\0\3\350\211\4UEe\251\0\0\0\5\200\0\0\1\0\0\0\0" },
	};

	if (n >= ARRAY_SIZE(seeds))
		return 0;
	buf[0] = seeds[n].flags;
	memcpy(buf + 1, seeds[n].script, seeds[n].len);
	return 1u + seeds[n].len;
}
