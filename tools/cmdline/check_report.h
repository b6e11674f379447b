/* SPDX-License-Identifier: GPL-2.0 */
/* The result of a check of an image, in the words of qemu-img. */
#ifndef QEDBLK_CMDLINE_CHECK_REPORT_H
#define QEDBLK_CMDLINE_CHECK_REPORT_H

#include <jansson.h>

#include "block/driver.h"

/* Print on standard output what was found. */
void check_print(const struct blk_check_result *result);
/* Print what was repaired; the result of another check is to follow. */
void check_print_repaired(const struct blk_check_result *result);
/* Return the result as an object, a new reference. */
json_t *check_json(const struct blk_check_result *result, const char *filename, const char *format);

#endif
