/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Options of an image, NAME=VALUE: json:{...} in place of a file name, given by a
 * user or found in the header of an image, and lists such as
 * "driver=qed,file.filename=a" (tools/image/image_opts.h).
 *
 * Nested objects are flattened: {"file": {"filename": "a"}} is "file.filename" = "a".
 * Values are strings.  Each layer takes the options that it knows; those that no layer
 * takes are unknown, and an error.
 */
#ifndef QEDBLK_FILE_OPTIONS_H
#define QEDBLK_FILE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct blk_options;

/* A row of a table of options, which help, parsing and checks are made from. */
struct blk_option_row {
	const char *name, *help; /* @help: a few words */
	enum blk_option_type { BLK_OPTION_TEXT, BLK_OPTION_SIZE, BLK_OPTION_SWITCH } type;
	/* The rest is of a size. */
	uint64_t preset; /* the default */
	bool preset_is_shown; /* among the options of a new image, where it is not given */
	/* With @title, its name in error lines, it is a power of 2 from @min to @max. */
	const char *title;
	uint64_t min, max;
};

/* Is @text an identifier by QEMU's rules: an id, or the name of a node? */
bool blk_is_identifier(const char *text);

/*
 * Each of these makes a new table, freed with blk_options_free().  Returns 0 or a negative errno.
 */
int blk_options_new(struct blk_options **options, struct error *err);
/* @name begins with "json:". */
int blk_options_parse_json(struct blk_options **options, const char *name, struct error *err);
void blk_options_free(struct blk_options *options);

/* Set @name to a copy of @value (NULL: null), replacing its value.  Returns 0 or -ENOMEM. */
int blk_options_set(struct blk_options *options, const char *name, const char *value);

/* Add the options of @from that @options does not have.  Returns 0 or -ENOMEM. */
int blk_options_add_missing(struct blk_options *options, const struct blk_options *from);

/*
 * Mark @name as taken and return its value, owned by @options; NULL if there is none, or it is
 * null.
 */
const char *blk_options_take(struct blk_options *options, const char *name);

/* Is there an option @name, taken or not? */
bool blk_options_has(const struct blk_options *options, const char *name);

/* Is there an option PREFIX.NAME, with any NAME? */
bool blk_options_has_part(const struct blk_options *options, const char *prefix);

/*
 * Move all options PREFIX.NAME to a new table, as NAME: the options of a part.
 * The caller frees *@part; NULL if there are none.
 */
int blk_options_take_part(struct blk_options *options, const char *prefix,
			  struct blk_options **part, struct error *err);

/* Add the options NAME of @from to @options as PREFIX.NAME.  Returns 0 or -ENOMEM. */
int blk_options_add_part(struct blk_options *options, const char *prefix,
			 const struct blk_options *from);

/*
 * Take a switch ("on", "off"), or a size.  Returns 1 if it is there, 0 if not, or -EINVAL with
 * QEMU's error line.
 */
int blk_options_take_switch(struct blk_options *options, const char *name, bool *on,
			    struct error *err);
int blk_options_take_size(struct blk_options *options, const char *name, uint64_t *bytes,
			  struct error *err);

/*
 * Take one of @words, which end with NULL; *@word is NULL if it is not there.  Returns 0, or
 * -EINVAL with QEMU's error line.
 */
int blk_options_take_word(struct blk_options *options, const char *name, const char *const *words,
			  const char **word, struct error *err);

/*
 * Take the size that @row describes: the default where @options (NULL: none) has none.  Returns 0,
 * or -EINVAL with QEMU's error line; a value outside the row's limits is an error.
 */
int blk_options_take_row(struct blk_options *options, const struct blk_option_row *row,
			 uint64_t *number, struct error *err);

/* Return the name of an option that was not taken (owned by @options), or NULL. */
const char *blk_options_left(const struct blk_options *options);

#endif
