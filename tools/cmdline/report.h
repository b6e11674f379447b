/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tool's one line on standard error: `PROGRAM: CONTEXT: reason`. In these lines and in those of
 * print_line() control characters of names are \xNN.
 */
#ifndef QEDBLK_CMDLINE_REPORT_H
#define QEDBLK_CMDLINE_REPORT_H

#include <stdarg.h>
#include <stdbool.h>

#include "util/error.h"

/* Name the program, e.g. "qedctl".  @program is kept, not copied. */
void report_program(const char *program);

/* Return that name. */
const char *report_name_of_program(void);

/* Is the program called by a name of QEMU's, "qemu-..."? Then its words are QEMU's alone. */
bool report_as_qemu(void);

/* Print the line of --version: as QEMU's, for a program called by such a name. */
void report_version(void);

/*
 * Set the context printed after the program's name: "create vm1". Copied; an empty
 * string clears it.
 */
void report_context(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Print "PROGRAM: WHAT: ..." on standard error, in one piece even if other threads
 * print. @what may be empty.
 */
void report_line(const char *what, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/*
 * Print an error line, with the context, and return 1, the exit status of a failure.
 * Flushes standard output first.
 */
int report_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for a command line that cannot be carried out. */
int report_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Return what the last error line was about: qedctl's exit status. */
enum exit_status report_last_status(void);

/* Take over the status of an error line that a child process has printed. */
void report_take_status(enum exit_status status);

/*
 * Print "PROGRAM: warning: ...". Unlike report_error() it does not flush standard
 * output first, like QEMU's tools: the order is visible when both go to one file.
 */
void report_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Return @err's line, without what is more than QEMU says where report_as_qemu(). */
const char *report_text(struct error *err);

/* Print @err's line, free it, and return 1. */
int report_fail(struct error *err);

/*
 * Print a line, whose line break is added, on standard output. Without memory for it, prints an
 * error line, and report_flush() returns 1.
 */
void print_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flush standard output. Returns 0, or 1 after an error line when a write failed. */
int report_flush(void);

#endif
