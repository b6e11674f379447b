// SPDX-License-Identifier: GPL-2.0
/*
 * Watching the backing files of the served image: a coroutine of the main loop looks every few
 * seconds, and when a read for copy-on-read has failed, whether another program has changed one. A
 * change is logged once, and `status` warns of it. block/backing_record.h says what is compared.
 */
#include <stdlib.h>
#include <string.h>

#include "aio/co.h"
#include "aio/timer.h"
#include "populate/populate.h"
#include "server/server.h"
#include "server/watch.h"
#include "util/log.h"
#include "util/units.h"

#define WATCH_NS 3000000000ULL

static void on_change(void *arg, const struct blk_backing *file)
{
	const struct server *server = arg;
	char *text = device_image_backing_warning(&server->image, file);

	if (text)
		log_warning("%s: %s: %s", server->options->name, file->filename, text);
	else if (!file->kind)
		log_info("%s: %s: is again as it was", server->options->name, file->filename);
	free(text);
}

/* Record what is left of a chain that has become shorter. */
static void co_store(struct server *server)
{
	struct blk_node *node = server->image.node;
	int ret = node->flags & BLK_O_RDWR ? blk_backing_co_store(&server->image.backing, node) : 0;

	if (ret)
		log_info("%s: its backing files cannot be recorded: %s", server->image.path,
			 strerror(-ret));
}

/* Record the chain as it is after a commit. */
static void co_renew(struct server *server)
{
	int ret;

	server->watch_renew = false;
	ret = blk_backing_co_renew(&server->image.backing, server->image.node);
	if (ret)
		log_info("%s: its backing files are not all watched: %s", server->image.path,
			 strerror(-ret));
}

static void watch_fn(void *arg)
{
	struct server *server = arg;

	do {
		server_co_nap(server, WATCH_NS, &server->watch_wake);
		server->watch_wake = server->watch_stop;
		if (server->watch_renew)
			co_renew(server);
		if (server->image.backing.stale)
			co_store(server);
		blk_backing_co_look(&server->image.backing, server->image.node, on_change, server);
	} while (!server->watch_stop && (server->image.backing.nr || server->watch_renew));
	server->watching = false;
	server_changed(server);
}

static void wake(struct server *server)
{
	server->watch_wake = true;
	server_changed(server);
}

/* A read of a backing file has failed: look at once, but no more often than usual. */
static void on_source_failed(struct aio_post *post)
{
	struct server *server = container_of(post, struct server, source_failed);
	uint64_t now = aio_now();

	atomic_flag_clear(&server->source_has_failed);
	if (now - server->watch_early < WATCH_NS)
		return;
	server->watch_early = now;
	wake(server);
}

/* On any thread. */
static void source_failed(void *arg)
{
	struct server *server = arg;

	if (!atomic_flag_test_and_set(&server->source_has_failed))
		aio_loop_post(server->loop, &server->source_failed);
}

void server_watch_attach(struct server *server, struct blk_node *node)
{
	server->source_failed.fn = on_source_failed;
	populate_on_source_error(node, source_failed, server);
}

void server_watch_start(struct server *server)
{
	int ret;

	if (server->watching || !(server->image.backing.nr || server->watch_renew))
		return;
	server->watching = true;
	server->watch_stop = false;
	ret = co_start(watch_fn, server);
	if (!ret)
		return;
	server->watching = false;
	log_warning("%s: its backing files are not watched: %s", server->options->name,
		    strerror(-ret));
}

void server_watch_co_stop(struct server *server)
{
	server->watch_stop = true;
	wake(server);
	while (server->watching)
		server_co_wait_change(server);
}

void server_watch_follow(struct server *server)
{
	blk_backing_follow(&server->image.backing, server->image.node);
	wake(server);
}

void server_watch_renew(struct server *server)
{
	server->watch_renew = true;
	wake(server);
}
