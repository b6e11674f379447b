/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Log messages, to standard error or to syslog.  Callable from any thread.  A
 * write to the terminal may block, so an I/O path logs only errors, and
 * rate-limited.
 */
#ifndef QEDBLK_UTIL_LOG_H
#define QEDBLK_UTIL_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Set the program's name, which must stay valid, and where lines go; those above @max_level are
 * dropped.  Call once, before threads start.
 */
void log_init(const char *program, bool to_syslog, enum log_level max_level);

/* Log one line, given without a line break, and cut at 1024 bytes.  Any thread. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * log_allowed() returns true at most 10 times in a window of 5 seconds for one @state,
 * which the caller makes static: `static struct log_ratelimit rl; if (log_allowed(&rl)) ...`.
 * Any thread.
 */
struct log_ratelimit {
	_Atomic long window_start; /* seconds, monotonic */
	_Atomic int count;
};
bool log_allowed(struct log_ratelimit *state);

#endif
