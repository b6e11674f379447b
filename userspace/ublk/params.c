// SPDX-License-Identifier: GPL-2.0
/* From what is known of an image to the limits of its block device. */
#include <string.h>

#include "ublk/params.h"
#include "util/units.h"

#define SECTOR_SHIFT 9
/* The unit that file systems and page caches write in. */
#define MIN_PHYSICAL_BLOCK 4096u
/* Results of requests are s32, so a request's length has to stay well below 2 GiB. */
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
	/* The kernel heeds FUA only beside a volatile cache; and there is one. */
	basic->attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
	if (limits->read_only)
		basic->attrs |= UBLK_ATTR_READ_ONLY;
}

/*
 * Write-zeroes hangs on this, too: the kernel takes it only from a device that
 * states a discard granularity.
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
	/* Matters where the image file is read straight into the request's own pages. */
	if (limits->mem_align > 1 && limits->mem_align <= 4096) {
		params->types |= UBLK_PARAM_TYPE_DMA_ALIGN;
		params->dma.alignment = limits->mem_align - 1;
	}
}
