/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line of context for the person, carried upward beside a negative errno.
 *
 * The function that knows what went wrong sets the line; callers may put the
 * name of the file or device in front; the program's edge prints it once.
 */
#ifndef QEDBLK_UTIL_ERROR_H
#define QEDBLK_UTIL_ERROR_H

struct error {
	int code; /* negative errno, 0 while nothing is set */
	char *text; /* heap string, NULL while nothing is set */
};

#define ERROR_INIT ((struct error){ 0, NULL })

/*
 * Set the error's line (printf style) and return @code, a negative errno, so
 * that a caller can write `return error_set(err, -EINVAL, "...")`.  @err may
 * be NULL: then only @code is returned.  The first line set wins: a later call
 * on an error that is already set changes nothing and returns the first code.
 */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Like error_set(), with ": " and the text of errno -@code appended. */
int error_set_errno(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "PREFIX: " in front of the line, if one is set. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The line, with control characters of names as \xNN, or the text of the code where there is none.
 * Never NULL.
 */
const char *error_text(const struct error *err);

/* Give the line back; @err can be used again afterwards. */
void error_free(struct error *err);

#endif
