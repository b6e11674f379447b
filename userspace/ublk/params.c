// SPDX-License-Identifier: GPL-2.0
/* Compute the limits of a block device from those of its image. */
#include <string.h>

#include "ublk/params.h"
#include "util/units.h"

#define SECTOR_SHIFT 9
/* The unit of writes of file systems and page caches. */
#define MIN_PHYSICAL_BLOCK 4096u
/* The result of a request is an s32, so its length must stay well below 2 GiB. */
#define MAX_RANGE_SECTORS (1u << (30 - SECTOR_SHIFT))

static uint8_t shift_of(uint32_t power)
{
	return __builtin_ctz(power);
}

static void fill_basic(struct ublk_param_basic *basic, const struct ublk_limits *limits,
		       uint32_t physical, uint32_t unit)
{
	basic->logical_bs_shift = SECTOR_SHIFT;
	basic->physical_bs_shift = shift_of(physical);
	basic->io_min_shift = shift_of(physical);
	basic->io_opt_shift = shift_of(unit);
	basic->max_sectors = limits->max_io_bytes >> SECTOR_SHIFT;
	basic->dev_sectors = limits->size >> SECTOR_SHIFT;
	/* The kernel honours FUA only with a volatile cache, which there is. */
	basic->attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
	if (limits->read_only)
		basic->attrs |= UBLK_ATTR_READ_ONLY;
}

/*
 * Write-zeroes depends on this, too: the kernel enables it only on a device with a
 * discard granularity.
 */
static void fill_discard(struct ublk_param_discard *discard, const struct ublk_limits *limits,
			 uint32_t unit)
{
	discard->discard_granularity = unit;
	discard->max_discard_segments = 1;
	if (limits->read_only)
		return;
	discard->max_write_zeroes_sectors = MAX_RANGE_SECTORS;
	if (limits->discard)
		discard->max_discard_sectors = MAX_RANGE_SECTORS;
}

void ublk_params_fill(struct ublk_params_v2 *params, const struct ublk_limits *limits)
{
	uint32_t physical = max_u64(MIN_PHYSICAL_BLOCK, limits->file_align);
	uint32_t unit = max_u64(physical, limits->cluster_size);

	memset(params, 0, sizeof(*params));
	params->len = sizeof(*params);
	params->types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD;
	fill_basic(&params->basic, limits, physical, unit);
	fill_discard(&params->discard, limits, unit);
	/* Needed where the image file is read directly into the pages of the request. */
	if (limits->mem_align > 1 && limits->mem_align <= 4096) {
		params->types |= UBLK_PARAM_TYPE_DMA_ALIGN;
		params->dma.alignment = limits->mem_align - 1;
	}
}
