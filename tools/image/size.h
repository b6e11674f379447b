/* SPDX-License-Identifier: GPL-2.0 */
/* Parsing sizes for the image tools. */
#ifndef QEDBLK_IMAGE_SIZE_H
#define QEDBLK_IMAGE_SIZE_H

#include <stdint.h>

/*
 * Call parse_size() as QEMU does: blanks before the number are allowed, a unit after a hexadecimal
 * number gives a warning, and a negative number is -EINVAL.
 */
int image_parse_size(const char *text, uint64_t *bytes);

#endif
