// SPDX-License-Identifier: GPL-2.0
/*
 * Remove images from a node's backing chain while requests are in flight.
 */
#include <errno.h>
#include <string.h>

#include "aio/sys.h"
#include "block/io.h"
#include "block/node_internal.h"
#include "file/name.h"

/* The interval, ns, of checking whether requests that may use the old chain are over. */
#define LOOK_NS 2000000ULL

static bool is_in_chain(struct blk_node *node, const struct blk_node *base)
{
	for (node = node->backing; node; node = node->backing)
		if (node == base)
			return true;
	return !base;
}

/*
 * Find the name of @base to store in an image: the one that the image above it has, where that is
 * the same in all directories, else the file's.  Options of an image further up cannot be stored.
 */
static int name_of(const struct blk_node *above, const struct blk_node *base, const char **name,
		   struct error *err)
{
	if (above->backing_options)
		return error_set(err, -ENOTSUP, "%s: only options of another image say what it is",
				 base->filename);
	*name = above->backing_name && blk_name_has_protocol(above->backing_name) ?
			above->backing_name :
			base->filename;
	return 0;
}

void blk_co_wait_requests(struct blk_node *node)
{
	uint64_t ticket = inflight_ticket(&node->inflight);

	/* No request wakes a waiter: each would have to read memory that other threads write. */
	while (!inflight_passed(&node->inflight, ticket))
		aio_co_sleep(LOOK_NS);
}

int blk_check_rebase(struct blk_node *node, struct blk_node *base, const char **name,
		     struct error *err)
{
	const struct blk_driver *driver = node->driver;
	struct blk_node *last = node->backing;
	int ret = 0;

	*name = NULL;
	if (!driver->co_change_backing)
		return error_set(err, -ENOTSUP, "%s: format %s cannot change its backing file",
				 node->filename, driver->name);
	if (!last || last == base || !is_in_chain(node, base))
		return error_set(err, -EINVAL, "%s: not in the backing chain of %s",
				 base ? base->filename : "no backing file", node->filename);
	if (!base)
		return 0;
	while (last->backing != base)
		last = last->backing;
	ret = name_of(last, base, name, err);
	if (!ret && driver->check_backing)
		ret = driver->check_backing(node, *name, err);
	if (ret)
		blk_error_name_file(err, node->filename);
	return ret;
}

int blk_co_rebase_below(struct blk_node *top, struct blk_node *node, struct blk_node *base,
			struct blk_node **removed, struct error *err)
{
	struct blk_node *old = node->backing, *last = old;
	const char *name;
	int ret;

	*removed = NULL;
	ret = blk_check_rebase(node, base, &name, err);
	if (ret)
		return ret;
	while (last->backing != base)
		last = last->backing;
	/*
	 * No cluster shows the removed images any more.  But a request may have found one
	 * unallocated before, and load the backing file only now: it must still find it.
	 */
	blk_co_wait_requests(top);
	ret = node->driver->co_change_backing(node, name, base ? base->driver->name : NULL, err);
	if (ret) {
		blk_error_name_file(err, node->filename);
		return ret;
	}
	node->backing = base;
	/* A request that loaded the old pointer is still in flight. */
	blk_co_wait_requests(top);
	last->backing = NULL;
	*removed = old;
	return 0;
}

int blk_co_rebase(struct blk_node *node, struct blk_node *base, struct blk_node **removed,
		  struct error *err)
{
	return blk_co_rebase_below(node, node, base, removed, err);
}
