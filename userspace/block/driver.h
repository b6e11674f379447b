/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver table: what a format (raw, qed, ...) provides to the block layer.
 */
#ifndef QEDBLK_BLOCK_DRIVER_H
#define QEDBLK_BLOCK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/map.h"
#include "util/error.h"

struct blk_node;
struct blk_open_opts;
struct blk_create_opts;

/* Request flags. */
enum blk_req_flags {
	BLK_REQ_FUA = 1 << 0, /* durable, with its metadata, when it completes */
	BLK_REQ_MAY_UNMAP = 1 << 1, /* write-zeroes may free space */
	/*
	 * The bytes are those that a read returns now (from the backing file):
	 * keep them in this node.  Only what is still unallocated is written, so
	 * that newer data of a guest is never overwritten.
	 */
	BLK_REQ_POPULATE = 1 << 2,
	BLK_REQ_COPY_ON_READ =
		1 << 3, /* keep what had to be read from the backing file (filter.h) */
};

/* Something that only one format has, for people to read. */
struct blk_info_item {
	const char *name; /* as in JSON: "refcount-bits" */
	enum { BLK_INFO_BOOL, BLK_INFO_NUMBER, BLK_INFO_TEXT } kind;
	uint64_t number; /* BOOL, NUMBER */
	const char *text; /* TEXT: a constant */
};

#define BLK_INFO_ITEMS 8

/* What blk_co_info() tells of an image. */
struct blk_info {
	uint64_t virtual_size; /* bytes */
	uint64_t actual_size; /* bytes of disk that the image file takes */
	bool actual_size_unknown; /* it is not a file of this machine */
	uint32_t cluster_size; /* bytes, 0 if the format has none */
	uint32_t table_size; /* clusters, 0 if the format has none */
	bool dirty; /* was not closed in order (NEED_CHECK) */
	uint64_t features, compat_features, autoclear_features;
	uint64_t vm_state_offset; /* bytes, 0 if the format has none */
	uint32_t nr_snapshots; /* internal ones */
	unsigned int nr_items;
	struct blk_info_item items[BLK_INFO_ITEMS];
};

/* What a check found.  Numbers of clusters, unless said otherwise. */
struct blk_check_result {
	uint64_t corruptions, leaks, check_errors;
	uint64_t corruptions_fixed, leaks_fixed;
	uint64_t total_clusters, allocated_clusters, fragmented_clusters;
};

/* How much space a new image will take, bytes. */
struct blk_measure {
	uint64_t required; /* with what is in its source, and no more */
	uint64_t fully_allocated; /* when everything is written */
};

enum blk_check_fix {
	BLK_FIX_LEAKS = 1 << 0,
	BLK_FIX_ERRORS = 1 << 1,
};

/* Called with one line for each thing that a check finds; may be NULL. */
typedef void blk_check_report_fn(void *arg, const char *line);

/*
 * A format.  Functions with co_ in their name run in a coroutine and may park.
 * Offsets and lengths are in bytes, inside the node's size, and of any
 * alignment.  Optional functions may be NULL.
 */
struct blk_driver {
	const char *name;
	bool has_backing; /* images of the format can have a backing file */
	/*
	 * How sure (0: not, 100: quite) that an image whose first @len bytes are
	 * @buf is of this format.
	 */
	int (*probe)(const uint8_t *buf, size_t len);

	/*
	 * @node->file is open; sets @node->size, cluster_size, backing names,
	 * opaque.  Takes the options of @opts that it knows (NULL: none).  Writes
	 * nothing: the chain may yet fail to open, and then co_close() follows without
	 * co_start().  Here and below an error's line gives the reason; block/ puts the
	 * file's name in front.
	 */
	int (*co_open)(struct blk_node *node, const struct blk_open_opts *opts, struct error *err);
	/*
	 * Optional: called after the backing chain is open, or was left out on
	 * request, and before the first request.
	 */
	int (*co_start)(struct blk_node *node, struct error *err);
	/* Everything that was answered is durable when it returns 0; frees always. */
	int (*co_close)(struct blk_node *node);
	int (*co_create)(const struct blk_create_opts *opts, struct error *err);

