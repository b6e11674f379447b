/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Detecting JSON values that are incomplete because memory ran out.
 *
 * A member that cannot be allocated is missing from its object.  Most code that builds JSON does
 * not check each member, but compares this count before and after.
 */
#ifndef QEDBLK_UTIL_JSON_MEMORY_H
#define QEDBLK_UTIL_JSON_MEMORY_H

#include <stdint.h>

/*
 * Return how many allocations of jansson have failed in this process, on any thread.  If the count
 * has grown, a value that was built meanwhile may be incomplete.
 */
uint64_t json_memory_failures(void);
/* Count a failure outside of jansson: a value could not be built, since memory ran out. */
void json_memory_fail(void);

#endif
