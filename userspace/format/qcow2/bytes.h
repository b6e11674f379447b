/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers as they are on disk, and what header.c and extensions.c share. */
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

/* Subclusters have at least a sector. */
#define QCOW2_MIN_EXTENDED_CLUSTER_BITS 14

/* The feature name table: rows of type, bit, name. */
#define QCOW2_FEATURE_BYTES	   48u
#define QCOW2_FEATURE_NAME	   46u
#define QCOW2_FEATURE_INCOMPATIBLE 0u

/*
 * Walk the header extensions, take the names that matter, and refuse features
 * that are not known.  @buf and @len as for qcow2_parse().
 */
int qcow2_read_extensions(const struct qcow2_header *h, const uint8_t *buf, size_t len,
			  struct qcow2_names *names, struct error *err);

/* 0, or -ENOTSUP with the names of unknown incompatible features, as far as @table has them. */
int qcow2_refuse_features(const struct qcow2_header *h, const uint8_t *table, size_t len,
			  struct error *err);

/* A text of @len bytes, called @what in the error's line, to *@name (heap). */
int qcow2_copy_name(char **name, const uint8_t *text, size_t len, const char *what,
		    struct error *err);

#endif
