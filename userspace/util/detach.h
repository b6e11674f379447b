/* SPDX-License-Identifier: GPL-2.0 */
/* Becoming a background process, in a child after fork(). */
#ifndef QEDBLK_UTIL_DETACH_H
#define QEDBLK_UTIL_DETACH_H

#include <stdbool.h>

/*
 * Leave the caller's session, so that its terminal sends no signals, and restore the default
 * actions of signals that the caller may have ignored, caught or blocked.
 */
void detach_from_session(void);

/*
 * Close all descriptors but the standard streams and @fd, which is above those: another process
 * may wait for the end of such a pipe, or for a lock.
 */
void detach_from_files(int fd);

/* Redirect standard stream @fd to /dev/null. Returns false, with errno set, when that fails. */
bool detach_stream(int fd);

#endif
