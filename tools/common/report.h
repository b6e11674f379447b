/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tool's one line on standard error: `PROGRAM: CONTEXT: reason`.
 */
#ifndef QEDBLK_TOOLS_REPORT_H
#define QEDBLK_TOOLS_REPORT_H

#include "util/error.h"

/* Name the program, e.g. "qedctl".  @program is kept, not copied. */
void report_program(const char *program);

/*
 * What is being done, put after the program's name: "create vm1".  Copied;
 * an empty string takes it away.
 */
void report_context(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print the line, on standard error, and return 1, the exit status of a failure. */
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
