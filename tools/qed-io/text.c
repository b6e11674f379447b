// SPDX-License-Identifier: GPL-2.0
/* Arguments of commands, and results, exactly as in qemu-io. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/size.h"
#include "qed-io/text.h"

int io_parse_bytes_as(const char *text, const char *shown, uint64_t *bytes)
{
	int ret = image_parse_size(text, bytes);

	if (ret == -ERANGE) {
		printf("Parsing error: argument too large -- %s\n", shown);
		return -EINVAL;
	}
	if (ret < 0) {
		printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix "
		       "-- %s\n",
		       shown);
		return -EINVAL;
	}
	return 0;
}

int io_parse_bytes(const char *text, uint64_t *bytes)
{
	return io_parse_bytes_as(text, text, bytes);
}

int io_parse_length(const char *text, const char *unless, uint64_t *bytes)
{
	int ret = io_parse_bytes(text, bytes);

	if (ret < 0 || *bytes <= IO_MAX_REQUEST)
		return ret;
	printf("length cannot exceed %" PRIu64 "%s, given %s\n", IO_MAX_REQUEST, unless, text);
	return -EINVAL;
}

int io_parse_pattern(const char *text, int *pattern)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 0);
	if (errno || end == text || *end || n < 0 || n > 255) {
		printf("%s is not a valid pattern byte\n", text);
		return -EINVAL;
	}
	*pattern = (int)n;
	return 0;
}

bool io_show_letter(struct io_show *show, int letter)
{
	switch (letter) {
	case 'C':
		return show->machine = true;
	case 'q':
		return show->quiet = true;
	case 'v':
		return show->dump = true;
	default:
		return false;
	}
}

char *io_format_bytes(char *buf, size_t len, double bytes)
{
	static const char units[] = "KMGTPE";
	double scaled = bytes;
	char number[64], *zeroes;
	int unit = -1;

	while (scaled >= 1024 && unit < 5) {
		scaled /= 1024;
		unit++;
	}
	snprintf(number, sizeof(number), unit < 0 ? "%f" : "%.3f", scaled);
	/* Print "1.000 KiB" as "1 KiB". */
	zeroes = strstr(number, ".000");
	if (zeroes)
		*zeroes = '\0';
	if (unit < 0)
		snprintf(buf, len, "%s bytes", number);
	else
		snprintf(buf, len, "%s %ciB", number, units[unit]);
	return buf;
}

/*
 * Format a time: as hours, minutes and seconds from one second on, or with @machine
 * always. Rounded, so that 0.996 seconds are "01.00 sec".
 */
static void format_time(char *buf, size_t len, uint64_t ns, bool machine)
{
	uint64_t sec = ns / 1000000000;
	double fraction = (double)(ns % 1000000000) / 1e9;

	if (machine || sec)
		snprintf(buf, len, "%" PRIu64 ":%02" PRIu64 ":%05.2f", sec / 3600, sec / 60 % 60,
			 (double)(sec % 60) + fraction);
	else
		snprintf(buf, len, "%05.2f sec", fraction);
}

void io_print_report(const char *op, uint64_t ns, uint64_t offset, uint64_t bytes,
		     const struct io_show *show)
{
	double seconds = (double)(ns ? ns : 1) / 1e9;
	char time[64], total[64], rate[64];

	format_time(time, sizeof(time), ns, show->machine);
	if (show->machine) {
		printf("%" PRIu64 ",1,%s,%.3f,%.3f\n", bytes, time, (double)bytes / seconds,
		       1 / seconds);
		return;
	}
	printf("%s %" PRIu64 "/%" PRIu64 " bytes at offset %" PRIu64 "\n", op, bytes, bytes,
	       offset);
	printf("%s, 1 ops; %s (%s/sec and %.4f ops/sec)\n",
	       io_format_bytes(total, sizeof(total), (double)bytes), time,
	       io_format_bytes(rate, sizeof(rate), (double)bytes / seconds), 1 / seconds);
}

void io_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_line("", fmt, ap);
	va_end(ap);
}

void io_error_free(struct error *err)
{
	io_error("%s", report_text(err));
	error_free(err);
}
