/* SPDX-License-Identifier: GPL-2.0 */
/* The options of a verb as a table: their names, and the fields that get their values. */
#ifndef QEDBLK_QED_IMG_OPTIONS_H
#define QEDBLK_QED_IMG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct img_option {
	char letter; /* or 0 */
	const char *name; /* the long one, or NULL */
	enum {
		IMG_OPTION_SWITCH, /* bool */
		IMG_OPTION_FLAG, /* unsigned int, @flag is set in it */
		IMG_OPTION_TEXT, /* const char *, which is not copied */
		IMG_OPTION_SIZE, /* uint64_t, bytes */
		IMG_OPTION_LIST, /* char *, NULL at first (heap): all lists of -o */
		IMG_OPTION_CALL, /* @call, without a value */
		IMG_OPTION_CALL_VALUE,
		IMG_OPTION_OBJECT,
		IMG_OPTION_IGNORED, /* without a value */
	} kind;
	size_t field; /* where in the verb's struct the value goes */
	unsigned int flag;
	const char *what; /* name of the size in an error message */
	/* Returns 0, or 1 after an error message. @verb is the verb's struct. */
	int (*call)(void *verb, const struct img_option *option, const char *value);
};

/* The offset of field @f in struct @s, with a check of its type. */
#define IMG_FIELD(s, f, type) \
	(offsetof(s, f) +     \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((s *)NULL)->f), type) ? 1 : -1]))

#define IMG_OPTION(l, n, k, ...)                                                \
	{                                                                       \
		.letter = (l), .name = (n), .kind = IMG_OPTION_##k, __VA_ARGS__ \
	}

#define IMG_SWITCH(l, n, s, f) IMG_OPTION(l, n, SWITCH, .field = IMG_FIELD(s, f, bool))
#define IMG_FLAG(l, n, s, f, v) \
	IMG_OPTION(l, n, FLAG, .field = IMG_FIELD(s, f, unsigned int), .flag = (v))
#define IMG_TEXT(l, n, s, f) IMG_OPTION(l, n, TEXT, .field = IMG_FIELD(s, f, const char *))
#define IMG_SIZE(l, n, s, f, w) \
	IMG_OPTION(l, n, SIZE, .field = IMG_FIELD(s, f, uint64_t), .what = (w))
#define IMG_LIST(l, n, s, f)	       IMG_OPTION(l, n, LIST, .field = IMG_FIELD(s, f, char *))
#define IMG_CALL(l, n, function)       IMG_OPTION(l, n, CALL, .call = (function))
#define IMG_CALL_VALUE(l, n, function) IMG_OPTION(l, n, CALL_VALUE, .call = (function))
#define IMG_IGNORED(l, n)	       IMG_OPTION(l, n, IGNORED, .flag = 0)
#define IMG_OBJECT		       IMG_OPTION(0, "object", OBJECT, .flag = 0)
#define IMG_OPTIONS_END		       IMG_OPTION(0, NULL, IGNORED, .flag = 0)

/* Options that set flags for opening a source, in an unsigned int @f. */
#define IMG_IMAGE_OPTS(s, f)  IMG_FLAG(0, "image-opts", s, f, IMG_O_IMAGE_OPTS)
#define IMG_FORCE_SHARE(s, f) IMG_FLAG('U', "force-share", s, f, BLK_O_NO_LOCK)

/*
 * Parse the options of @argv; afterwards operands start at optind. For -h and --help,
 * prints the verb's help and exits. Returns 0, or after an error message 1, or 2 if an
 * --object caused it.
 */
int img_parse_options(int argc, char **argv, const struct img_option *options, void *verb);

#endif
