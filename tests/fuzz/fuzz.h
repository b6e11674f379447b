/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of fuzz targets.  A target is a file fuzz_NAME.c; it is linked with driver.c, which
 * mutates seeds, or with libFuzzer.
 */
#ifndef QEDBLK_TESTS_FUZZ_H
#define QEDBLK_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maximum size of an image, in bytes. */
#define FUZZ_MAX_BYTES (96u << 10)

/* ---- Defined by a target ---- */

/* Use the image as our programs do. Must not crash, hang, or leak. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Put seed number @n into @buf (FUZZ_MAX_BYTES); return its length, 0: there are no more. */
size_t fuzz_seed(unsigned int n, uint8_t *buf);

/* ---- image.c ---- */

/* Open @data as an image of @format, read it, map it, check it, and close it. */
void fuzz_read_image(const char *format, const uint8_t *data, size_t size);
/* Open @data for a check alone, check it, and close it. */
void fuzz_check_image(const char *format, const uint8_t *data, size_t size);
/* Like fuzz_read_image() for writing: repair it, write and discard a little. */
void fuzz_write_image(const char *format, const uint8_t *data, size_t size);

/* ---- qed_seed.c ---- */

#define FUZZ_QED_CLUSTER 4096u

/*
 * Put QED image number @n into @buf (FUZZ_MAX_BYTES): one with data, zero and unallocated clusters.
 * Return its length, 0: there are no more.
 */
size_t fuzz_qed_seed(unsigned int n, uint8_t *buf);

/* ---- common.c ---- */

/* Abort, with @what on standard error, unless @good. */
void fuzz_require(bool good, const char *what);

/* Run @fn(@arg) in a coroutine of this thread's loop, which the first call creates. */
void fuzz_run_co(void (*fn)(void *arg), void *arg);

/* Return a descriptor, owned by the caller, of a file in memory with @size bytes of @data. */
int fuzz_memfd(const char *name, const void *data, size_t size);

/* Return a string of @data up to its first NUL byte; the caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Put text @n of @count texts into @buf, as fuzz_seed() does. */
size_t fuzz_seed_text(const char *const texts[], size_t count, unsigned int n, uint8_t *buf);

/* Discard stdout and stderr from now on, or (@quiet false) no longer. */
void fuzz_quiet(bool quiet);

/* Return a directory of this process, which is removed with its contents at exit. */
const char *fuzz_scratch(void);

/* Big-endian numbers for seeds. */
void fuzz_put_be32(uint8_t *at, uint32_t value);
void fuzz_put_be64(uint8_t *at, uint64_t value);

#endif
