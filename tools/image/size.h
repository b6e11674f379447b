/* SPDX-License-Identifier: GPL-2.0 */
/* Parsing sizes for the image tools. */
#ifndef QEDBLK_IMAGE_SIZE_H
#define QEDBLK_IMAGE_SIZE_H

#include <stdint.h>

/* Call parse_size(), with QEMU's warning about a unit after a hexadecimal number. */
int image_parse_size(const char *text, uint64_t *bytes);

#endif
