// SPDX-License-Identifier: GPL-2.0
/* Names and lists: the driver's features, server cookies, existing devices. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ublk/ctrl.h"
#include "util/units.h"

#define SYSFS_CLASS "/sys/class/ublk-char"

static const char *const feature_names[] = {
	"SUPPORT_ZERO_COPY",
	"URING_CMD_COMP_IN_TASK",
	"NEED_GET_DATA",
	"USER_RECOVERY",
	"USER_RECOVERY_REISSUE",
	"UNPRIVILEGED_DEV",
	"CMD_IOCTL_ENCODE",
	"USER_COPY",
	"ZONED",
	"USER_RECOVERY_FAIL_IO",
	"UPDATE_SIZE",
	"AUTO_BUF_REG",
	"QUIESCE",
	"PER_IO_DAEMON",
	"BUF_REG_OFF_DAEMON",
	"BATCH_IO",
	"INTEGRITY",
	"SAFE_STOP_DEV",
	"NO_AUTO_PART_SCAN",
	"SHMEM_ZC",
};

void ublk_for_each_feature(uint64_t features, void (*fn)(void *arg, const char *name), void *arg)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		char number[16];

		if (!(features & (1ULL << bit)))
			continue;
		snprintf(number, sizeof(number), "bit%u", bit);
		fn(arg, bit < ARRAY_SIZE(feature_names) ? feature_names[bit] : number);
	}
}

/* FNV-1a, 64 bits; the prefix distinguishes qedblk's devices from other servers'. */
uint64_t ublk_name_cookie(const char *name)
{
	const char *const parts[] = { "qedblk:", name };
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		for (const char *c = parts[i]; *c; c++) {
			hash ^= (unsigned char)*c;
			hash *= 0x100000001b3ULL;
		}
	}
	return hash;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Append @id; the array doubles. */
static int append_id(uint32_t **ids, size_t *count, uint32_t id)
{
	if (!(*count & (*count - 1))) {
		size_t room = *count ? *count * 2 : 1;
		uint32_t *bigger = reallocarray(*ids, room, sizeof(**ids));

		if (!bigger)
			return -ENOMEM;
		*ids = bigger;
	}
	(*ids)[(*count)++] = id;
	return 0;
}

static int read_class(DIR *dir, uint32_t **ids, size_t *count)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		uint32_t id;
		char rest;
		int ret;

		if (sscanf(entry->d_name, "ublkc%u%c", &id, &rest) != 1)
			continue;
		ret = append_id(ids, count, id);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int ublk_dev_list(uint32_t **ids, size_t *count, struct error *err)
{
	DIR *dir = opendir(SYSFS_CLASS);
	int ret;

	*ids = NULL;
	*count = 0;
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return error_set_errno(err, -errno, "%s", SYSFS_CLASS);
	ret = read_class(dir, ids, count);
	closedir(dir);
	if (ret < 0) {
		free(*ids);
		*ids = NULL;
		*count = 0;
		return error_set_errno(err, ret, "%s", SYSFS_CLASS);
	}
	if (*count)
		qsort(*ids, *count, sizeof(**ids), compare_ids);
	return 0;
}
