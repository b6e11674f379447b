/* SPDX-License-Identifier: GPL-2.0 */
/* What a block device tells its users of itself: sizes, limits, cache. */
#ifndef QEDBLK_UBLK_PARAMS_H
#define QEDBLK_UBLK_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "ublk/uapi.h"

/* All sizes in bytes; all but @size powers of two. */
struct ublk_limits {
	uint64_t size; /* of the device; a tail shorter than a sector is left off */
	uint32_t cluster_size; /* unit of allocation, 0: none */
	uint32_t file_align; /* what the image file wants of offsets and lengths, 0 or 1: nothing */
	uint32_t mem_align; /* what it wants of buffers */
	uint32_t max_io_bytes; /* of one read or write */
	bool read_only;
	bool discard; /* discards are worth sending */
};

/* Fill @params for ublk_ctrl_set_params(). */
void ublk_params_fill(struct ublk_params_v2 *params, const struct ublk_limits *limits);

#endif
