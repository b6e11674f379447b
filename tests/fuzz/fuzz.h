/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fuzz targets are made of.  A target is a file fuzz_NAME.c; it is linked
 * with driver.c, which makes images out of seeds, or with libFuzzer.
 */
#ifndef QEDBLK_TESTS_FUZZ_H
#define QEDBLK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The largest image that is made, bytes. */
#define FUZZ_MAX_BYTES (96u << 10)

/* ---- What a target defines ---- */

/* Do with the image what people would.  Must not crash, hang, or leak. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Put seed number @n into @buf (FUZZ_MAX_BYTES); returns its length, 0: there are no more. */
size_t fuzz_seed(unsigned int n, uint8_t *buf);

/* ---- What image.c offers ---- */

/* Open @data as an image of @format, read it, map it, check it, and close it. */
void fuzz_read_image(const char *format, const uint8_t *data, size_t size);
/* The same for writing: repair it, write a little, discard a little. */
void fuzz_write_image(const char *format, const uint8_t *data, size_t size);

/* Big-endian numbers for seeds. */
void fuzz_put_be32(uint8_t *at, uint32_t value);
void fuzz_put_be64(uint8_t *at, uint64_t value);

#endif
