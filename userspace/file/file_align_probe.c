// SPDX-License-Identifier: GPL-2.0
/*
 * The alignment that O_DIRECT requires of offsets, lengths and buffer addresses:
 * from statx(2) where it reports it, from the device, else by trial reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/file_align_probe.h"
#include "util/units.h"

/* Bytes: the largest unit that is tried, and the result where trial reads are not possible. */
#define SAFE_ALIGN 4096

/* Returns 0, -ENOTSUP (no direct I/O), or -ENODATA (the kernel does not report it). */
static int ask_kernel(int fd, struct dio_align *align)
{
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0 ||
	    !(stx.stx_mask & STATX_DIOALIGN))
		return -ENODATA;
	if (!stx.stx_dio_offset_align || !stx.stx_dio_mem_align)
		return -ENOTSUP;
	align->offset = stx.stx_dio_offset_align;
	align->mem = stx.stx_dio_mem_align;
	return 0;
#else
	(void)fd;
	(void)align;
	return -ENODATA;
#endif
}

static int try_reading(int fd, uint64_t size, struct dio_align *align)
{
	int ret = -ENOTSUP;
	void *buf;

	/*
	 * A read at the end of the file may succeed before the kernel checks its
	 * alignment, so a file of less than a sector is no evidence.
	 */
	align->offset = SAFE_ALIGN;
	align->mem = SAFE_ALIGN;
	if (size < SECTOR_SIZE)
		return 0;

	if (posix_memalign(&buf, SAFE_ALIGN, SAFE_ALIGN))
		return -ENOMEM;
	for (uint32_t unit = SECTOR_SIZE; unit <= SAFE_ALIGN; unit *= 8) {
		if (pread(fd, buf, unit, 0) >= 0) {
			align->offset = unit;
			align->mem = unit;
			ret = 0;
			break;
		}
		if (errno != EINVAL) {
			ret = -errno;
			break;
		}
	}
	free(buf);
	return ret;
}

int dio_align_probe(int fd, bool is_device, uint64_t size, struct dio_align *align)
{
	int sector, ret;

	ret = ask_kernel(fd, align);
	if (ret == -ENODATA && is_device && ioctl(fd, BLKSSZGET, &sector) == 0 && sector > 0) {
		align->offset = (uint32_t)sector;
		align->mem = (uint32_t)min_u64((uint64_t)sector, SAFE_ALIGN);
		ret = 0;
	}
	if (ret == -ENODATA)
		ret = try_reading(fd, size, align);
	if (!ret && (!is_power_of_2(align->offset) || !is_power_of_2(align->mem)))
		ret = -ENOTSUP;
	return ret;
}
