/* SPDX-License-Identifier: GPL-2.0 */
/* Options of several verbs, as rows of their tables. */
#ifndef QEDBLK_QED_IMG_OPTIONS_H
#define QEDBLK_QED_IMG_OPTIONS_H

#include <stdint.h>

#include "cmdline/options.h"

int img_take_help(void *verb, const struct verb_option *option, const char *value);
int img_take_size(void *verb, const struct verb_option *option, const char *value);
int img_take_list(void *verb, const struct verb_option *option, const char *value);
int img_take_object(void *verb, const struct verb_option *option, const char *value);

/* A size in bytes, called @w in an error message. */
#define IMG_SIZE(l, n, s, f, w)                                                          \
	OPT(l, n, CALL_VALUE, .field = OPT_FIELD(s, f, uint64_t), .call = img_take_size, \
	    .what = (w))
/* All lists of -o in a char *, which is NULL at first and heap afterwards. */
#define IMG_LIST(l, n, s, f) \
	OPT(l, n, CALL_VALUE, .field = OPT_FIELD(s, f, char *), .call = img_take_list)
#define IMG_OBJECT OPT_CALL_VALUE(0, "object", img_take_object)
/* Options that set flags for opening a source, in an unsigned int @f. */
#define IMG_IMAGE_OPTS(s, f)  OPT_FLAG(0, "image-opts", s, f, IMG_O_IMAGE_OPTS)
#define IMG_FORCE_SHARE(s, f) OPT_FLAG('U', "force-share", s, f, BLK_O_NO_LOCK)
/* The last row of a table. */
#define IMG_OPTIONS_END OPT_CALL('h', "help", img_take_help), OPT_END

/*
 * Parse the options of @argv; afterwards operands start at optind. For -h and --help,
 * prints the verb's help and exits. Returns 0, or after an error message 1, or 2 if an
 * --object caused it.
 */
int img_parse_options(int argc, char **argv, const struct verb_option *options, void *verb);

#endif
