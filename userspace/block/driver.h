/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver table: what a format (raw, qed, ...) provides to the block layer.
 */
#ifndef QEDBLK_BLOCK_DRIVER_H
#define QEDBLK_BLOCK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "block/map.h"
#include "file/file_create.h"
#include "util/error.h"

struct blk_node;
struct blk_open_opts;
struct blk_create_opts;

/* Request flags. */
enum blk_req_flags {
	BLK_REQ_FUA = 1 << 0, /* durable, with its metadata, when it completes */
	BLK_REQ_MAY_UNMAP = 1 << 1, /* write-zeroes may free space */
	/*
	 * The bytes are those that a read returns now (from the backing file): keep
	 * them in this node.  Only unallocated clusters are written, so that the
	 * guest's newer data is never overwritten.
	 */
	BLK_REQ_POPULATE = 1 << 2,
	BLK_REQ_COPY_ON_READ =
		1 << 3, /* keep in this node what is read from the backing file (filter.h) */
};

/* A property that only one format has, for display. */
struct blk_info_item {
	const char *name; /* as in JSON: "refcount-bits"; "encrypt.format" is part of "encrypt" */
	enum { BLK_INFO_BOOL, BLK_INFO_NUMBER, BLK_INFO_TEXT } kind;
	uint64_t number; /* BOOL, NUMBER */
	const char *text; /* TEXT: valid until the image is closed */
};

#define BLK_INFO_ITEMS 10

/* The result of blk_co_info(). */
struct blk_info {
	uint64_t virtual_size; /* bytes */
	uint64_t actual_size; /* bytes of disk that the image file occupies */
	bool actual_size_unknown; /* the image is not a local file */
	uint32_t cluster_size; /* bytes, 0 if the format has none */
	uint32_t table_size; /* clusters, 0 if the format has none */
	bool dirty; /* was not closed cleanly (NEED_CHECK) */
	bool dirty_unknown; /* neither the format nor the protocol can tell */
	bool encrypted;
	uint64_t features, compat_features, autoclear_features;
	uint64_t vm_state_offset; /* bytes, 0 if the format has none */
	uint32_t nr_snapshots; /* internal ones */
	unsigned int nr_items;
	struct blk_info_item items[BLK_INFO_ITEMS];
};

/* The result of blk_co_check(), in clusters. */
struct blk_check_result {
	uint64_t corruptions, leaks, check_errors;
	uint64_t corruptions_fixed, leaks_fixed;
	uint64_t total_clusters, allocated_clusters, fragmented_clusters;
	uint64_t copies_refused; /* in @corruptions: repairs that need BLK_FIX_MANY_COPIES */
	uint64_t compressed_clusters; /* of those allocated */
	uint64_t image_end; /* bytes: the end of the last cluster in use; 0: not counted */
};

/* The size of a new image file, in bytes. */
struct blk_measure {
	uint64_t required; /* with the data of its source only */
	uint64_t fully_allocated; /* with every cluster allocated */
	bool has_bitmaps; /* of the source, which the new image can have, too */
	uint64_t bitmaps; /* bytes for them, in addition */
};

enum blk_check_fix {
	BLK_FIX_LEAKS = 1 << 0,
	BLK_FIX_ERRORS = 1 << 1,
	/* Copy shared clusters also where the copies are larger than the file, and than 16 MiB. */
	BLK_FIX_MANY_COPIES = 1 << 2,
};

/* Called with one line for each finding of a check; may be NULL. */
typedef void blk_check_report_fn(void *arg, const char *line);

/*
 * A format.  Functions with co_ in their name run in a coroutine and may yield.
 * Offsets and lengths are in bytes, inside the node's size, and of any
 * alignment.  Optional functions may be NULL.
 */
struct blk_driver {
	const char *name;
	bool has_backing; /* images of the format can have a backing file */
	bool is_fallback; /* any file is an image of it: what no other format recognizes, is */
	bool has_snapshots, has_bitmaps; /* images can have internal ones */
	bool prints_findings; /* QEMU's check of the format prints a line for each finding */
	/*
	 * Return the confidence, 0 (none) to 100 (certain), that an image whose first
	 * @len bytes are @buf is of this format.
	 */
	int (*probe)(const uint8_t *buf, size_t len);

	/*
	 * Open an image; @node->file is open.  Sets @node->size, cluster_size, backing
	 * names and opaque.  Takes the options that it knows from @opts (NULL: none).
	 * Writes nothing: the chain may still fail to open, and then co_close() follows
	 * without co_start().  Here and below an error line gives the reason only;
	 * block/ prepends the file's name.
	 */
	int (*co_open)(struct blk_node *node, const struct blk_open_opts *opts, struct error *err);
	/*
	 * Optional: called after the backing chain is open, or was skipped
	 * (BLK_O_NO_BACKING), and before the first request.
	 */
	int (*co_start)(struct blk_node *node, struct error *err);
	/* All completed writes are durable when it returns 0.  Frees in any case. */
	int (*co_close)(struct blk_node *node);
	/*
	 * Optional: record changes in the rescue area that the image was opened with (@on), or no
	 * longer, which empties the area.  No request is in flight, and nothing is dirty.
	 */
	void (*rescue)(struct blk_node *node, bool on);
	/*
	 * Optional: leave the file as co_close() does, although the image stays open: nothing is
	 * written to it any more.  Reads may be in flight.  Returns 0 or a negative errno.
	 */
	int (*co_settle)(struct blk_node *node);

