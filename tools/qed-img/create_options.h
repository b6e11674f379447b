/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be said about an image that is to be made: `-o NAME=VALUE,...`, and
 * the line that tells what is being made.
 */
#ifndef QEDBLK_QED_IMG_CREATE_OPTIONS_H
#define QEDBLK_QED_IMG_CREATE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "util/error.h"

struct img_create_options {
	char *backing_file; /* heap, or NULL; as it is to be stored */
	char *backing_fmt;
	char *preallocation;
	uint64_t size; /* bytes */
	uint64_t extent_size_hint; /* bytes */
	bool nocow;
	bool incomplete; /* see struct blk_create_opts */
	uint64_t cluster_size;
	uint64_t table_size;
	/* Which of the numbers were given. */
	bool has_size, has_cluster_size, has_table_size, has_extent_size_hint, has_nocow;
};

/* Add `-o` argument @list to what is in *@all (heap).  Returns 0, or 1 after a complaint. */
int img_options_add(char **all, const char *list);

/* Print the options that @format has.  Returns 0, or 1 after a complaint: no such format. */
int img_options_help(const char *format, bool have_filename);

/*
 * Take @all (may be NULL) apart into @opts, which the caller has zeroed or
 * filled in part.  Returns 0 or a negative errno with QEMU's words in @err;
 * free @opts in any case.
 */
int img_options_parse(struct img_create_options *opts, const char *all, const char *format,
		      struct error *err);
void img_options_free(struct img_create_options *opts);

/* Does @format keep the name of a backing file? */
bool img_format_has_backing(const char *format);

/* Print "Formatting 'FILE', fmt=FORMAT size=... ...". */
void img_options_print(const struct img_create_options *opts, const char *filename,
		       const char *format);

/* Make the image.  Coroutine.  Returns 0 or a negative errno with QEMU's words in @err. */
int img_co_make(const struct img_create_options *opts, const char *filename, const char *format,
		struct error *err);

/* How large it will be, filled from @source (NULL: empty).  As img_co_make(). */
int img_co_measure(const struct img_create_options *opts, const char *format,
		   struct blk_node *source, struct blk_measure *result, struct error *err);

#endif
