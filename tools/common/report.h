/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tool's one line on standard error: `PROGRAM: CONTEXT: reason`.
 */
#ifndef QEDBLK_TOOLS_REPORT_H
#define QEDBLK_TOOLS_REPORT_H

#include <stdarg.h>

#include "util/error.h"

/* Name the program, e.g. "qedctl".  @program is kept, not copied. */
void report_program(const char *program);

/*
 * What is being done, put after the program's name: "create vm1".  Copied;
 * an empty string takes it away.
 */
void report_context(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Print "PROGRAM: WHAT: ...", on standard error, in one piece whatever other threads print.
 * @what may be empty.
 */
void report_line(const char *what, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/*
 * Print an error's line, with what is being done, and return 1, the exit status of a failure.
 * What standard output holds back comes before it.
 */
int report_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Print "PROGRAM: warning: ...".  Unlike an error it does not come after what standard output
 * holds back: QEMU's tools go on like this, too, and their order shows where both are one file.
 */
void report_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print @err's line, give it back, and return 1. */
int report_fail(struct error *err);

/* Flush standard output; returns 1, with a line printed, when not all of it could be written. */
int report_flush(void);

#endif
