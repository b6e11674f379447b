/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is said of an image by NAME=VALUE: json:{...} in place of a file name, by
 * people and in the headers of images, and lists such as
 * "driver=qed,file.filename=a" (tools/common/image_opts.h).
 *
 * Nested objects are flat: {"file": {"filename": "a"}} is "file.filename" = "a".
 * Values are texts.  Whoever knows an option takes it; what nobody took is unknown.
 */
#ifndef QEDBLK_FILE_OPTIONS_H
#define QEDBLK_FILE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct blk_options;

/* Begins @name with "json:"? */
bool blk_name_is_json(const char *name);

/* Is @text an identifier of QEMU's: an id, or the name of a node? */
bool blk_is_identifier(const char *text);

/* Each of these makes a new table (blk_options_free()).  Returns 0, or a negative errno. */
int blk_options_new(struct blk_options **options, struct error *err);
/* @name begins with "json:". */
int blk_options_parse_json(struct blk_options **options, const char *name, struct error *err);
void blk_options_free(struct blk_options *options);

/* @value NULL: null.  What has the name already is replaced.  Returns 0 or -ENOMEM. */
int blk_options_set(struct blk_options *options, const char *name, const char *value);

/* Put what @from has, and @options has not, into @options.  Returns 0 or -ENOMEM. */
int blk_options_add_missing(struct blk_options *options, const struct blk_options *from);

/* The value, which counts as taken from now on; NULL where there is none (or null). */
const char *blk_options_take(struct blk_options *options, const char *name);

/* Is there such an option, taken or not? */
bool blk_options_has(const struct blk_options *options, const char *name);

/* Is there one that is named PREFIX.NAME? */
bool blk_options_has_part(const struct blk_options *options, const char *prefix);

/*
 * Move what is named PREFIX.NAME to a new table, as NAME: the options of a part.
 * *@part is NULL where there are none.
 */
int blk_options_take_part(struct blk_options *options, const char *prefix,
			  struct blk_options **part, struct error *err);

/* Put what @from has into @options as PREFIX.NAME.  Returns 0 or -ENOMEM. */
int blk_options_add_part(struct blk_options *options, const char *prefix,
			 const struct blk_options *from);

/*
 * Take a switch ("on", "off"), or a size.  Returns 1 if it is there, 0 if not, or -EINVAL with
 * QEMU's words.
 */
int blk_options_take_switch(struct blk_options *options, const char *name, bool *on,
			    struct error *err);
int blk_options_take_size(struct blk_options *options, const char *name, uint64_t *bytes,
			  struct error *err);

/* The name of an option that nobody took, or NULL. */
const char *blk_options_left(const struct blk_options *options);

#endif
