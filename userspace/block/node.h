/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Nodes: an open image with its format driver and its backing chain.
 */
#ifndef QEDBLK_BLOCK_NODE_H
#define QEDBLK_BLOCK_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/driver.h"
#include "file/file.h"
#include "block/inflight.h"
#include "file/options.h"
#include "block/stats.h"

/* A chain longer than this is refused: it is a loop or an attack. */
#define BLK_MAX_CHAIN 200

enum blk_open_flags {
	BLK_O_RDWR = 1 << 0,
	BLK_O_DIRECT = 1 << 1, /* --cache none: O_DIRECT where it can be had */
	BLK_O_NO_LOCK = 1 << 2, /* -U: look at an image that somebody uses */
	BLK_O_NO_BACKING = 1 << 3, /* do not open the backing chain */
	BLK_O_CHECK = 1 << 4, /* for check: an image that needs one is opened as it is */
	BLK_O_DISCARD_IGNORE = 1 << 5, /* discards do nothing */
	BLK_O_REFUSE_BACKING = 1 << 6, /* an image that names a backing file is refused */
	BLK_O_BELOW = 1 << 7, /* backing_dir holds for the image itself, too; for reading */
	BLK_O_NO_FLUSH = 1 << 8, /* nothing is made durable: for images that can be made again */
	/* The caller has made it by blk_co_create() just now, as incomplete, and fills it. */
	BLK_O_INCOMPLETE = 1 << 9,
};

/*
 * A file in memory for what a driver has answered but not made durable.  It
 * outlives the process, so that a successor that serves the same users loses
 * nothing.  For the top of a chain, and drivers that keep such things.
 */
struct blk_rescue {
	int fd; /* open for reading and writing until the image is open */
	bool replay; /* a process that was killed filled it: take that over first */
	/* Changed slices and new tables of L2 that are noted at most; 0: as there is room for. */
	unsigned int max_slices, max_tables;
};

struct blk_open_opts {
	const char *format; /* driver name, or NULL to probe */
	unsigned int flags; /* BLK_O_* */
	const char *backing_format; /* overrides what the image says; NULL: by the image */
	/*
	 * The backing files, all of the chain, must lie below this folder: names come
	 * from images, and not all images are trusted.  NULL: anywhere.
	 */
	const char *backing_dir;
	/*
	 * So many images down the chain one is opened for writing, too, whatever the
	 * flags say of the image itself: 1 is the direct backing file.  0: none.
	 */
	unsigned int writable_depth;
	uint64_t l2_cache_size; /* bytes, 0: the default */
	const struct blk_rescue *rescue; /* or NULL */
	/*
	 * What else is said of the image (file/options.h), or NULL; they can also name
	 * the file.  Not changed.  To a driver: those that are its own.
	 */
	struct blk_options *options;
};

struct blk_create_opts {
	const char *filename;
	const char *format;
	uint64_t size; /* bytes, a multiple of 512 */
	uint32_t cluster_size; /* bytes, 0: the default */
	uint32_t table_size; /* clusters, 0: the default */
	const char *backing_file; /* as stored in the image, or NULL */
	const char *backing_format; /* or NULL: to be probed */
	bool exclusive; /* fail if the file exists */
	/*
	 * It is to be filled: until blk_co_set_complete() all refuse it who open it without
	 * BLK_O_INCOMPLETE, where the format can say so.
	 */
	bool incomplete;
};

struct blk_filter;

struct blk_node {
	const struct blk_driver *driver;
	void *opaque; /* the driver's */
	struct blk_file *file;
	char *filename;
	unsigned int flags; /* BLK_O_* */
	bool probed; /* the format was guessed */
	const char *protocol; /* the name by which its bytes were asked for as they are, or NULL */
	_Atomic uint64_t size; /* bytes */
	uint64_t file_start; /* bytes: where in the file the disk begins, if it is raw */
	uint32_t cluster_size; /* bytes: the unit of allocation and populating; 0: none */

	char *backing_name; /* as stored in the image; NULL: none */
	char *backing_format; /* as stored; NULL: probe */
	struct blk_options *backing_options; /* what options say of the backing file, or NULL */
	bool no_backing; /* an option says that there is none */
	/*
	 * Open for reading; NULL: none, or left out.  Streaming takes it away under
	 * requests: who uses it loads it once, and is in @inflight meanwhile.
	 */
	_Atomic(struct blk_node *) backing;

