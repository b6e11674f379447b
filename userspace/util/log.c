// SPDX-License-Identifier: GPL-2.0
/*
 * What a running program says to its operator.
 */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util/units.h"

#define MAX_LINE       1024
#define WINDOW_SECONDS 5
#define BURST	       10

static const char *program_name = "qedblk";
static bool use_syslog;
static enum log_level max_shown = LOG_LEVEL_INFO;

void log_init(const char *program, bool to_syslog, enum log_level max_level)
{
	program_name = program;
	use_syslog = to_syslog;
	max_shown = max_level;
	if (to_syslog)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

static void to_syslog(enum log_level level, const char *fmt, va_list ap)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

	vsyslog(priorities[level], fmt, ap);
}

/* One write(2) a line, so that those of several threads and programs do not mix. */
static void to_stderr(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const words[] = { "", "warning: ", "", "debug: " };
	char line[MAX_LINE];
	size_t len;
	int n;

	n = snprintf(line, sizeof(line) - 1, "%s: %s", program_name, words[level]);
	len = n < 0 ? 0 : min_u64((uint64_t)n, sizeof(line) - 2);
	n = vsnprintf(line + len, sizeof(line) - 1 - len, fmt, ap);
	if (n > 0)
		len = min_u64(len + (uint64_t)n, sizeof(line) - 2);
	line[len++] = '\n';
	/* Where nobody listens there is nobody to tell. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > max_shown)
		return;
	va_start(ap, fmt);
	if (use_syslog)
		to_syslog(level, fmt, ap);
	else
		to_stderr(level, fmt, ap);
	va_end(ap);
}

bool log_allowed(struct log_ratelimit *state)
{
	struct timespec now;
	long start;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	start = atomic_load(&state->window_start);
	/* Soon after boot the clock is near zero, as a new state is: then the count alone tells. */
	if (now.tv_sec - start >= WINDOW_SECONDS &&
	    atomic_compare_exchange_strong(&state->window_start, &start, now.tv_sec))
		atomic_store(&state->count, 0);
	/* The first look keeps the count from wrapping. */
	return atomic_load(&state->count) < BURST && atomic_fetch_add(&state->count, 1) < BURST;
}
