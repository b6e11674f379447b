// SPDX-License-Identifier: GPL-2.0
/*
 * Header extensions: (type, length, data padded to a multiple of 8 bytes), one after
 * another behind the header, up to a type of 0, the backing file's name, or the end of
 * the first cluster.  Unknown ones are skipped, as the specification says.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/qcow2/bytes.h"
#include "util/units.h"

#define EXT_HEAD_BYTES 8u

#define EXT_END		   0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES  0x6803f857u
#define EXT_DATA_FILE	   0x44415441u
#define EXT_CRYPTO	   0x0537be77u
#define EXT_BITMAPS	   0x23852875u

/* The feature name table, in the caller's buffer; @len, in bytes, is 0 if there is none. */
struct feature_table {
	const uint8_t *rows;
	size_t len;
};

int qcow2_copy_name(char **name, const uint8_t *text, size_t len, struct error *err)
{
	char *copy = NULL;

	if (len && *text) {
		copy = strndup((const char *)text, len);
		if (!copy)
			return error_set_errno(err, -ENOMEM, "a name of the header");
	}
	free(*name);
	*name = copy;
	return 0;
}

static void read_crypto(struct qcow2_header *h, const uint8_t *data, size_t len)
{
	h->crypto_ext_bytes = (uint32_t)len;
	if (len != QCOW2_CRYPTO_EXT_BYTES)
		return;
	h->crypto_offset = get_be64(data);
	h->crypto_bytes = get_be64(data + 8);
}

static void read_bitmaps(struct qcow2_header *h, const uint8_t *data, size_t len)
{
	h->bitmaps_ext_bytes = (uint32_t)len;
	if (len != QCOW2_BITMAPS_EXT_BYTES)
		return;
	h->nb_bitmaps = get_be32(data);
	h->bitmaps_reserved = get_be32(data + 4);
	h->bitmap_dir_bytes = get_be64(data + 8);
	h->bitmap_dir_offset = get_be64(data + 16);
}

static int read_one(struct qcow2_header *h, uint32_t type, const uint8_t *data, size_t len,
		    struct qcow2_names *names, struct feature_table *features, struct error *err)
{
	switch (type) {
	case EXT_CRYPTO:
		read_crypto(h, data, len);
		return 0;
	case EXT_BITMAPS:
		read_bitmaps(h, data, len);
		return 0;
	case EXT_BACKING_FORMAT:
		if (len > QCOW2_MAX_FORMAT_NAME)
			return error_set(err, -EINVAL,
					 "ERROR: ext_backing_format: len=%zu too large", len);
		return qcow2_copy_name(&names->backing_format, data, len, err);
	case EXT_DATA_FILE:
		if (len > QCOW2_MAX_BACKING_NAME)
			return error_set(err, -EINVAL, "qcow2 data file name is longer than %u",
					 QCOW2_MAX_BACKING_NAME);
		return qcow2_copy_name(&names->data_file, data, len, err);
	case EXT_FEATURE_NAMES:
		*features = (struct feature_table){ data, len };
		return 0;
	default:
		return 0;
	}
}

static int walk(struct qcow2_header *h, const uint8_t *buf, size_t end, struct qcow2_names *names,
		struct feature_table *features, struct error *err)
{
	size_t pos = h->header_length;

	while (pos < end && end - pos >= EXT_HEAD_BYTES) {
		uint32_t type = get_be32(buf + pos), len = get_be32(buf + pos + 4);
		int ret;

		pos += EXT_HEAD_BYTES;
		if (type == EXT_END)
			return 0;
		if (len > end - pos)
			return error_set(err, -EINVAL, "Header extension too large");
		ret = read_one(h, type, buf + pos, len, names, features, err);
		if (ret)
			return ret;
		pos += round_up(len, 8);
	}
	return 0;
}

int qcow2_read_extensions(struct qcow2_header *h, const uint8_t *buf, size_t len,
			  struct qcow2_names *names, struct error *err)
{
	struct feature_table features = { NULL, 0 };
	size_t end = h->backing_offset ? min_u64(h->backing_offset, len) : len;
	int ret = walk(h, buf, end, names, &features, err);

	return ret ? ret : qcow2_refuse_features(h, features.rows, features.len, err);
}
