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
	BLK_O_DIRECT = 1 << 1, /* --cache none: O_DIRECT where it is supported */
	BLK_O_NO_LOCK = 1 << 2, /* -U: open an image that another process uses */
	BLK_O_NO_BACKING = 1 << 3, /* do not open the backing chain */
	BLK_O_CHECK = 1 << 4, /* for check: open an image that needs one without repairing it */
	BLK_O_DISCARD_IGNORE = 1 << 5, /* discards do nothing */
	BLK_O_REFUSE_BACKING = 1 << 6, /* an image that names a backing file is refused */
	BLK_O_BELOW = 1 << 7, /* backing_dir applies to the image itself, too */
	BLK_O_NO_FLUSH = 1 << 8, /* nothing is made durable: for images that can be recreated */
	/* The caller has just made it with blk_co_create(), as incomplete, and fills it. */
	BLK_O_INCOMPLETE = 1 << 9,
	/*
	 * Other processes may write to the image and its chain meanwhile, where its format
	 * permits that: metadata may not change, but a raw image has none.
	 */
	BLK_O_SHARE = 1 << 10,
	/*
	 * For names and blk_co_info(): no request follows, and what only requests need is not
	 * needed, permissions included.
	 */
	BLK_O_NO_IO = 1 << 11,
	BLK_O_RESIZE = 1 << 12, /* refuse an image that blk_co_truncate() could not resize now */
	/*
	 * With BLK_O_CHECK: only tables are read, so open an image whose data cannot be read, too.
	 * The node may be empty.
	 */
	BLK_O_METADATA = 1 << 13,
	BLK_O_BACKING = 1 << 14, /* it is opened as a backing file */
	/* Set before it is closed: another node reads the file, so no data in it may move. */
	BLK_O_LEAVE = 1 << 15,
};

/*
 * A file in memory for writes that a driver has completed but not made durable.
 * It outlives the process, so that a successor that serves the same users loses
 * nothing.  For the top of a chain, and for drivers that support it.
 */
struct blk_rescue {
	int fd; /* open for reading and writing until the image is open */
	bool replay; /* a killed process filled it: replay that first */
	/* Another image of this process uses it until blk_begin_rescue() (block/overlay.h). */
	bool later;
	/* The most dirty slices and new tables of L2 that are recorded; 0: as many as fit. */
	unsigned int max_slices, max_tables;
};

struct blk_open_opts {
	const char *format; /* driver name, or NULL to probe */
	unsigned int flags; /* BLK_O_* */
	const char *backing_format; /* overrides what the image says; NULL: as in the image */
	/*
	 * All backing files of the chain must lie below this folder: names come
	 * from images, and not all images are trusted.  NULL: anywhere.
	 */
	const char *backing_dir;
	/*
	 * The depth of a backing file that is opened for writing, too, whatever the
	 * flags are for the image itself: 1 is the direct backing file.  0: none.
	 */
	unsigned int writable_depth;
	uint64_t l2_cache_size; /* bytes, 0: the default */
	const struct blk_rescue *rescue; /* or NULL */
	/*
	 * Further options of the image (file/options.h), or NULL; they can also name
	 * the file.  Not changed.  A driver gets its own options only.
	 */
	struct blk_options *options;
	unsigned int nesting; /* the images whose file it is part of; set by this layer */
};

struct blk_create_opts {
	const char *filename; /* a place (file/name.h) */
	const char *format;
	uint64_t size; /* bytes, a multiple of 512 */
	uint32_t cluster_size; /* bytes, 0: as @options says */
	uint32_t table_size; /* clusters, 0: as @options says */
	const char *backing_file; /* as stored in the image, or NULL */
	const char *backing_format; /* or NULL: to be probed */
	bool exclusive; /* fail if the file exists */
	/* Options of the format and of its file, by their rows, or NULL; marked as taken. */
	struct blk_options *options;
	enum blk_prealloc prealloc; /* of @options: set by blk_co_create() */
	/*
	 * The caller fills the image.  Until blk_co_set_complete() it cannot be opened without
	 * BLK_O_INCOMPLETE, where the format can express that.
	 */
	bool incomplete;
};

