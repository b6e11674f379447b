/* SPDX-License-Identifier: GPL-2.0 */
/* Names of files for a process with another working directory. */
#ifndef QEDBLK_UTIL_PATH_H
#define QEDBLK_UTIL_PATH_H

/*
 * Return @path (heap, owned by the caller), with the working directory in front unless it is
 * absolute. Links and dots stay as they are. NULL, with errno set, on failure.
 */
char *path_absolute(const char *path);

#endif
