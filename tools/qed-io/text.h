/* SPDX-License-Identifier: GPL-2.0 */
/* Arguments of commands, and what commands print, in the words of qemu-io. */
#ifndef QEDBLK_QED_IO_TEXT_H
#define QEDBLK_QED_IO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* The longest request, in bytes. */
#define IO_MAX_REQUEST UINT64_C(2147483136)

/* Parsing: each returns 0, or -EINVAL after an error message on standard output. */

/* Parse a size or offset in bytes. */
int io_parse_bytes(const char *text, uint64_t *bytes);
/* The same, called @shown in error messages. */
int io_parse_bytes_as(const char *text, const char *shown, uint64_t *bytes);
/* Parse the length of a request; @unless: the end of the condition in the error message, or "" */
int io_parse_length(const char *text, const char *unless, uint64_t *bytes);
int io_parse_pattern(const char *text, int *pattern);

/* How to print a result. */
struct io_show {
	bool quiet; /* -q: not at all */
	bool machine; /* -C: machine-readable: numbers separated by commas */
	bool dump; /* -v: with a dump of the bytes read */
};

/* Take one of these options into @show. Returns false when @letter is another one. */
bool io_show_letter(struct io_show *show, int letter);
/* Write @bytes to @buf as "1.500 KiB" or "512 bytes". Returns @buf. */
char *io_format_bytes(char *buf, size_t len, double bytes);
/* Print the result of @op ("read"): @bytes at @offset in @ns nanoseconds. */
void io_print_report(const char *op, uint64_t ns, uint64_t offset, uint64_t bytes,
		     const struct io_show *show);

/* Print "PROGRAM: ..." on standard error, by report_line(). */
void io_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Print @err's line in the same way, and free it. */
void io_error_free(struct error *err);

#endif
