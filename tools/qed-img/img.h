/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of qed-img's verbs: options, sizes and image names as typed by the user,
 * and error messages in the words of qemu-img.
 */
#ifndef QEDBLK_QED_IMG_IMG_H
#define QEDBLK_QED_IMG_IMG_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "cmdline/verbs.h"

/* The verbs, in the order of help. NAME is defined as img_NAME_verb at the end of its file. */
#define IMG_VERBS(X) \
	X(amend)     \
	X(bench)     \
	X(bitmap)    \
	X(check)     \
	X(commit)    \
	X(compare)   \
	X(convert)   \
	X(create)    \
	X(dd)        \
	X(info)      \
	X(map)       \
	X(measure)   \
	X(rebase)    \
	X(resize)    \
	X(snapshot)

#define IMG_DECLARE_VERB(name) extern const struct verb img_##name##_verb;
IMG_VERBS(IMG_DECLARE_VERB)

/* Print an error about the command line, printf style, and return 1. */
int img_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print the help of the running verb. */
void img_print_verb_help(void);

/* getopt_long() with qemu-img's error messages; returns '?' after one. Verbs use options.h. */
int img_getopt(int argc, char **argv, const char *letters, const struct option *names);

/* Return the only operand of @argv, or NULL after an error message. */
const char *img_one_filename(int argc, char **argv);

/*
 * Parse a size in bytes, called @what in the error message. Returns 0, or 1 after an
 * error message.
 */
int img_parse_size(const char *what, const char *text, uint64_t *bytes);

/*
 * The same for the image option @name, NAME=SIZE. Returns 0, or a negative errno with
 * an error line.
 */
int img_parse_size_option(const char *name, const char *text, uint64_t *bytes, struct error *err);

/* Parse --output: human or json. Returns 0, or 1 after an error message. */
int img_parse_output(const char *text, bool *json);

/* A flag besides BLK_O_*: the name is a list of options (--image-opts). */
#define IMG_O_IMAGE_OPTS (1u << 31)

/* The same: no other process may write to the image meanwhile, whatever its format. */
#define IMG_O_ALONE (1u << 30)

/*
 * Open @filename (flags: BLK_O_*, IMG_O_*; @format NULL: probe). Coroutine; yields.
 * Returns NULL after an error message.
 */
struct blk_node *img_co_open(const char *filename, const char *format, unsigned int flags);

/*
 * Check -l of other verbs: a name, or snapshot.id=ID,snapshot.name=NAME. Returns 0, or
 * 1 after an error message.
 */
int img_check_snapshot_param(const char *text);
/* Load that snapshot. No readable one exists: prints an error message and returns 1. */
int img_co_load_snapshot(struct blk_node *node);

/* Print @value as qemu-img does (indented, ASCII), drop the reference and return 0. */
int img_json_print(json_t *value);

#endif