	/*
	 * Optional: how large an image of @opts becomes when it is filled from
	 * @source (NULL: not).  Nothing is made.
	 */
	int (*co_measure)(const struct blk_create_opts *opts, struct blk_node *source,
			  struct blk_measure *result, struct error *err);

	/*
	 * Where [offset, offset + bytes) is, at this node's level.  map() never
	 * parks, never blocks and takes no lock; co_map() may park and never
	 * answers ASK.  Returns 0 or a negative errno (a damaged table).  A
	 * cluster (@node->cluster_size) that is BACKING is so as a whole.
	 */
	int (*map)(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
	int (*co_map)(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);

	int (*co_pread)(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);
	int (*co_pwrite)(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags);
	/*
	 * Optional: a write with FUA that needs no flush, since nothing but the data has to become
	 * durable.  -ENOTSUP, and nothing is written, where that is not so.
	 */
	int (*co_pwrite_durable)(struct blk_node *node, uint64_t offset, uint64_t bytes,
				 const void *buf);
	/* Optional: without it, zeroes are written. -ENOTSUP asks for the same. */
	int (*co_pwrite_zeroes)(struct blk_node *node, uint64_t offset, uint64_t bytes,
				unsigned int flags);
	/* Optional: without it, a discard does nothing. */
	int (*co_pdiscard)(struct blk_node *node, uint64_t offset, uint64_t bytes);
	int (*co_flush)(struct blk_node *node);
	/*
	 * Optional: the same for others than the guest.  What co_flush has yet to report to the
	 * guest, it reports all the same, later.
	 */
	int (*co_sync)(struct blk_node *node);

	/*
	 * Optional.  What a longer node gains reads as zeroes, also where its backing
	 * file is longer, and is seen to before it is there: a crash shows nothing else.
	 */
	int (*co_truncate)(struct blk_node *node, uint64_t size, struct error *err);
	/*
	 * Name another backing file in the image (NULL: none), durably, and with it
	 * all that was answered before: a crash leaves the old name or the new one.
	 * What is unallocated must read alike by both.  Changes node->backing_name and
	 * backing_format, not node->backing.  @name is absolute or relative to the image.
	 */
	int (*co_change_backing)(struct blk_node *node, const char *name, const char *format,
				 struct error *err);
	/* Optional.  Whether the image could name that backing file; changes nothing. */
	int (*check_backing)(struct blk_node *node, const char *name, struct error *err);
	/*
	 * Optional: does an image that co_create() has just made read as zeroes, where it shows no
	 * backing file?  For a format whose map need not know that: a file system may have no holes
	 * to tell of, and space that was allocated is data to some.
	 */
	bool (*new_is_zero)(const struct blk_node *node);
	/* See blk_co_make_empty(). */
	int (*co_make_empty)(struct blk_node *node);
	/* For formats that heed blk_create_opts' incomplete.  See blk_co_set_complete(). */
	int (*co_set_complete)(struct blk_node *node);
	/* Fills in @values, by enum blk_gauge.  Takes a short lock at most.  Any thread. */
	void (*gauges)(struct blk_node *node, uint64_t *values);
	int (*co_info)(struct blk_node *node, struct blk_info *info);
	int (*co_check)(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
			void *report_arg, struct blk_check_result *result, struct error *err);
};

/* All formats, ended by NULL.  Defined by format/. */
extern const struct blk_driver *const blk_drivers[];

/* How much of an image is looked at to tell its format, in bytes. */
#define BLK_PROBE_BYTES 4096u

/*
 * The name of the format that an image which begins with @buf has, formats that
 * we know by sight only included; "raw" where it looks like nothing else.
 */
const char *blk_probe_buffer(const uint8_t *buf, size_t len);

/* Is @name that of a format that there is, be it one that we know by sight only? */
bool blk_format_is_known(const char *name);

/*
 * The driver of that name, or NULL.  A protocol's name stands for raw bytes over it, and so does
 * "file", for a file of this machine.
 */
const struct blk_driver *blk_driver_find(const char *name);

#endif
