/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the verbs of qed-img share: options, sizes and images as people type
 * them, and complaints in the words of qemu-img.
 */
#ifndef QEDBLK_QED_IMG_IMG_H
#define QEDBLK_QED_IMG_IMG_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "common/report.h"
#include "common/verbs.h"

/* Each verb is a file that ends with its row; main.c lists the rows. */
extern const struct verb img_amend_verb;
extern const struct verb img_bench_verb;
extern const struct verb img_bitmap_verb;
extern const struct verb img_check_verb;
extern const struct verb img_commit_verb;
extern const struct verb img_compare_verb;
extern const struct verb img_convert_verb;
extern const struct verb img_create_verb;
extern const struct verb img_dd_verb;
extern const struct verb img_info_verb;
extern const struct verb img_map_verb;
extern const struct verb img_measure_verb;
extern const struct verb img_rebase_verb;
extern const struct verb img_resize_verb;
extern const struct verb img_snapshot_verb;

/* Complain about how the program was called, printf style, and return 1. */
int img_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Help for the verb that runs. */
void img_print_verb_help(void);

/* getopt_long() with qemu-img's complaints; '?' after one was printed.  Verbs: options.h. */
int img_getopt(int argc, char **argv, const char *letters, const struct option *names);

/* The one operand of @argv, or NULL after a complaint. */
const char *img_one_filename(int argc, char **argv);

/* Parse a size in bytes, called @what in the complaint.  Returns 0, or 1 after a complaint. */
int img_parse_size(const char *what, const char *text, uint64_t *bytes);

/*
 * The same of option @name of an image, NAME=SIZE.  Returns 0, or a negative errno with a line.
 */
int img_parse_size_option(const char *name, const char *text, uint64_t *bytes, struct error *err);

/* --output: human or json.  Returns 0, or 1 after a complaint. */
int img_parse_output(const char *text, bool *json);

/* Besides BLK_O_*: the name is --image-opts' list of options. */
#define IMG_O_IMAGE_OPTS (1u << 31)

/*
 * Open @filename (flags: BLK_O_*, IMG_O_*), or NULL after a complaint.  @format NULL probes.
 */
struct blk_node *img_co_open(const char *filename, const char *format, unsigned int flags);

/*
 * -l of other verbs: a name, or snapshot.id=ID,snapshot.name=NAME.  Returns 0, or 1 after a
 * complaint.
 */
int img_check_snapshot_param(const char *text);
/* Read that one: there is none that can be.  Returns 1 after a complaint. */
int img_co_load_snapshot(struct blk_node *node);

/* A string for JSON of bytes that need not be text: what is no UTF-8 becomes U+FFFD. */
json_t *img_json_string(const char *bytes);

/* Print @value as qemu-img does (indented, ASCII), drop the reference, return 0. */
int img_json_print(json_t *value);

#endif
