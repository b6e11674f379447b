/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver's row (qed.c) is made of; struct blk_driver says what each function does.  The
 * file that defines it is named.
 */
#ifndef QEDBLK_FORMAT_QED_QED_H
#define QEDBLK_FORMAT_QED_QED_H

#include "block/node.h"

struct qed_image;

/* io.c */
int qed_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);
int qed_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
		  unsigned int flags);
int qed_co_pwrite_durable(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf);

/* zero.c */
int qed_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			 unsigned int flags);
int qed_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes);
/*
 * Discard the image's data from byte @from up to @end, a multiple of the cluster size; in the
 * cluster of @from by zeroes.  What shows the backing file stays so.  For a range that no request
 * reaches.
 */
int qed_co_cut(struct qed_image *img, uint64_t from, uint64_t end);

/*
 * commit.c: the guest's FLUSH.  Reports, once, the error of a commit that no FLUSH waited for.
 * Only for the guest's requests; other callers use qed_co_commit().
 */
int qed_co_flush(struct blk_node *node);

/* create.c, measure.c */
extern const struct blk_option_row qed_create_options[];
int qed_check_create(const struct blk_create_opts *opts, struct error *err);
int qed_co_create(struct blk_file *file, const struct blk_create_opts *opts, struct error *err);
int qed_co_measure(const struct blk_create_opts *opts, struct blk_node *source,
		   struct blk_measure *result, struct error *err);

/* header_io.c, backing.c, resize.c, empty.c */
int qed_co_set_complete(struct blk_node *node);
int qed_check_backing(struct blk_node *node, const char *name, struct error *err);
int qed_co_change_backing(struct blk_node *node, const char *name, const char *format,
			  struct error *err);
int qed_co_truncate(struct blk_node *node, uint64_t size, bool *unsure, struct error *err);
int qed_co_make_empty(struct blk_node *node);

/* check.c */
int qed_co_check(struct blk_node *node, unsigned int fix, blk_check_report_fn *report,
		 void *report_arg, struct blk_check_result *result, struct error *err);

/* check_live.c */
int qed_co_check_live(struct blk_node *node, unsigned int fix, const bool *cancel,
		      struct blk_check_result *result, struct error *err);

#endif
