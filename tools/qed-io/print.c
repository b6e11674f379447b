// SPDX-License-Identifier: GPL-2.0
/* Printing results exactly as qemu-io does. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/report.h"
#include "qed-io/io.h"
#include "util/units.h"

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

void io_print_report(const char *op, uint64_t ns, uint64_t offset, uint64_t asked, uint64_t done,
		     const struct io_show *show)
{
	double seconds = (double)(ns ? ns : 1) / 1e9;
	char time[64], total[64], rate[64];

	format_time(time, sizeof(time), ns, show->machine);
	if (show->machine) {
		printf("%" PRIu64 ",1,%s,%.3f,%.3f\n", done, time, (double)done / seconds,
		       1 / seconds);
		return;
	}
	printf("%s %" PRIu64 "/%" PRIu64 " bytes at offset %" PRIu64 "\n", op, done, asked, offset);
	printf("%s, 1 ops; %s (%s/sec and %.4f ops/sec)\n",
	       io_format_bytes(total, sizeof(total), (double)done), time,
	       io_format_bytes(rate, sizeof(rate), (double)done / seconds), 1 / seconds);
}

void io_print_dump(const uint8_t *buf, uint64_t len, uint64_t offset)
{
	uint64_t row, i, n;

	for (row = 0; row < len; row += 16) {
		n = min_u64(len - row, 16);
		printf("%08" PRIx64 ":  ", offset + row);
		for (i = 0; i < n; i++)
			printf("%02x ", buf[row + i]);
		putchar(' ');
		for (i = 0; i < n; i++)
			putchar(isascii(buf[row + i]) && isalnum(buf[row + i]) ? buf[row + i] :
										 '.');
		putchar('\n');
	}
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
	io_error("%s", error_text(err));
	error_free(err);
}