struct blk_filter;

struct blk_node {
	const struct blk_driver *driver;
	void *opaque; /* the driver's */
	struct blk_file *file;
	char *filename; /* the image's place (file/name.h) */
	unsigned int flags; /* BLK_O_* */
	bool probed; /* the format was guessed */
	const char *protocol; /* the protocol name that was given as its format, or NULL */
	_Atomic uint64_t size; /* bytes */
	uint64_t file_start; /* bytes: where in the file the disk begins, if it is raw */
	uint32_t cluster_size; /* bytes: the unit of allocation and populating; 0: none */

	char *backing_name; /* as stored in the image; NULL: none */
	char *backing_format; /* as stored; NULL: probe */
	struct blk_options *backing_options; /* options of the backing file, or NULL */
	bool no_backing; /* an option says that there is none */
	/*
	 * Open for reading; NULL: none, or skipped.  Streaming removes it while requests
	 * are in flight: a user loads it once, and is in @inflight while it uses it.
	 */
	_Atomic(struct blk_node *) backing;

	/*
	 * Buffers for drivers that copy from the backing file (whole clusters, or
	 * pieces of large ones).  In the lock order they come before the files' bounce
	 * pools; a driver may wait for one while it holds its locks.  The pool exists
	 * where there is a backing node.  A coroutine that holds a buffer must not take
	 * a second one.
	 */
	struct bufpool *copy_pool;
	struct blk_filter *filter; /* of reads (block/filter.h), or NULL */
	struct inflight inflight;
	struct blk_stats stats;
};

/*
 * Open an image, with its backing chain.  Coroutine; yields.  @filename is a name (file/name.h);
 * NULL where the options contain it.  The caller closes *@node with blk_co_close().  Returns 0 or a
 * negative errno; the error line names the file (of the chain) and the reason.
 */
int blk_co_open(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		struct error *err);

/*
 * Close @node and its chain.  No request may be in flight.  All completed writes
 * are durable when it returns 0; memory and descriptors are released in any case.
 * Coroutine; yields.
 */
int blk_co_close(struct blk_node *node);

/*
 * Make @base, of @node's backing chain, its backing file (NULL: none): durably in
 * the image, and for requests, which continue meanwhile.  Unallocated clusters of
 * @node must read the same from both.  The images in between are returned in
 * *@removed, a chain that no request uses any more: the caller closes it.  Names
 * of the node (backing_name, backing_format) change: no thread may read them meanwhile.
 * Coroutine; yields; must not be in node->inflight.  The error line names the file.
 */
int blk_co_rebase(struct blk_node *node, struct blk_node *base, struct blk_node **removed,
		  struct error *err);

/* The same for @node in the backing chain of @top, to which requests are made. */
int blk_co_rebase_below(struct blk_node *top, struct blk_node *node, struct blk_node *base,
			struct blk_node **removed, struct error *err);

/*
 * Open the backing file of @above, which is @top or in its backing chain, again: for writing, or
 * for reading only.  Requests to @top continue; nothing else uses the chain meanwhile, and a node
 * that is open for writing gets no more writes.  above->backing is another node afterwards.  @opts:
 * backing_dir and l2_cache_size as the chain was opened with.  Returns 0 or a negative errno with
 * an error line that names the file, and then above->backing is as it was; -EBUSY where another
 * process uses the image.  Coroutine of the loop that opened the chain; yields; must not be in
 * top->inflight.
 */
int blk_co_reopen_backing(struct blk_node *top, struct blk_node *above, bool writable,
			  const struct blk_open_opts *opts, struct error *err);

/*
 * Can blk_co_rebase() do that?  Reads the nodes of the chain only, no file.  *@name is set to the
 * name that the image will have for @base, valid while the chain is unchanged; NULL without @base.
 * Returns 0 or a negative errno.
 */
