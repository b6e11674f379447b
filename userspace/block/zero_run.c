// SPDX-License-Identifier: GPL-2.0
/* Zeroes in guests' writes. */
#include <string.h>

#include "block/zero.h"
#include "block/zero_run.h"
#include "util/units.h"

static const char *const names[DETECT_ZEROES_MODES] = {
	[DETECT_ZEROES_OFF] = "off",
	[DETECT_ZEROES_ON] = "on",
	[DETECT_ZEROES_UNMAP] = "unmap",
};

const char *detect_zeroes_name(enum detect_zeroes mode)
{
	return names[mode];
}

enum detect_zeroes detect_zeroes_mode(const char *name)
{
	unsigned int i;

	for (i = 0; i < DETECT_ZEROES_MODES; i++)
		if (!strcmp(name, names[i]))
			break;
	return i;
}

uint64_t zero_run(const void *buf, uint64_t offset, uint64_t bytes, uint32_t cluster, uint64_t size,
		  bool *zero)
{
	uint64_t pos = offset, end = offset + bytes;

	while (pos < end) {
		uint64_t cluster_end = round_down(pos, cluster) + cluster;
		uint64_t unit_end = min_u64(cluster_end, end);
		bool whole = !(pos % cluster) && (unit_end == cluster_end || unit_end == size);
		bool unit_zero = whole &&
				 buffer_is_zero((const char *)buf + (pos - offset), unit_end - pos);

		if (pos == offset)
			*zero = unit_zero;
		else if (*zero != unit_zero)
			break;
		pos = unit_end;
	}
	return pos - offset;
}
