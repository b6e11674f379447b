/* SPDX-License-Identifier: GPL-2.0 */
/* getopt_long() for programs with error lines of their own. */
#ifndef QEDBLK_UTIL_GETOPT_H
#define QEDBLK_UTIL_GETOPT_H

#include <getopt.h>

/* What is wrong with an option, in place of getopt_long()'s '?'; option_word() has the option. */
enum option_error { OPTION_UNKNOWN = -2, OPTION_NEEDS_VALUE = -3, OPTION_TAKES_NO_VALUE = -4 };

/*
 * getopt_long() that prints nothing. Returns the option's value, -1 after the last option, or an
 * enum option_error. @letters without a leading colon; values in @names must be positive.
 */
int option_next(int argc, char **argv, const char *letters, const struct option *names);

/* Return the word of the command line that option_next() looked at last. */
static inline const char *option_word(char **argv)
{
	return argv[optind - 1];
}

#endif
