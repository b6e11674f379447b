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
	uint64_t size; /* bytes */
	bool has_size;
	bool incomplete; /* see struct blk_create_opts */
	struct blk_options *given; /* all of -o (heap), with sizes as numbers of bytes; or NULL */
};

/* Append the `-o` argument @list to *@all (heap). Returns 0, or 1 after an error message. */
int img_options_add(char **all, const char *list);

/*
 * Print the options of a new image of @format. Returns 0, or 1 after an error message if there is
 * no such format, or none that can be created.
 */
int img_options_help(const char *format, bool have_filename);

/* Return the driver of @format; NULL with an error line if no image of it can be created. */
const struct blk_driver *img_new_driver(const char *format, struct error *err);

/*
 * Parse @all (may be NULL) into @opts, which the caller has zeroed or partly filled.
 * Returns 0, or a negative errno with QEMU's message in @err. The caller frees @opts
 * in both cases.
 */
int img_options_parse(struct img_create_options *opts, const char *all, const char *format,
		      struct error *err);

/*
 * Set the backing file and its format, which -b and -F gave (NULL: neither). Returns and frees as
 * img_options_parse().
 */
int img_options_set_backing(struct img_create_options *opts, const char *format, const char *file,
			    const char *file_format, struct error *err);
void img_options_free(struct img_create_options *opts);

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