int blk_check_rebase(struct blk_node *node, struct blk_node *base, const char **name,
		     struct error *err);

/*
 * Record another backing file in the image, for the next open: @name absolute, or
 * relative to the image; NULL: none.  @format NULL is to be probed.  Durable, with all
 * earlier writes, when it returns 0; a crash leaves the old name or the new one.
 * @node's own chain stays as it is, and no request may be in flight.  Coroutine; yields.
 * The error line names the image.
 */
int blk_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err);

/*
 * Free all clusters of the image: all of it shows the backing file, or zeroes.  A crash
 * leaves any part of that done.  No request may be in flight.  -ENOTSUP where the format
 * does not support it.  Coroutine; yields.  The error line names the image.
 */
int blk_co_make_empty(struct blk_node *node, struct error *err);

/*
 * Make a new image.  An existing file is overwritten, unless it is in use or @exclusive is set.
 * Coroutine; yields.
 */
int blk_co_create(const struct blk_create_opts *opts, struct error *err);

/*
 * Return row @index of the options of a new image of @driver, or NULL after the last: size, backing
 * file, those of the driver, and with @of_file those of its file.
 */
const struct blk_option_row *blk_create_option(const struct blk_driver *driver, bool of_file,
					       size_t index);

/* For drivers: return @opts' value of the option @name of the driver's rows, a size. */
uint64_t blk_create_number(const struct blk_create_opts *opts, const char *name);

/* Return the format's name for display: that of the driver, or a protocol's name. */
const char *blk_node_format(const struct blk_node *node);

/*
 * Set *@name (heap) to the name of @node's backing file from the current directory; NULL if there
 * is none.  Returns 0 or a negative errno with an error line.
 */
int blk_backing_name(const struct blk_node *node, char **name, struct error *err);

/*
 * Compute the size of an image that blk_co_create() makes, filled from @source (NULL: empty).
 * Coroutine; yields.
 */
int blk_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err);

/*
 * Mark an image that was made as incomplete as complete, durably, after all earlier writes are
 * durable.  Coroutine; yields.
 */
int blk_co_set_complete(struct blk_node *node);

/*
 * Start writeback of the image file's dirty pages, without waiting until they are durable, so that
 * a later flush has less to do.  Does nothing where there is no page cache in between.  Coroutine;
 * yields.
 */
void blk_co_write_out(struct blk_node *node);

/* Make the directory entry of @filename, a place, durable.  Coroutine; yields. */
int blk_co_sync_name(const char *filename);

/*
 * Take further permissions on an open image (file/image_lock.h), and deny others all but @shared.
 * They last until it is closed.  Coroutine; yields.  Returns 0, -EBUSY where another process is in
 * the way, or another negative errno, with an error line.
 */
int blk_co_permit(struct blk_node *node, unsigned int perm, unsigned int shared, struct error *err);

/* Fill in @info.  Returns 0 or a negative errno.  Coroutine; yields. */
int blk_co_info(struct blk_node *node, struct blk_info *info);

/*
 * Check whether the image is consistent, and repair what @fix (BLK_FIX_*) selects; -EPERM if @fix
 * is set and the image is not open for writing, -ENOTSUP where the format has no check.  @report
 * (or NULL) gets a line for each finding.  Returns 0 when the check is complete, whatever it
 * found.  No request may be in flight.  The error line names the image.  Coroutine; yields.
 */
int blk_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		 void *report_arg, struct blk_check_result *result, struct error *err);

/*
 * The same while requests go on: the image as of one commit during the call.  @fix is 0 or
 * BLK_FIX_LEAKS.  -EBUSY while another such check runs; -ECANCELED after *@cancel, which the thread
 * of the caller sets, became true.  The image may not be resized, emptied or closed meanwhile.
 */
int blk_co_check_live(struct blk_node *node, unsigned int fix, const bool *cancel,
		      struct blk_check_result *result, struct error *err);

#endif
