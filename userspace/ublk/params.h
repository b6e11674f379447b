/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters of a block device: size, limits, cache. */
#ifndef QEDBLK_UBLK_PARAMS_H
#define QEDBLK_UBLK_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "ublk/uapi.h"

/* All sizes in bytes; all but @size powers of two. */
struct ublk_limits {
	uint64_t size; /* of the device; rounded down to whole sectors */
	uint32_t cluster_size; /* allocation unit, 0: none */
	uint32_t file_align; /* alignment of offsets and lengths in the image file; 0 or 1: none */
	uint32_t mem_align; /* alignment of buffers for the image file */
	uint32_t max_io_bytes; /* of one read or write */
	bool read_only;
	bool discard; /* advertise discard */
};

/* Fill @params for ublk_ctrl_set_params(). */
void ublk_params_fill(struct ublk_params_v2 *params, const struct ublk_limits *limits);

#endif
