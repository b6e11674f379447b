/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sizes as the image tools take them.
 */
#ifndef QEDBLK_TOOLS_SIZE_H
#define QEDBLK_TOOLS_SIZE_H

#include <stdint.h>

/* parse_size(), with QEMU's warning of a unit behind a hexadecimal number. */
int image_parse_size(const char *text, uint64_t *bytes);

#endif
