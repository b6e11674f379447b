// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: opening an image with its backing chain, and closing it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/filter.h"
#include "block/image_name.h"
#include "block/node_internal.h"
#include "file/image_lock.h"
#include "file/name.h"
#include "file/protocol.h"
#include "util/units.h"

/* Buffers for copying, in bytes: all buffers of a pool, and the limits of one buffer. */
#define POOL_BYTES   (16 * MiB)
#define POOL_BUF_MIN (64 * KiB)
#define POOL_BUF_MAX (1 * MiB)

/* Flags that apply to an image with all that lies below it. */
#define FLAGS_OF_ALL (BLK_O_DIRECT | BLK_O_NO_LOCK | BLK_O_SHARE | BLK_O_NO_IO)

void blk_error_name_file(struct error *err, const char *filename)
{
	if (err && err->code && !error_after_name(err, filename))
		error_prefix(err, "%s", filename);
}

int blk_backing_name(const struct blk_node *node, char **name, struct error *err)
{
	*name = NULL;
	return node->backing_name ? blk_name_beside(node->filename, node->backing_name, name, err) :
				    0;
}

static void node_free(struct blk_node *node)
{
	if (node->copy_pool)
		bufpool_destroy(node->copy_pool);
	blk_file_co_close(node->file);
	blk_stats_destroy(&node->stats);
	free(node->filename);
	free(node->backing_name);
	free(node->backing_format);
	blk_options_free(node->backing_options);
	free(node);
}

static struct blk_node *node_alloc(const char *filename, unsigned int flags)
{
	struct blk_node *node;

	node = aligned_alloc(_Alignof(struct blk_node), sizeof(*node));
	if (!node)
		return NULL;
	memset(node, 0, sizeof(*node));
	inflight_init(&node->inflight);
	node->flags = flags;
	node->filename = strdup(filename);
	if (!node->filename || blk_stats_init(&node->stats)) {
		node_free(node);
		return NULL;
	}
	return node;
}

/* Open the file of @node, which is another image. */
static int open_nested(struct blk_node *node, const struct blk_open_opts *opts,
		       const struct blk_image_name *name, struct error *err)
{
	struct blk_open_opts below = {
		.options = name->below,
		/* Also the upper image's header is read by requests to the lower image. */
		.flags = (node->flags &
			  ((FLAGS_OF_ALL & ~BLK_O_NO_IO) | BLK_O_RDWR | BLK_O_NO_FLUSH)) |
			 (opts->flags & (BLK_O_BELOW | BLK_O_REFUSE_BACKING | BLK_O_BACKING)),
		.backing_dir = opts->backing_dir,
		.l2_cache_size = opts->l2_cache_size,
		.rescue = opts->rescue,
		.nesting = opts->nesting + 1,
	};
	const struct blk_driver *driver = name->format ? blk_driver_find(name->format) : NULL;

	/*
	 * The area has room for one image's metadata: the lower one's, where the upper one has
	 * none.
	 */
	if (opts->rescue && (node->flags & BLK_O_RDWR) && !(driver && driver->is_fallback))
		return error_set(err, -ENOTSUP,
				 "over another image it can be served for reading only, unless its "
				 "format is given as %s",
				 blk_driver_fallback()->name);
	return blk_co_open_nested(&node->file, node->filename, name->below_name, &below, err);
}

static int open_file(struct blk_node *node, const struct blk_open_opts *opts,
		     const struct blk_image_name *name, struct error *err)
{
	unsigned int flags = name->file_flags;

	if (name->below)
		return open_nested(node, opts, name, err);
	if (node->flags & BLK_O_RDWR)
		flags |= BLK_FILE_RDWR;
	if (node->flags & BLK_O_DIRECT)
		flags |= BLK_FILE_DIRECT;
	if (node->flags & BLK_O_NO_FLUSH)
		flags |= BLK_FILE_NO_FLUSH;
	/* Not locked yet: where a chain loops, the lock would conflict with our own. */
	if (opts->backing_dir && (opts->flags & BLK_O_BELOW))
		return blk_file_co_open_below(&node->file, node->filename, opts->backing_dir, flags,
					      err);
	return blk_file_co_open(&node->file, node->filename, flags, 0, 0, err);
}

