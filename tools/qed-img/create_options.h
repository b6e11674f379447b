/* SPDX-License-Identifier: GPL-2.0 */
/* Creation options of an image: `-o NAME=VALUE,...`, and the "Formatting" line. */
#ifndef QEDBLK_QED_IMG_CREATE_OPTIONS_H
#define QEDBLK_QED_IMG_CREATE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "util/error.h"

struct img_create_options {
	char *backing_file; /* heap, or NULL; as stored in the image */
	char *backing_fmt;
	char *preallocation;
	uint64_t size; /* bytes */
	uint64_t extent_size_hint; /* bytes */
	bool nocow;
	bool incomplete; /* see struct blk_create_opts */
	uint64_t cluster_size;
	uint64_t table_size;
	/* Which numbers were given. */
	bool has_size, has_cluster_size, has_table_size, has_extent_size_hint, has_nocow;
};

/* Append the `-o` argument @list to *@all (heap). Returns 0, or 1 after an error message. */
int img_options_add(char **all, const char *list);

/*
 * Print the options of @format. Returns 0, or 1 after an error message if there is no
 * such format.
 */
int img_options_help(const char *format, bool have_filename);

/*
 * Parse @all (may be NULL) into @opts, which the caller has zeroed or partly filled.
 * Returns 0, or a negative errno with QEMU's message in @err. The caller frees @opts
 * in both cases.
 */
int img_options_parse(struct img_create_options *opts, const char *all, const char *format,
		      struct error *err);
void img_options_free(struct img_create_options *opts);

/* Return true when @format stores the name of a backing file. */
bool img_format_has_backing(const char *format);

/* Print "Formatting 'FILE', fmt=FORMAT size=... ...". */
void img_options_print(const struct img_create_options *opts, const char *filename,
		       const char *format);

/*
 * Create the image. Coroutine; yields. Returns 0, or a negative errno with QEMU's
 * message in @err.
 */
int img_co_make(const struct img_create_options *opts, const char *filename, const char *format,
		struct error *err);

/* Compute the size of the image filled from @source (NULL: empty). Otherwise as img_co_make(). */
int img_co_measure(const struct img_create_options *opts, const char *format,
		   struct blk_node *source, struct blk_measure *result, struct error *err);

#endif
