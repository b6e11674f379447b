/* SPDX-License-Identifier: GPL-2.0 */
/* Where guest bytes are (map.c). */
#ifndef QEDBLK_FORMAT_QED_MAP_H
#define QEDBLK_FORMAT_QED_MAP_H

#include "block/node.h"

struct qed_image;

/* See struct blk_driver. */
int qed_map_range(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
int qed_co_map_range(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
/*
 * Load the slice that holds guest cluster @cluster's entry; its table must exist.  Returns 0 or a
 * negative errno.  Yields.
 */
int qed_co_load_slice(struct qed_image *img, uint64_t cluster);

#endif