/* Return -ELOOP if the file of @node is already in the chain of @top, to which it is added. */
static int check_loop(const struct blk_node *top, const struct blk_node *node, struct error *err)
{
	/* Parts of a file can be different images. A loop of such is too long a chain. */
	if (blk_nested_node(node->file))
		return 0;
	for (const struct blk_node *above = top; above; above = above->backing)
		if (blk_file_is_same(above->file, node->file))
			return error_set(err, -ELOOP, "the backing chain loops back to this file");
	return 0;
}

/*
 * Make durable what a killed writer may have left in a cache, before a decision is based on what
 * is read (rule R7 of ordering.rst).
 */
static int settle_file(struct blk_node *node, const struct blk_open_opts *opts, struct error *err)
{
	int ret = blk_file_co_settle(node->file);

	/* Users of a dead server continue as if nothing had happened: their flushes must fail. */
	if (blk_file_lost(node->file) && opts->rescue && opts->rescue->replay)
		return 0;
	return ret ? error_set_errno(err, ret,
				     "what was written to it before could not be made durable") :
		     0;
}

static int choose_driver(struct blk_node *node, const char *format, struct error *err)
{
	const struct blk_protocol *below = node->file->protocol;
	const struct blk_protocol *named = format ? blk_protocol_find(format) : NULL;
	int ret;

	/* A file that keeps nothing has no bytes to probe. */
	if (!format && node->file->keeps_nothing)
		format = blk_driver_fallback()->name;
	node->probed = !format;
	node->protocol = named ? named->name : NULL;
	if (named && (named->co_open ? below != named : below != NULL))
		return error_set(err, -EINVAL, "not a name of %s", format);
	if (format)
		ret = blk_driver_get(format, &node->driver, err);
	else
		ret = blk_co_probe(node->file, &node->driver, err);
	if (!ret && (node->flags & BLK_O_RDWR) && !node->driver->co_pwrite)
		ret = error_set(err, -ENOTSUP, "format %s cannot be written to",
				node->driver->name);
	return ret;
}

static int lock_and_settle(struct blk_node *node, const struct blk_driver *driver,
			   const struct blk_open_opts *opts, struct error *err)
{
	int ret = blk_node_co_lock(node, driver, err);

	return ret ? ret : settle_file(node, opts, err);
}

/* Lock the file as its format needs it, and find that from the bytes of the locked file. */
static int lock_for_driver(struct blk_node *node, const struct blk_open_opts *opts,
			   const char *format, struct error *err)
{
	const struct blk_driver *given = format ? blk_driver_find(format) : NULL;
	const struct blk_driver *assumed = given ? given : blk_driver_fallback();
	int ret = lock_and_settle(node, assumed, opts, err);

	if (!ret)
		ret = choose_driver(node, format, err);
	if (!ret && node->driver != assumed)
		ret = lock_and_settle(node, node->driver, opts, err);
	return ret;
}

/* Do the options of one image permit opening it with @flags (BLK_O_*)? */
static int check_name(const struct blk_image_name *name, unsigned int flags, struct error *err)
{
	if (name->read_only && (flags & BLK_O_RDWR))
		return error_set(err, -EACCES, "Block node is read-only");
	if (name->force_share && (flags & BLK_O_RDWR))
		return error_set(err, -EINVAL,
				 "force-share=on can only be used with read-only images");
	return 0;
}

/* Keep the options of the backing file until the chain is opened. */
static int keep_backing_options(struct blk_node *node, struct blk_image_name *name,
				struct error *err)
{
	node->no_backing = name->no_backing;
	if (!name->backing)
		return 0;
	if (node->flags & BLK_O_NO_BACKING)
		return error_set(err, -EINVAL,
				 "Block format '%s' does not support the option 'backing.%s'",
				 node->driver->name, blk_options_left(name->backing));
	if (!node->driver->has_backing)
		return error_set(err, -EINVAL, "Driver doesn't support backing files");
	node->backing_options = name->backing;
	name->backing = NULL;
	return 0;
}

/* Of a format over a format, reads of the file at the bottom must not become zeroes either. */
static void fix_end(struct blk_node *node)
{
	for (; node; node = blk_nested_node(node->file))
		node->file->fixed_end = !node->file->writable;
}

