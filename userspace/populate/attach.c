// SPDX-License-Identifier: GPL-2.0
/*
 * Attach to a node, as its filter of reads: copy-on-read, the background thread that keeps what was
 * read, and traces.
 */
#include <errno.h>
#include <stdlib.h>

#include "aio/bufpool.h"
#include "populate/internal.h"
#include "util/units.h"

/*
 * Bytes of all buffers together, and the limits of one: a buffer holds the longest request of a
 * guest.
 */
#define POOL_BYTES   (16 * MiB)
#define POOL_BUF_MIN (512 * KiB)
#define POOL_BUF_MAX (1 * MiB)

static void populate_free(struct populate *p)
{
	pthread_mutex_destroy(&p->mutex);
	background_destroy(&p->bg);
	range_lock_destroy(&p->ranges);
	pending_destroy(&p->set);
	if (p->pool)
		bufpool_destroy(p->pool);
	free(p);
}

static void co_detach(struct blk_node *node)
{
	struct populate *p = populate_of(node);

	trace_abandon(p);
	populate_co_stop(p);
	populate_drop_handed(p);
	node->filter = NULL;
	populate_free(p);
}

static const struct blk_filter_ops populate_ops = {
	.co_read = populate_co_read,
	.seen = trace_seen,
	.co_detach = co_detach,
};

struct populate *populate_of(const struct blk_node *node)
{
	if (!node->filter || node->filter->ops != &populate_ops)
		return NULL;
	return container_of(node->filter, struct populate, filter);
}

static bool may_populate(const struct blk_node *node)
{
	return node->backing && (node->flags & BLK_O_RDWR) && node->cluster_size;
}

/* Allocate the memory for populating. */
static int make_room(struct populate *p)
{
	struct blk_node *node = p->node;
	uint64_t size = max_u64(POOL_BUF_MIN, min_u64(node->cluster_size, POOL_BUF_MAX));
	unsigned int slots;
	int ret = bufpool_create(&p->pool, size, POOL_BYTES / size);

	if (ret)
		return ret;
	slots = min_u64(POPULATE_HANDED, bufpool_count(p->pool) / 2);
	for (unsigned int i = 0; i < slots; i++)
		cds_list_add(&p->slots[i].link, &p->spare);
	if (pending_init(&p->set, div_round_up(atomic_load(&node->size), node->cluster_size)))
		return -ENOMEM;
	return 0;
}

static struct populate *populate_new(struct blk_node *node)
{
	struct populate *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->filter.ops = &populate_ops;
	p->node = node;
	background_init(&p->bg);
	range_lock_init(&p->ranges);
	pthread_mutex_init(&p->mutex, NULL);
	co_queue_init(&p->wakeup);
	co_queue_init(&p->idle);
	CDS_INIT_LIST_HEAD(&p->handed);
	CDS_INIT_LIST_HEAD(&p->spare);
	return p;
}

int populate_co_attach(struct blk_node *node, bool keep_reads, struct error *err)
{
	struct populate *p = populate_new(node);
	int ret = p ? 0 : -ENOMEM;

	if (!ret && may_populate(node)) {
		ret = make_room(p);
		p->filter.takes_reads = keep_reads;
	}
	if (ret) {
		if (p)
			populate_free(p);
		return error_set_errno(err, ret, "%s", node->filename);
	}
	node->filter = &p->filter;
	/* Started here, so that the first reader does not wait for it. */
	return p->filter.takes_reads ? populate_co_start_background(node, err) : 0;
}

void populate_co_detach(struct blk_node *node)
{
	if (populate_of(node))
		co_detach(node);
}

void populate_co_pause(struct blk_node *node)
{
	struct populate *p = populate_of(node);

	/* Barred first: a reader would start a thread whose worker ends at once. */
	background_co_bar(&p->bg, true);
	populate_co_stop(p);
}

void populate_co_resume(struct blk_node *node)
{
	struct populate *p = populate_of(node);

	atomic_store(&p->stop, false);
	background_co_bar(&p->bg, false);
	/* Otherwise the next reader tries it. */
	if (p->filter.takes_reads)
		(void)populate_co_start_background(node, NULL);
}

void populate_on_source_error(struct blk_node *node, void (*fn)(void *arg), void *arg)
{
	struct populate *p = populate_of(node);

	p->on_source_error = fn;
	p->on_source_error_arg = arg;
}

bool populate_can(const struct blk_node *node)
{
	const struct populate *p = populate_of(node);

	return p && p->pool;
}

int populate_co_keep_reads(struct blk_node *node, bool keep, struct error *err)
{
	struct populate *p = populate_of(node);
	int ret = 0;

	if (keep && (!p || !p->pool || !node->backing))
		return error_set(err, -ENOTSUP,
				 "there is no backing file to read from, or the "
				 "image is read-only");
	if (keep)
		ret = populate_co_start_background(node, err);
	if (!ret && p)
		atomic_store(&p->filter.takes_reads, keep);
	return ret;
}

bool populate_keeps_reads(const struct blk_node *node)
{
	return blk_filter_takes(node, 0);
}

int populate_co_start_background(struct blk_node *node, struct error *err)
{
	struct populate *p = populate_of(node);

	if (!p || !p->pool)
		return error_set(err, -ENOTSUP, "there is nothing to populate");
	return background_co_start(&p->bg, populate_main_worker, p, err);
}

struct aio_loop *populate_background_loop(struct blk_node *node)
{
	struct populate *p = populate_of(node);

	return p ? background_loop(&p->bg) : NULL;
}
