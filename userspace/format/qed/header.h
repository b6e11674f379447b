/* SPDX-License-Identifier: GPL-2.0 */
/* Reading and writing an image's header. */
#ifndef QEDBLK_FORMAT_QED_HEADER_H
#define QEDBLK_FORMAT_QED_HEADER_H

#include "format/qed/image.h"

/*
 * Read and validate the header; the caller owns *@backing_name (NULL: none).  @incomplete: accept
 * an image that is being filled; without it such an image is refused.  Returns 0 or a negative
 * errno, with an error line.  Yields.
 */
int qed_co_read_header(struct blk_file *file, bool incomplete, struct qed_header *h,
		       char **backing_name, struct error *err);
/* Write the header's fixed part, and flush the file.  Returns 0 or a negative errno.  Yields. */
int qed_co_write_header(struct qed_image *img, const struct qed_header *h);

#endif
