// SPDX-License-Identifier: GPL-2.0
/* The open image, and the asynchronous requests on it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "populate/populate.h"
#include "qed-io/session.h"
#include "qed-io/text.h"

void io_session_init(struct io_session *io)
{
	memset(io, 0, sizeof(*io));
	co_mutex_init(&io->changing);
}

void io_session_destroy(struct io_session *io)
{
	free(io->filename);
	free(io->format);
	blk_options_free(io->options);
	co_mutex_destroy(&io->changing);
}

/* Copy @how into the session; its strings may be the session's own. */
static int remember(struct io_session *io, const struct io_open *how, struct error *err)
{
	char *filename = how->filename ? strdup(how->filename) : NULL;
	char *format = how->format ? strdup(how->format) : NULL;
	struct blk_options *options = NULL;

	if ((how->filename && !filename) || (how->format && !format) ||
	    (how->options && (blk_options_new(&options, NULL) < 0 ||
			      blk_options_add_missing(options, how->options) < 0))) {
		free(filename);
		free(format);
		blk_options_free(options);
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	free(io->filename);
	free(io->format);
	blk_options_free(io->options);
	io->open = *how;
	io->open.filename = io->filename = filename;
	io->open.format = io->format = format;
	io->open.options = io->options = options;
	return 0;
}

static int co_open(struct io_session *io, const struct io_open *how)
{
	struct error err = ERROR_INIT;
	struct blk_node *node;
	int ret = io_co_open(&node, how, &err);

	if (ret == 0) {
		ret = remember(io, how, &err);
		if (ret < 0)
			(void)blk_co_close(node); /* nothing was written */
	}
	if (ret < 0) {
		if (how->filename)
			error_prefix(&err, "can't open device %s", how->filename);
		else
			error_prefix(&err, "can't open");
		io_error_free(&err);
		return ret;
	}
	io->node = node;
	return 0;
}

int io_session_co_open(struct io_session *io, const struct io_open *how)
{
	int ret;

	if (io->node) {
		io_error("file open already, try 'help close'");
		return -EEXIST;
	}
	co_mutex_lock(&io->changing);
	ret = co_open(io, how);
	co_mutex_unlock(&io->changing);
	return ret;
}

static int co_close(struct io_session *io)
{
	struct blk_node *node = io->node;
	int ret;

	/* Requests in flight have their own pointer; no new one must start. */
	io->node = NULL;
	io_session_co_drain(io);
	/* Scripts rely on copy-on-read having kept what was read. */
	populate_co_drain(node);
	ret = blk_co_close(node);
	if (ret < 0)
		io_error("%s: %s", io->filename ? io->filename : "image", strerror(-ret));
	return ret;
}

int io_session_co_close(struct io_session *io)
{
	int ret;

	if (!io->node)
		return 0;
	co_mutex_lock(&io->changing);
	ret = co_close(io);
	co_mutex_unlock(&io->changing);
	return ret;
}

void io_session_co_save(struct io_session *io)
{
	io->quit = true; /* no command starts any more */
	co_mutex_lock(&io->changing);
	/* The program ends anyway, so errors are ignored. */
	if (io->node && !io->running)
		(void)co_close(io);
	else if (io->node && (io->node->flags & BLK_O_RDWR))
		(void)blk_co_flush(io->node);
	co_mutex_unlock(&io->changing);
}

/* ---- Asynchronous requests ---- */

static void co_wait(struct io_waiter **list)
{
	struct io_waiter waiter = { co_self(), *list };

	*list = &waiter;
	co_park();
}

static void wake_all(struct io_waiter **list)
{
	struct io_waiter *waiter = *list, *next;

	*list = NULL;
	for (; waiter; waiter = next) {
		next = waiter->next; /* @waiter is invalid once its coroutine runs */
		co_wake(waiter->co);
	}
}

void io_session_begin(struct io_session *io)
{
	io->in_flight++;
}

void io_session_end(struct io_session *io)
{
	if (!--io->in_flight)
		wake_all(&io->idle);
}

void io_session_co_wait_told(struct io_session *io, bool returned)
{
	/* Print nothing before the command has returned, even if its request failed at once. */
	while (!returned || io->holding) {
		co_wait(&io->done);
		returned = true;
	}
}

void io_session_tell(struct io_session *io, bool holding)
{
	io->holding = holding;
	if (!holding)
		wake_all(&io->done);
}

void io_session_co_drain(struct io_session *io)
{
	io_session_tell(io, false);
	while (io->in_flight)
		co_wait(&io->idle);
}
