/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NAME=VALUE,... of a command line: --image-opts, qed-io's open -o, --object.
 */
#ifndef QEDBLK_TOOLS_IMAGE_OPTS_H
#define QEDBLK_TOOLS_IMAGE_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "file/options.h"

/* The length of the first NAME=VALUE of @text; ",," is a comma of the value. */
size_t image_opts_item_len(const char *text);

/* Is one of the items of @list (may be NULL) "help" or "?"? */
bool image_opts_want_help(const char *list);

/*
 * Take @list apart into a new table (blk_options_free()), which goes to blk_open_opts.options.
 * ",," in a value is a comma.  A first item without "=" is the value of @implied
 * ("file" for --image-opts; NULL: none is); any other is a switch, with a warning, or where
 * @strict an error.  Returns 0, or a negative errno.
 */
int image_opts_parse(struct blk_options **options, const char *list, const char *implied,
		     bool strict, struct error *err);

#endif
