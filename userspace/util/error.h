/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line of error context for the user, passed up beside a negative errno.
 *
 * The function that detects the error sets the line; callers may put the name of
 * the file or device in front; the program prints it once, at the top.
 */
#ifndef QEDBLK_UTIL_ERROR_H
#define QEDBLK_UTIL_ERROR_H

struct error {
	int code; /* negative errno; 0: not set */
	char *text; /* heap string; NULL: not set, or there was no memory for it */
	unsigned int detail; /* bytes at the end of the line that error_drop_detail() cuts off */
};

#define ERROR_INIT ((struct error){ .code = 0 })

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

/*
 * Like error_set() for "LINE: DETAIL", where @line is what QEMU's tools say, and the detail is more
 * than they say.
 */
int error_set_detail(struct error *err, int code, const char *line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Cut off what error_set_detail() added to QEMU's line. */
void error_drop_detail(struct error *err);

/* Put "PREFIX: " in front of the line, if an error is set.  @err may be NULL. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Return the line, with control characters of names as \xNN, or the text of the code if there is no
 * line.  Never NULL; valid until @err changes.
 */
const char *error_text(const struct error *err);

/*
 * Return what follows "NAME: " in @err's line, which begins with @name as lines show it; NULL if it
 * does not.  Valid until @err changes.
 */
const char *error_after_name(const struct error *err, const char *name);

/* The exit statuses of qedctl and qedd. */
enum exit_status {
	EXIT_DONE,
	EXIT_FAILED,
	EXIT_USAGE, /* the command line is wrong */
	EXIT_NOT_THERE, /* the device, or a file that it needs */
	EXIT_BUSY, /* the device, its name or its image is in use */
};

/* Return the exit status that says the kind of @err, which is set. */
enum exit_status error_status(const struct error *err);

/* Free the line; @err can be used again afterwards. */
void error_free(struct error *err);

#endif
