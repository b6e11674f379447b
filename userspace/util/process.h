/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about other processes, from /proc. Unknown where this process may not read them. */
#ifndef QEDBLK_UTIL_PROCESS_H
#define QEDBLK_UTIL_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* The name of a server's process. */
#define PROCESS_SERVER "qedd"

/* Bytes of a process's name, as `ps` shows it, with its NUL byte. */
#define PROCESS_NAME_LEN 16

/* Copy the process's name to @name, "" if it is unknown; return @name. */
char *process_name(pid_t pid, char name[PROCESS_NAME_LEN]);

/* Return the process's parent, 0 if it is unknown. */
pid_t process_parent(pid_t pid);

/*
 * Return the value of `--OPTION VALUE` or `--OPTION=VALUE` in the process's command line (heap),
 * or NULL.
 */
char *process_option(pid_t pid, const char *option);

/* Return the environment variable @name with which the process was started (heap), or NULL. */
char *process_variable(pid_t pid, const char *name);

/*
 * Call @fn with the number of each process until it returns true.  Returns whether it did.
 */
bool process_find(bool (*fn)(void *arg, pid_t pid), void *arg);

#endif
