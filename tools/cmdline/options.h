/* SPDX-License-Identifier: GPL-2.0 */
/* The options of a verb as a table: their names, and the fields that get their values. */
#ifndef QEDBLK_CMDLINE_OPTIONS_H
#define QEDBLK_CMDLINE_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

struct verb_option {
	char letter; /* or 0 */
	const char *name; /* the long one, or NULL */
	enum {
		VERB_OPTION_SWITCH, /* bool */
		VERB_OPTION_FLAG, /* unsigned int, @flag is set in it */
		VERB_OPTION_TEXT, /* const char *, which is not copied */
		VERB_OPTION_CALL, /* @call, without a value */
		VERB_OPTION_CALL_VALUE,
		VERB_OPTION_IGNORED, /* without a value */
	} kind;
	size_t field; /* where in the verb's struct the value goes */
	unsigned int flag;
	const char *what; /* for @call */
	/* Returns 0, or an exit status after an error message. @verb is the verb's struct. */
	int (*call)(void *verb, const struct verb_option *option, const char *value);
};

/* The offset of field @f in struct @s, with a check of its type. */
#define OPT_FIELD(s, f, type) \
	(offsetof(s, f) +     \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((s *)NULL)->f), type) ? 1 : -1]))

#define OPT(l, n, k, ...)                                                        \
	{                                                                        \
		.letter = (l), .name = (n), .kind = VERB_OPTION_##k, __VA_ARGS__ \
	}

#define OPT_SWITCH(l, n, s, f)	       OPT(l, n, SWITCH, .field = OPT_FIELD(s, f, bool))
#define OPT_TEXT(l, n, s, f)	       OPT(l, n, TEXT, .field = OPT_FIELD(s, f, const char *))
#define OPT_CALL(l, n, function)       OPT(l, n, CALL, .call = (function))
#define OPT_CALL_VALUE(l, n, function) OPT(l, n, CALL_VALUE, .call = (function))
#define OPT_IGNORED(l, n)	       OPT(l, n, IGNORED, .flag = 0)
#define OPT_END			       OPT(0, NULL, IGNORED, .flag = 0)

#define OPT_FLAG(l, n, s, f, v) OPT(l, n, FLAG, .field = OPT_FIELD(s, f, unsigned int), .flag = (v))

/* getopt_long() with a program's error messages; returns '?' after one. */
typedef int verb_getopt_fn(int argc, char **argv, const char *letters, const struct option *names);

/*
 * One with this project's error messages, about an unknown option, or a missing or superfluous
 * argument. A verb's first call needs `optind = 0`, which verbs_main() sets.
 */
int verb_getopt(int argc, char **argv, const char *letters, const struct option *names);

/*
 * Parse the options of @argv by the table @options (NULL: there are none), and set the fields
 * of @verb. Afterwards operands start at optind. Returns 0, or after an error message 1 or the
 * status of a @call.
 */
int verb_options_parse(int argc, char **argv, const struct verb_option *options, void *verb,
		       verb_getopt_fn *next);

#endif
