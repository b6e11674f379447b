/* SPDX-License-Identifier: GPL-2.0 */
/* One shared, page-aligned, read-only buffer of zeroes, for writing zeroes as data. */
#ifndef QEDBLK_FILE_ZERO_PAGES_H
#define QEDBLK_FILE_ZERO_PAGES_H

#define ZERO_PAGES_SIZE (1u << 20) /* bytes */

/* Return the buffer, or NULL without memory.  Any thread; does not sleep. */
const void *zero_pages(void);

#endif
