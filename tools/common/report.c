// SPDX-License-Identifier: GPL-2.0
/*
 * A tool's one line on standard error.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/report.h"

static const char *report_name = "qedblk";
static char report_doing[320];

void report_program(const char *program)
{
	report_name = program;
}

void report_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report_doing, sizeof(report_doing), fmt, ap);
	va_end(ap);
}

int report_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	flockfile(stderr);
	fprintf(stderr, "%s: ", report_name);
	if (report_doing[0])
		fprintf(stderr, "%s: ", report_doing);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	funlockfile(stderr);
	return 1;
}

void report_warning(const char *fmt, ...)
{
	va_list ap;

	flockfile(stderr);
	fprintf(stderr, "%s: warning: ", report_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	funlockfile(stderr);
}

int report_fail(struct error *err)
{
	report_error("%s", error_text(err));
	error_free(err);
	return 1;
}

int report_flush(void)
{
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return report_error("standard output: %s", strerror(errno ? errno : EIO));
	return 0;
}
