// SPDX-License-Identifier: GPL-2.0
/* The open image, and the asynchronous requests on it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "populate/populate.h"
#include "image/image.h"
#include "qed-io/io.h"
#include "util/units.h"

void io_session_init(struct io_session *io)
{
	memset(io, 0, sizeof(*io));
	co_mutex_init(&io->changing);
	pthread_mutex_init(&io->mutex, NULL);
	co_queue_init(&io->idle);
}

static unsigned int open_flags(const struct io_open *how)
{
	return (how->read_only ? 0 : BLK_O_RDWR) | (how->cache.direct ? BLK_O_DIRECT : 0) |
	       (how->force_share ? BLK_O_NO_LOCK : 0) |
	       (how->discard_ignore ? BLK_O_DISCARD_IGNORE : 0);
}

void io_session_destroy(struct io_session *io)
{
	free(io->filename);
	free(io->format);
	blk_options_free(io->options);
	co_mutex_destroy(&io->changing);
	pthread_mutex_destroy(&io->mutex);
}

static int check_how(const struct io_open *how, struct error *err)
{
	if (how->read_only && how->copy_on_read)
		return error_set(err, -EINVAL, "Can't use copy-on-read on read-only device");
	if (!how->read_only && !how->snapshot && how->force_share)
		return error_set(err, -EINVAL,
				 "force-share=on can only be used with read-only images");
	if (how->native_aio && !how->cache.direct)
		return error_set(err, -EINVAL,
				 "aio=native was specified, but it requires "
				 "cache.direct=on, which was not specified.");
	return 0;
}

static int co_open_node(struct blk_node **node, const struct io_open *how, struct error *err)
{
	struct blk_open_opts opts = {
		.format = how->format,
		.flags = open_flags(how),
		.options = (struct blk_options *)how->options, /* which is not changed */
	};
	int ret;

	if (!how->filename && !how->options)
		return error_set(err, -EINVAL, "Must specify either driver or file");
	if (how->snapshot)
		ret = io_snapshot_co_open(node, how, opts.flags, err);
	else
		ret = image_co_open(node, how->filename, &opts, err);
	if (ret || !how->copy_on_read)
		return ret;
	ret = populate_co_attach(*node, true, err);
	if (ret)
		(void)blk_co_close(*node); /* nothing was written */
	return ret;
}

/* Is it the error of opening a read-only format or export for writing? */
static bool is_of_what_is_read(int ret, const struct io_open *how)
{
	return ret == -ENOTSUP ||
	       (ret == -EROFS && (!how->filename || blk_name_is_url(how->filename)));
}

/*
 * Open for writing by default. A read-only format or export is then opened read-only,
 * and commands that write fail.
 */
static int co_open_any(struct blk_node **node, const struct io_open *how, struct error *err)
{
	struct io_open read_only = *how;
	int ret = check_how(how, err);

	if (ret < 0)
		return ret;
	ret = co_open_node(node, how, err);
	if (!is_of_what_is_read(ret, how) || how->read_only || how->copy_on_read)
		return ret;
	/* The failed open did not check the image itself: open again. */
	error_free(err);
	read_only.read_only = true;
	return co_open_node(node, &read_only, err);
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
	int ret = co_open_any(&node, how, &err);

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

void io_session_begin(struct io_session *io)
{
	pthread_mutex_lock(&io->mutex);
	io->in_flight++;
	pthread_mutex_unlock(&io->mutex);
}

void io_session_end(struct io_session *io)
{
	pthread_mutex_lock(&io->mutex);
	if (!--io->in_flight)
		co_queue_wake_all(&io->idle);
	pthread_mutex_unlock(&io->mutex);
}

void io_session_co_wait_told(struct io_session *io, bool returned)
{
	struct io_done done = { .co = co_self() };

	/* Print nothing before the command has returned, even if its request failed at once. */
	while (!returned || io->holding) {
		done.next = io->done;
		io->done = &done;
		co_park();
		returned = true;
	}
}

void io_session_tell(struct io_session *io, bool holding)
{
	struct io_done *done = io->done, *next;

	io->holding = holding;
	if (holding)
		return;
	io->done = NULL;
	for (; done; done = next) {
		next = done->next; /* @done is invalid once its coroutine runs */
		co_wake(done->co);
	}
}

void io_session_co_drain(struct io_session *io)
{
	io_session_tell(io, false);
	pthread_mutex_lock(&io->mutex);
	while (io->in_flight)
		co_queue_wait(&io->idle, &io->mutex);
	pthread_mutex_unlock(&io->mutex);
}

unsigned int io_session_write_flags(const struct io_session *io)
{
	return io->open.cache.writethrough ? BLK_REQ_FUA : 0;
}

int io_session_co_flush(struct io_session *io)
{
	return io->open.cache.no_flush ? 0 : blk_co_flush(io->node);
}
