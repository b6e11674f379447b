/* SPDX-License-Identifier: GPL-2.0 */
/* The session: the open image, how it was opened, and asynchronous requests on it. */
#ifndef QEDBLK_QED_IO_SESSION_H
#define QEDBLK_QED_IO_SESSION_H

#include <stdbool.h>

#include "aio/lock.h"
#include "block/node.h"
#include "cmdline/options.h"
#include "image/image.h"

/* An image and how to open it. */
struct io_open {
	const char *filename; /* NULL: named by @options */
	const char *format; /* NULL: probe */
	const struct blk_options *options; /* further options, or NULL */
	bool read_only, snapshot, copy_on_read, force_share, discard_ignore;
	bool reopen; /* the image was open a moment ago */
	bool native_aio; /* requested; QEMU accepts it only with O_DIRECT */
	struct image_cache cache;
};

/* A coroutine that yields; on its stack. */
struct io_waiter {
	struct co *co;
	struct io_waiter *next;
};

/* All coroutines that use it run on one loop. */
struct io_session {
	struct blk_node *node; /* NULL: no image is open */
	/* How the image, or the previous one, was opened. Points to the fields below (heap). */
	struct io_open open;
	char *filename, *format;
	struct blk_options *options;

	struct co_mutex changing; /* held while @node is opened or closed */
	unsigned int in_flight; /* asynchronous requests */
	struct io_waiter *idle; /* wait until @in_flight is 0 */

	/*
	 * Completed requests whose results are not printed yet: nothing is printed while a command
	 * runs that does no I/O in qemu-io. The last one is printed first, as there.
	 */
	struct io_waiter *done;
	bool holding; /* such a command is running */
	bool written; /* since the last flush */

	bool running; /* a command that uses @node is running */
	bool image_opts; /* `open` takes options instead of a path */
	bool misalign; /* misalign buffers, within the limits of direct I/O */
	bool quit;
};

void io_session_init(struct io_session *io);
void io_session_destroy(struct io_session *io);
/*
 * Open an image. Coroutine; yields. Returns 0, or a negative errno after an error
 * message; -EEXIST: one is open already.
 */
int io_session_co_open(struct io_session *io, const struct io_open *how);
/*
 * Wait for requests in flight, then close the image, if one is open. Coroutine;
 * yields. Returns 0, or a negative errno after an error message.
 */
int io_session_co_close(struct io_session *io);
/*
 * Make completed writes durable before the process ends: close the image, or flush it if a
 * command is using it. No command starts afterwards. Called by another coroutine than that of
 * the commands; waits for a running open or close.
 */
void io_session_co_save(struct io_session *io);
/* Count an asynchronous request in and out; yield until none is in flight. */
void io_session_begin(struct io_session *io);
void io_session_end(struct io_session *io);
void io_session_co_drain(struct io_session *io);
/*
 * For a completed request: yield until its result may be printed. @returned: its
 * command has returned.
 */
void io_session_co_wait_told(struct io_session *io, bool returned);
/* Let results be printed from now on, or with @holding not. */
void io_session_tell(struct io_session *io, bool holding);

/* open.c */

/* Open an image. Coroutine; yields. Returns 0 or a negative errno with an error line. */
int io_co_open(struct blk_node **node, const struct io_open *how, struct error *err);
/* The options that `open` and the program have in common, for a struct @s with a struct io_open. */
#define IO_OPEN_OPTIONS(s)                                            \
	OPT_SWITCH('r', "read-only", s, how.read_only),               \
		OPT_SWITCH('s', "snapshot", s, how.snapshot),         \
		IO_OPEN_CALL('n', "nocache", CALL, s),                \
		OPT_SWITCH('C', "copy-on-read", s, how.copy_on_read), \
		OPT_SWITCH('k', "native-aio", s, how.native_aio),     \
		IO_OPEN_CALL('i', "aio", CALL_VALUE, s),              \
		IO_OPEN_CALL('d', "discard", CALL_VALUE, s),          \
		IO_OPEN_CALL('t', "cache", CALL_VALUE, s),            \
		OPT_SWITCH('U', "force-share", s, how.force_share)
#define IO_OPEN_CALL(l, n, k, s) \
	OPT(l, n, k, .field = OPT_FIELD(s, how, struct io_open), .call = io_open_take)
/* Returns 0, or -EINVAL after an error message. */
int io_open_take(void *verb, const struct verb_option *option, const char *value);
/* Parse -t. Returns 0, or -EINVAL after an error message. */
int io_parse_cache(const char *text, struct image_cache *cache);
/* Parse the value of -d and of the option discard. Returns 0 or -EINVAL. */
int io_parse_discard(const char *text, bool *ignore);
/*
 * Parse NAME=VALUE,... into *@options (NULL at first; heap), overriding what is in it. Returns
 * 0, or a negative errno after an error message.
 */
int io_parse_options(const char *text, struct blk_options **options);

/* Let other runnable coroutines run. */
static inline void io_co_yield(void)
{
	co_wake(co_self());
	co_park();
}

#endif