static int open_node(struct blk_node *node, const struct blk_node *top, struct blk_image_name *name,
		     const struct blk_open_opts *opts, struct error *err)
{
	struct blk_open_opts mine = *opts;
	int ret;

	mine.options = name->options;
	ret = open_file(node, opts, name, err);
	if (!ret) {
		if (top)
			fix_end(node);
		node->file->lasting = opts->flags & BLK_O_BACKING;
		ret = check_loop(top, node, err);
	}
	if (!ret)
		ret = lock_for_driver(node, opts, name->format, err);
	if (!ret)
		ret = node->driver->co_open(node, &mine, err);
	if (ret)
		return ret;
	ret = keep_backing_options(node, name, err);
	if (!ret)
		ret = blk_image_name_check_left(name, node->driver->name, err);
	if (ret)
		(void)node->driver->co_close(node); /* nothing was written */
	return ret;
}

/* Open one image, without its chain, to be added below the chain of @top (NULL: none). */
static int open_one(struct blk_node **node_out, const struct blk_node *top, const char *filename,
		    const struct blk_open_opts *opts, struct error *err)
{
	struct blk_image_name name;
	struct blk_node *node = NULL;
	int ret;

	ret = blk_image_name_parse(&name, filename, opts->format, opts->options, err);
	if (ret) {
		if (filename)
			blk_error_name_file(err, filename);
		return ret;
	}
	filename = name.filename;
	ret = check_name(&name, opts->flags, err);
	if (!ret) {
		node = node_alloc(filename, ((opts->flags & ~BLK_O_BACKING) | name.flags_on) &
						    ~name.flags_off);
		ret = node ? open_node(node, top, &name, opts, err) : -ENOMEM;
	}
	if (ret) {
		/* Sets a line only where the driver returned an errno without one. */
		error_set_errno(err, ret, "%s", filename);
		blk_error_name_file(err, filename);
		if (node)
			node_free(node);
	} else {
		*node_out = node;
	}
	blk_image_name_free(&name);
	return ret;
}

int blk_node_co_open_one(struct blk_node **node, const char *filename,
			 const struct blk_open_opts *opts, struct error *err)
{
	return open_one(node, NULL, filename, opts, err);
}

/*
 * Open the backing file of @node, to be added below the chain of @top (NULL: none).  @flags besides
 * those of @top_opts.
 */
static int open_below(struct blk_node **backing, const struct blk_node *top,
		      const struct blk_node *node, const char *format, unsigned int flags,
		      const struct blk_open_opts *top_opts, struct error *err)
{
	struct blk_options *options = node->backing_options;
	bool elsewhere = options && blk_options_say_file(options);
	struct blk_open_opts opts = {
		.format = format ? format : node->backing_format,
		.options = options,
		.flags = BLK_O_BACKING | (top_opts->flags & FLAGS_OF_ALL) |
			 (top_opts->backing_dir ? BLK_O_BELOW : 0) | flags,
		.backing_dir = top_opts->backing_dir,
		.l2_cache_size = top_opts->l2_cache_size,
		.nesting = top_opts->nesting,
	};
	char *name = NULL;
	int ret = elsewhere ? 0 : blk_backing_name(node, &name, err);

	if (ret) {
		blk_error_name_file(err, node->filename);
		return ret;
	}
	/* An option wins over what the image says. */
	if (options && blk_options_has(options, "driver"))
		opts.format = NULL;
	ret = open_one(backing, top, name, &opts, err);
	free(name);
	return ret;
}

/* Open the backing file of @node, the last of the chain that starts at @top, as number @depth. */
static int open_backing(struct blk_node *top, struct blk_node *node, unsigned int depth,
			const char *format, const struct blk_open_opts *top_opts, struct error *err)
{
	unsigned int flags = depth == top_opts->writable_depth ? BLK_O_RDWR : 0;
	struct blk_node *backing = NULL;
	int ret = open_below(&backing, top, node, format, flags, top_opts, err);

	node->backing = backing;
	/* What lies above depends on its size. */
	if (!ret && flags & BLK_O_RDWR)
		ret = blk_co_permit(backing, 0, IMAGE_PERM_ALL & ~IMAGE_PERM_RESIZE, err);
	return ret;
}

