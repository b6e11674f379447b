/* SPDX-License-Identifier: GPL-2.0 */
/*
 * JSON values that were made without enough memory.
 *
 * A member that cannot be allocated is missing from its object, and most of what makes JSON does
 * not look at each: it compares this count before it uses the whole.
 */
#ifndef QEDBLK_UTIL_JSON_MEMORY_H
#define QEDBLK_UTIL_JSON_MEMORY_H

#include <stdint.h>

/*
 * How many allocations of jansson have failed in this process, on any thread.  Where it grew, a
 * value that was made meanwhile may be incomplete.
 */
uint64_t json_memory_failures(void);
/* Count one more: a value could not be made for want of other memory than jansson's. */
void json_memory_fail(void);

#endif
