// SPDX-License-Identifier: GPL-2.0
/*
 * Log messages, to standard error or to syslog.
 */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util/text.h"
#include "util/units.h"

#define MAX_LINE       1024
#define WINDOW_SECONDS 5
#define BURST	       10

static const char *program_name = "qedblk";
static bool use_syslog;
static enum log_level max_shown = LOG_LEVEL_INFO;

/*
 * A socket of our own instead of syslog(3), which blocks while the log daemon does:
 * the daemon may be writing to the disk that the caller serves.
 */
static int log_socket = -1;
static const struct sockaddr_un log_address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };

void log_init(const char *program, bool to_syslog, enum log_level max_level)
{
	program_name = program;
	use_syslog = to_syslog;
	max_shown = max_level;
	if (to_syslog && log_socket < 0)
		log_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Format "HEAD" and the message; return the length, which leaves room for one more byte. */
static size_t format_line(char *line, size_t size, const char *head, const char *fmt, va_list ap)
{
	int n = snprintf(line, size - 1, "%s", head);
	size_t len = n < 0 ? 0 : min_u64((uint64_t)n, size - 2);
	char text[MAX_LINE];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return len;
	return len + text_printable(line + len, size - 1 - len, text, "");
}

/* Send a datagram as syslog(3) does; the daemon adds the time. */
static void to_syslog(enum log_level level, const char *fmt, va_list ap)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	char line[MAX_LINE], head[256];
	size_t len;

	snprintf(head, sizeof(head), "<%d>%s[%ld]: ", LOG_DAEMON | priorities[level], program_name,
		 (long)getpid());
	len = format_line(line, sizeof(line), head, fmt, ap);
	/* If the daemon is busy or has ended, the line is lost; the caller never blocks. */
	if (sendto(log_socket, line, len, MSG_NOSIGNAL, (const struct sockaddr *)&log_address,
		   sizeof(log_address)) < 0)
		return;
}

/* One write(2) per line, so that lines of several threads and programs do not mix. */
static void to_stderr(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const words[] = { "", "warning: ", "", "debug: " };
	char line[MAX_LINE], head[256];
	size_t len;

	snprintf(head, sizeof(head), "%s: %s", program_name, words[level]);
	len = format_line(line, sizeof(line), head, fmt, ap);
	line[len++] = '\n';
	/* An error is ignored: there is nowhere else to report it. */
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
	/* Soon after boot the clock is near 0, as is a new state: then only the count limits. */
	if (now.tv_sec - start >= WINDOW_SECONDS &&
	    atomic_compare_exchange_strong(&state->window_start, &start, now.tv_sec))
		atomic_store(&state->count, 0);
	/* The load keeps the count from wrapping. */
	return atomic_load(&state->count) < BURST && atomic_fetch_add(&state->count, 1) < BURST;
}