	/*
	 * Buffers for drivers that copy from the backing file (whole clusters, or
	 * pieces of large ones).  Ranks above the files' bounce pools; a driver may
	 * wait for one while it holds its locks.  Exists where there is a backing
	 * node.  Whoever holds one asks for no second.
	 */
	struct bufpool *copy_pool;
	struct blk_filter *filter; /* of reads (block/filter.h), or NULL */
	struct inflight inflight;
	struct blk_stats stats;
};

/*
 * Open an image, with its backing chain.  Coroutine.  @filename is a path, what a protocol
 * takes, or json:{...}; or NULL where the options say it.  The error line names the
 * file (of the chain) and the reason.
 */
int blk_co_open(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		struct error *err);

/*
 * Close it and its chain.  No request may be in flight.  Everything that was
 * answered is durable when 0 is returned; memory and descriptors are released
 * in any case.
 */
int blk_co_close(struct blk_node *node);

/*
 * Make @base, of @node's backing chain, its backing file (NULL: none), in the
 * image durably and for requests, which go on meanwhile.  What is unallocated in
 * @node must read alike by both.  The images that were between go to *@removed,
 * a chain that no request uses any more: the caller closes it.  Names of
 * the node (backing_name, backing_format) change: nobody may look at them meanwhile.
 * Coroutine; must not be in node->inflight.  The error line names the file.
 */
int blk_co_rebase(struct blk_node *node, struct blk_node *base, struct blk_node **removed,
		  struct error *err);

/*
 * Could blk_co_rebase() do that?  Looks at nothing but what is known of the chain.  *@name:
 * what the image is to call @base, as long as the chain stays as it is; NULL without one.
 */
int blk_check_rebase(struct blk_node *node, struct blk_node *base, const char **name,
		     struct error *err);

/*
 * Name another backing file in the image, for whoever opens it next: @name absolute, or
 * relative to the image; NULL: none.  @format NULL is to be probed.  Durable, with all
 * that was written before, when 0 is returned; a crash leaves the old name or the new
 * one.  @node's own chain stays as it is, and no request may be in flight.  The
 * error line names the image.
 */
int blk_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err);

/*
 * Have the image hold nothing any more: all of it shows the backing file, or zeroes.
 * A crash leaves any part of that done.  No request may be in flight.  -ENOTSUP where the
 * format cannot.  The error line names the image.
 */
int blk_co_make_empty(struct blk_node *node, struct error *err);

/* Make a new image.  An existing file is overwritten, unless it is in use or @exclusive. */
int blk_co_create(const struct blk_create_opts *opts, struct error *err);

/* The format as people call it: that of the driver, or a protocol's name. */
const char *blk_node_format(const struct blk_node *node);

/* The name that opens @node's backing file, seen from here (heap), or NULL: none. */
char *blk_backing_path(const struct blk_node *node);

/* @backing as named in image @filename, seen from here (heap). */
char *blk_resolve_backing(const char *filename, const char *backing);

/* How large an image that blk_co_create() makes becomes, filled from @source (NULL: empty). */
int blk_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err);

/*
 * An image that was made as incomplete is whole now.  Durable, and all that was written to it is
 * so before.  Coroutine.
 */
int blk_co_set_complete(struct blk_node *node);

/*
 * Have what was written to the image's file so far written to the disk, without waiting for it to
 * be durable.  So that a later flush has less to do; nothing where there is no page cache between.
 * Coroutine.
 */
void blk_co_write_out(struct blk_node *node);

/* Make durable that @filename, a file of this machine, is in its folder. */
int blk_co_sync_name(const char *filename);

/* What there is to tell of the image.  Returns 0 or a negative errno.  Coroutine. */
int blk_co_info(struct blk_node *node, struct blk_info *info);

/*
 * Look whether the image is consistent, and mend what @fix (BLK_FIX_*) names; -EPERM where it
 * is not open for writing then, -ENOTSUP where the format has no check.  @report (or NULL) gets a
 * line for each thing found.  Returns 0 when the check came to its end, whatever it found.  No
 * request may be in flight.  The error line names the image.  Coroutine.
 */
int blk_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		 void *report_arg, struct blk_check_result *result, struct error *err);

#endif
