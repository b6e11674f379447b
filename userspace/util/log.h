/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a running program says to its operator: lines to standard error or to
 * syslog.  Callable from any thread; may block on the terminal, so an I/O path
 * logs only what goes wrong, and rate-limited.
 */
#ifndef QEDBLK_UTIL_LOG_H
#define QEDBLK_UTIL_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Name the program and choose where lines go.  Call once, before threads start. */
void log_init(const char *program, bool to_syslog, enum log_level max_level);

/* One line, its end not included, cut where it is longer than 1024 bytes.  Any thread. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * True at most 10 times in a window of 5 seconds for one @state, which is static
 * at the caller: `static struct log_ratelimit rl; if (log_allowed(&rl)) ...`.
 */
struct log_ratelimit {
	_Atomic long window_start; /* seconds, monotonic */
	_Atomic int count;
};
bool log_allowed(struct log_ratelimit *state);

#endif
