// SPDX-License-Identifier: GPL-2.0
/*
 * Changing the backing file of an open image, or removing it.
 *
 * The header's 64 bytes change together.  All data that replaces the old backing
 * file's is durable before them, and so is a new name, which is written beside the
 * old one: a crash leaves the old name or the new one, never a mixture.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/qed/commit.h"
#include "format/qed/header.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"
#include "util/units.h"

/* Return where in the header @len bytes have room beside the old name; 0: nowhere. */
static uint32_t place_name(const struct qed_image *img, size_t len)
{
	const struct qed_header *h = &img->header;
	uint64_t end = (uint64_t)h->header_size * h->cluster_size;
	uint64_t old_end = (uint64_t)h->backing_filename_offset + h->backing_filename_size;

	if (!(h->features & QED_F_BACKING_FILE) || !h->backing_filename_size ||
	    QED_HEADER_BYTES + len <= h->backing_filename_offset)
		return QED_HEADER_BYTES;
	/* In a sector of its own, so that a torn write can't damage the old name. */
	old_end = round_up(old_end, SECTOR_SIZE);
	return old_end + len <= end ? old_end : 0;
}

int qed_check_backing(struct blk_node *node, const char *name, struct error *err)
{
	const struct qed_image *img = node->opaque;
	size_t len = strlen(name);

	/* An unknown feature may keep data where the name would go. */
	if (img->header.compat_features)
		return error_set(err, -ENOTSUP,
				 "the image has features of a newer version of the format");
	if (!len || len > QED_MAX_BACKING_NAME)
		return error_set(err, -EINVAL, "backing file name is empty or longer than %u bytes",
				 QED_MAX_BACKING_NAME);
	if (!place_name(img, len))
		return error_set(err, -ENOSPC, "no room in the header for the backing file's name");
	return 0;
}

static int put_name(struct qed_image *img, struct qed_header *h, const char *name,
		    const char *format, struct error *err)
{
	size_t len = strlen(name);
	int ret;

	h->backing_filename_offset = place_name(img, len);
	h->backing_filename_size = len;
	h->features |= QED_F_BACKING_FILE;
	if (format && !strcmp(format, "raw"))
		h->features |= QED_F_BACKING_FORMAT_NO_PROBE;
	ret = blk_file_co_pwrite(img->file, name, len, h->backing_filename_offset);
	if (!ret)
		ret = qed_co_flush_file(img);
	return ret ? error_set_errno(err, ret, "could not write the backing file's name") : 0;
}

/* The same in memory.  No other thread reads the names meanwhile. */
static void set_names(struct blk_node *node, char *name, char *format)
{
	free(node->backing_name);
	free(node->backing_format);
	node->backing_name = name;
	node->backing_format = format;
}

/* Change the header on disk, after a commit, and in @img->header.  With header_lock held. */
static int change_header(struct qed_image *img, const char *name, const char *format,
			 struct error *err)
{
	struct qed_header header = img->header;
	int ret = name ? qed_check_backing(img->node, name, err) : 0;

	if (ret)
		return ret;
	ret = qed_co_commit(img);
	if (ret)
		return error_set_errno(err, ret, "flush");
	header.features &= ~(uint64_t)(QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE);
	header.backing_filename_offset = header.backing_filename_size = 0;
	if (name)
		ret = put_name(img, &header, name, format, err);
	if (ret)
		return ret;
	ret = qed_co_write_header(img, &header);
	if (ret)
		return error_set_errno(err, ret, "could not write the QED header");
	/* Only these fields: other threads read the rest meanwhile. */
	img->header.features = header.features;
	img->header.backing_filename_offset = header.backing_filename_offset;
	img->header.backing_filename_size = header.backing_filename_size;
	img->has_backing = name;
	return 0;
}

int qed_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err)
{
	struct qed_image *img = node->opaque;
	bool raw = name && format && !strcmp(format, "raw");
	char *name_copy = name ? strdup(name) : NULL;
	char *format_copy = raw ? strdup("raw") : NULL;
	int ret = 0;

	if ((name && !name_copy) || (raw && !format_copy))
		ret = error_set_errno(err, -ENOMEM, "backing file name");
	if (!ret) {
		co_mutex_lock(&img->header_lock);
		ret = change_header(img, name, format, err);
		co_mutex_unlock(&img->header_lock);
	}
	if (ret) {
		free(name_copy);
		free(format_copy);
		return ret;
	}
	set_names(node, name_copy, format_copy);
	return 0;
}
