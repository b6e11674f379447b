/* SPDX-License-Identifier: GPL-2.0 */
/* One shared, page-aligned, read-only buffer of zeroes, for writing zeroes the plain way. */
#ifndef QEDBLK_FILE_ZERO_PAGES_H
#define QEDBLK_FILE_ZERO_PAGES_H

#include <stddef.h>

#define ZERO_PAGES_SIZE (1u << 20) /* bytes */

/* The buffer, or NULL without memory.  Any thread, does not sleep. */
const void *zero_pages(void);

#endif
