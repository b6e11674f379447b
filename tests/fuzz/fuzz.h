/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fuzz targets are made of.  A target is a file fuzz_NAME.c; it is linked
 * with driver.c, which makes images out of seeds, or with libFuzzer.
 */
#ifndef QEDBLK_TESTS_FUZZ_H
#define QEDBLK_TESTS_FUZZ_H

#include <stdbool.h>
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

/* ---- What qed_seed.c offers ---- */

#define FUZZ_QED_CLUSTER 4096u

/*
 * Put QED image number @n into @buf (FUZZ_MAX_BYTES): one with data, zero and unallocated clusters.
 * Returns its length, 0: there are no more.
 */
size_t fuzz_qed_seed(unsigned int n, uint8_t *buf);

/* ---- What common.c offers ---- */

/* Abort, with @what on standard error, unless @good. */
void fuzz_require(bool good, const char *what);

/* Run @fn(@arg) in a coroutine of this thread's loop, which is made when first used. */
void fuzz_run_co(void (*fn)(void *arg), void *arg);

/* A file in memory (a descriptor) with @size bytes of @data. */
int fuzz_memfd(const char *name, const void *data, size_t size);

/* A heap string of @data, which ends before the first NUL byte. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Put text @n of @count texts into @buf, as fuzz_seed() does. */
size_t fuzz_seed_text(const char *const texts[], size_t count, unsigned int n, uint8_t *buf);

/* Drop what is printed to stdout and stderr from now on, or (@quiet false) no more. */
void fuzz_quiet(bool quiet);

/* A folder of this process's own, removed with all that is in it when the process ends. */
const char *fuzz_scratch(void);

/* Big-endian numbers for seeds. */
void fuzz_put_be32(uint8_t *at, uint32_t value);
void fuzz_put_be64(uint8_t *at, uint64_t value);

#endif