	/*
	 * Options of a new image beside its size and backing file, or NULL.  The last row has
	 * no name.
	 */
	const struct blk_option_row *create_options;
	/* Optional: can an image of @opts be made, with any file?  Writes nothing. */
	int (*check_create)(const struct blk_create_opts *opts, struct error *err);
	/* Optional: make an image in @file, which is empty, or a device with its old bytes. */
	int (*co_create)(struct blk_file *file, const struct blk_create_opts *opts,
			 struct error *err);
	/*
	 * Optional: compute the size of an image of @opts, which check_create() has accepted, that
	 * is filled from @source (NULL: left empty).  Creates nothing.
	 */
	int (*co_measure)(const struct blk_create_opts *opts, struct blk_node *source,
			  struct blk_measure *result, struct error *err);

	/*
	 * Find where [offset, offset + bytes) is, at this node's level.  map() never
	 * yields, never blocks and takes no lock; co_map() may yield and never
	 * answers ASK.  Return 0 or a negative errno (a damaged table).  A
	 * cluster (@node->cluster_size) that is BACKING is so as a whole.
	 */
	int (*map)(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
	int (*co_map)(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
	/*
	 * Optional: can there be holes of the file, which co_map() does not know, below DATA?
	 * blk_co_status() then looks for them.
	 */
	bool (*co_may_have_holes)(struct blk_node *node);

	int (*co_pread)(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);
	int (*co_pwrite)(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags);
	/*
	 * Optional: a FUA write without a flush, possible where only the data has to become
	 * durable.  Elsewhere it writes nothing and returns -ENOTSUP.
	 */
	int (*co_pwrite_durable)(struct blk_node *node, uint64_t offset, uint64_t bytes,
				 const void *buf);
	/* Optional: without it, or when it returns -ENOTSUP, the caller writes zeroes as data. */
	int (*co_pwrite_zeroes)(struct blk_node *node, uint64_t offset, uint64_t bytes,
				unsigned int flags);
	/* Optional: without it, a discard does nothing. */
	int (*co_pdiscard)(struct blk_node *node, uint64_t offset, uint64_t bytes);
	int (*co_flush)(struct blk_node *node);
	/*
	 * Optional: a flush for callers other than the guest.  An error that co_flush owes the
	 * guest is still reported by the guest's next flush.
	 */
	int (*co_sync)(struct blk_node *node);

	/*
	 * Optional.  The space that a longer node gains reads as zeroes, also where its
	 * backing file is longer.  The driver ensures this before the new size takes
	 * effect, so that a crash shows nothing else.  For a shorter node, node->size is
	 * @size already, and no request for what it loses is in flight.  A crash before
	 * the new size is durable may have discarded that.  *@unsure is set when it fails
	 * and the image may have either size, durably or not.
	 */
	int (*co_truncate)(struct blk_node *node, uint64_t size, bool *unsure, struct error *err);
	/*
	 * Optional: allocate space for the part that co_truncate() adds to the disk: before it if
	 * @mode is FALLOC, after it if FULL.
	 */
	int (*co_preallocate)(struct blk_node *node, enum blk_prealloc mode, uint64_t offset,
			      uint64_t bytes);
	/*
	 * Record another backing file in the image (NULL: none), durably, together with
	 * all writes that completed before: a crash leaves the old name or the new one.
	 * Unallocated clusters must read the same from both.  Changes node->backing_name
	 * and backing_format, not node->backing.  @name is absolute or relative to the image.
	 */
	int (*co_change_backing)(struct blk_node *node, const char *name, const char *format,
				 struct error *err);
	/* Optional.  Can the image record @name as its backing file?  Changes nothing. */
	int (*check_backing)(struct blk_node *node, const char *name, struct error *err);
	/*
	 * Optional: does an image that co_create() has just made read as zeroes, where it shows no
	 * backing file?  For a format whose map may not tell: a file system may not support holes,
	 * and some report preallocated space as data.
	 */
	bool (*new_is_zero)(const struct blk_node *node);
	/* See blk_co_make_empty(). */
	int (*co_make_empty)(struct blk_node *node);
	/* For formats that support blk_create_opts.incomplete.  See blk_co_set_complete(). */
	int (*co_set_complete)(struct blk_node *node);
	/* Fill in @values, by enum blk_gauge.  Takes a short lock at most.  Any thread. */
	void (*gauges)(struct blk_node *node, uint64_t *values);
	int (*co_info)(struct blk_node *node, struct blk_info *info);
	int (*co_check)(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
			void *report_arg, struct blk_check_result *result, struct error *err);
	/* Optional: the same for an image that is open for writing.  See blk_co_check_live(). */
	int (*co_check_live)(struct blk_node *node, unsigned int fix, const bool *cancel,
			     struct blk_check_result *result, struct error *err);
};

/*
 * All formats, NULL-terminated.  Defined in format/.  The first is the format of a new image where
 * none is given.
 */
extern const struct blk_driver *const blk_drivers[];

/* The bytes at the start of an image that probing reads. */
#define BLK_PROBE_BYTES 4096u

/*
 * Return the name of the format of an image that begins with @buf: one with a driver, or one
 * that is recognized but unsupported; "raw" if no other format matches.
 */
const char *blk_probe_buffer(const uint8_t *buf, size_t len);

/* Return the driver that is_fallback. */
const struct blk_driver *blk_driver_fallback(void);

/*
 * Print " NAME" for each format and for each protocol that can stand in a format's place, but for
 * those that keep nothing.
 */
void blk_print_formats(FILE *to);

/* Is @name a format: one with a driver, or one that QEMU knows? */
bool blk_format_is_known(const char *name);

/*
 * Return the driver of that name, or NULL.  A protocol's name stands for the raw driver over that
 * protocol.
 */
const struct blk_driver *blk_driver_find(const char *name);

#endif
