/* SPDX-License-Identifier: GPL-2.0 */
/* Reading big-endian numbers, and the declarations that header.c and extensions.c share. */
#ifndef QEDBLK_FORMAT_QCOW2_BYTES_H
#define QEDBLK_FORMAT_QCOW2_BYTES_H

#include <endian.h>
#include <string.h>

#include "format/qcow2/format.h"

static inline uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* A subcluster is at least a sector. */
#define QCOW2_MIN_EXTENDED_CLUSTER_BITS 14

/* The feature name table: bytes of a row (type, bit, name) and of the name in it; a row's type. */
#define QCOW2_FEATURE_BYTES	   48u
#define QCOW2_FEATURE_NAME	   46u
#define QCOW2_FEATURE_INCOMPATIBLE 0u

/*
 * Walk the header extensions, copy the names that struct qcow2_names has to @names (heap),
 * decode what struct qcow2_header has of them, and refuse unknown features.  @buf and @len as for
 * qcow2_parse().  Returns 0, -EINVAL, -ENOTSUP or -ENOMEM with an error line.
 */
int qcow2_read_extensions(struct qcow2_header *h, const uint8_t *buf, size_t len,
			  struct qcow2_names *names, struct error *err);

/*
 * Return 0, or -ENOTSUP with the names of the unknown incompatible features in the error line, as
 * far as @table, the feature name table of @len bytes, has them.
 */
int qcow2_refuse_features(const struct qcow2_header *h, const uint8_t *table, size_t len,
			  struct error *err);

/*
 * Copy @text, of @len bytes, up to its first NUL byte to *@name (heap), whose old value is freed;
 * NULL for an empty name.  Returns 0, or -ENOMEM with an error line.
 */
int qcow2_copy_name(char **name, const uint8_t *text, size_t len, struct error *err);

#endif
