// SPDX-License-Identifier: GPL-2.0
/*
 * A tool's one line on standard error.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "util/version.h"
#include "util/text.h"

/* The version of QEMU whose tools' words and behaviour ours have. */
#define QEMU_VERSION "7.2.0"

static const char *report_name = "qedblk";
static char report_doing[320];
static bool line_is_missing;
static enum exit_status report_last = EXIT_FAILED;

void report_program(const char *program)
{
	report_name = program;
}

const char *report_name_of_program(void)
{
	return report_name;
}

bool report_as_qemu(void)
{
	return !strncmp(report_name, "qemu-", 5);
}

void report_version(void)
{
	/* Scripts compare the first number; QEMU's is of the version whose behaviour this is. */
	if (report_as_qemu())
		printf("%s version %s (qedblk %s)\n", report_name, QEMU_VERSION, QEDBLK_VERSION);
	else
		printf("%s version %s\n", report_name, QEDBLK_VERSION);
}

void report_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report_doing, sizeof(report_doing), fmt, ap);
	va_end(ap);
}

void report_line(const char *what, const char *fmt, va_list ap)
{
	/* Line breaks are kept if they are ours: in the format, or in an error's text. */
	bool ours = strchr(fmt, '\n') || !strcmp(fmt, "%s");
	char *text = text_format(ours ? "\n" : "", fmt, ap);

	fprintf(stderr, "%s: %s%s%s\n", report_name, what, *what ? ": " : "",
		text ? text : strerror(ENOMEM));
	free(text);
}

void print_line(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_format("", fmt, ap);
	va_end(ap);
	if (text)
		puts(text);
	else
		line_is_missing = report_error("%s", strerror(ENOMEM));
	free(text);
}

static void report_as(enum exit_status status, const char *fmt, va_list ap)
{
	fflush(stdout);
	report_line(report_doing, fmt, ap);
	report_last = status;
}

int report_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_as(EXIT_FAILED, fmt, ap);
	va_end(ap);
	return 1;
}

int report_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_as(EXIT_USAGE, fmt, ap);
	va_end(ap);
	return 1;
}

enum exit_status report_last_status(void)
{
	return report_last;
}

void report_take_status(enum exit_status status)
{
	report_last = status;
}

void report_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_line("warning", fmt, ap);
	va_end(ap);
}

const char *report_text(struct error *err)
{
	if (report_as_qemu())
		error_drop_detail(err);
	return error_text(err);
}

int report_fail(struct error *err)
{
	report_error("%s", report_text(err));
	report_last = error_status(err);
	error_free(err);
	return 1;
}

int report_flush(void)
{
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return report_error("standard output: %s", strerror(errno ? errno : EIO));
	return line_is_missing;
}