int blk_node_co_open_again(struct blk_node **again, const struct blk_node *above,
			   unsigned int flags, const struct blk_open_opts *opts, struct error *err)
{
	const struct blk_node *old = above->backing;
	unsigned int kept = old->flags & FLAGS_OF_ALL;
	struct blk_open_opts all = *opts;
	struct blk_node *node;
	int ret;

	all.flags = kept | BLK_O_NO_LOCK;
	/* Not probed again: what was written meanwhile may look like another format. */
	ret = open_below(&node, NULL, above, blk_node_format(old), flags, &all, err);
	if (ret)
		return ret;
	node->flags = (node->flags & ~BLK_O_NO_LOCK) | kept;
	node->probed = old->probed;
	fix_end(node);
	if (!blk_file_is_same(node->file, old->file) || node->driver != old->driver ||
	    atomic_load(&node->size) != atomic_load(&old->size)) {
		ret = error_set(err, -ESTALE, "%s: is another file now", old->filename);
		(void)blk_co_close(node);
		return ret;
	}
	*again = node;
	return 0;
}

static bool wants_backing(const struct blk_node *node)
{
	return !node->no_backing && (node->backing_name || node->backing_options);
}

static int open_chain(struct blk_node *top, const struct blk_open_opts *opts, struct error *err)
{
	const char *format = opts->backing_format; /* of the direct backing file only */
	unsigned int depth = 0;

	for (struct blk_node *node = top; wants_backing(node); node = node->backing) {
		int ret;

		if (opts->flags & BLK_O_REFUSE_BACKING)
			return error_set(
				err, -EPERM, "%s: has the backing file %s, and none is allowed",
				node->filename,
				node->backing_name ? node->backing_name : "of its options");
		if (++depth >= BLK_MAX_CHAIN)
			return error_set(err, -ELOOP,
					 "%s: more than %u images in its backing chain",
					 top->filename, BLK_MAX_CHAIN);
		ret = open_backing(top, node, depth, format, opts, err);
		if (ret)
			return ret;
		format = NULL;
	}
	return 0;
}

static int create_pool(struct blk_node *node)
{
	uint64_t size = max_u64(POOL_BUF_MIN, min_u64(node->cluster_size, POOL_BUF_MAX));

	return node->backing ? bufpool_create(&node->copy_pool, size, POOL_BYTES / size) : 0;
}

int blk_node_co_start(struct blk_node *node, struct error *err)
{
	int ret = create_pool(node);

	if (!ret && node->driver->co_start)
		ret = node->driver->co_start(node, err);
	if (ret) {
		error_set_errno(err, ret, "%s", node->filename);
		blk_error_name_file(err, node->filename);
	}
	return ret;
}

/* Start the nodes of a chain, the lowest first, since the others read from it. */
static int start_chain(struct blk_node *top, struct error *err)
{
	struct blk_node *below = NULL; /* started already */

	do {
		struct blk_node *node = top;
		int ret;

		while (node->backing != below)
			node = node->backing;
		ret = blk_node_co_start(node, err);
		if (ret)
			return ret;
		below = node;
	} while (below != top);
	return 0;
}

const char *blk_node_format(const struct blk_node *node)
{
	return node->protocol ? node->protocol : node->driver->name;
}

int blk_co_open(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		struct error *err)
{
	struct blk_node *top;
	int ret = open_one(&top, NULL, filename, opts, err);

	if (ret)
		return ret;
	if (!(opts->flags & BLK_O_NO_BACKING))
		ret = open_chain(top, opts, err);
	if (!ret)
		ret = start_chain(top, err);
	if (ret) {
		/* The first error is the one that matters to the user. */
		(void)blk_co_close(top);
		return ret;
	}
	*node = top;
	return 0;
}

int blk_co_close(struct blk_node *node)
{
	int first_error = 0;

	while (node) {
		struct blk_node *backing = node->backing;
		int ret;

		if (node->filter)
			node->filter->ops->co_detach(node);
		ret = node->driver->co_close(node);
		if (ret && !first_error)
			first_error = ret;
		node_free(node);
		node = backing;
	}
	return first_error;
}
