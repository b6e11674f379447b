/* SPDX-License-Identifier: GPL-2.0 */
/* Parsing NAME=VALUE,... of a command line: --image-opts, qed-io's open -o, --object. */
#ifndef QEDBLK_IMAGE_IMAGE_OPTS_H
#define QEDBLK_IMAGE_IMAGE_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "file/options.h"

/* Return the length of the first NAME=VALUE of @text; ",," is a comma in the value. */
size_t image_opts_item_len(const char *text);

/* Return true when an item of @list (may be NULL) is "help" or "?". */
bool image_opts_want_help(const char *list);

/* What an item without "=" is: a switch, in an old form that gets a warning or none; an error. */
enum image_opts_switches { IMAGE_OPTS_WARN, IMAGE_OPTS_NO_SWITCHES, IMAGE_OPTS_SILENT };

/*
 * Parse @list into a new table for blk_open_opts.options, which the caller frees by
 * blk_options_free(). ",," in a value is a comma. A first item without "=" is the value of
 * @implied ("file" for --image-opts; NULL: not allowed), any other is as @switches says. Returns
 * 0, or a negative errno with an error line.
 */
int image_opts_parse(struct blk_options **options, const char *list, const char *implied,
		     enum image_opts_switches switches, struct error *err);

#endif
