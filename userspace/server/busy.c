// SPDX-License-Identifier: GPL-2.0
/*
 * Users of a block device: file systems and device-mapper claim it, so an exclusive
 * open fails; other openers are found by their descriptors in /proc.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "server/busy.h"
#include "ublk/ctrl.h"

#define MAX_NUMBERS 257 /* a disk and its partitions */

struct numbers {
	dev_t dev[MAX_NUMBERS];
	unsigned int count;
};

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* Add the device number in the file @path, "MAJOR:MINOR". */
static void add_number(struct numbers *numbers, int dir_fd, const char *path)
{
	unsigned int major, minor;
	char text[32] = "";
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n > 0 && sscanf(text, "%u:%u", &major, &minor) == 2 && numbers->count < MAX_NUMBERS)
		numbers->dev[numbers->count++] = makedev(major, minor);
}

static int find_numbers(struct numbers *numbers, uint32_t dev_id)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/block/ublkb%u", dev_id);
	dir = opendir(path);
	if (!dir)
		return -errno;
	add_number(numbers, dirfd(dir), "dev");
	while ((entry = readdir(dir))) {
		char sub[sizeof(entry->d_name) + sizeof("/dev")];

		if (strncmp(entry->d_name, "ublkb", 5))
			continue;
		snprintf(sub, sizeof(sub), "%s/dev", entry->d_name);
		add_number(numbers, dirfd(dir), sub);
	}
	closedir(dir);
	return 0;
}

/* Is the file one of the devices? AT_STATX_DONT_SYNC: a file server may not respond. */
static bool is_ours(const struct numbers *numbers, int dir_fd, const char *name)
{
	struct statx st;
	dev_t dev;

	if (statx(dir_fd, name, AT_STATX_DONT_SYNC, STATX_TYPE, &st) || !S_ISBLK(st.stx_mode))
		return false;
	dev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	for (unsigned int i = 0; i < numbers->count; i++)
		if (numbers->dev[i] == dev)
			return true;
	return false;
}

/* Does the process with the descriptors in @fd_path have one of the devices open? */
static bool process_uses(const struct numbers *numbers, const char *fd_path)
{
	DIR *dir = opendir(fd_path);
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = is_number(entry->d_name) && is_ours(numbers, dirfd(dir), entry->d_name);
	closedir(dir);
	return found;
}

static int check_processes(const struct numbers *numbers, const char *device, struct error *err)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return error_set_errno(err, -errno, "/proc");
	while (!ret && (entry = readdir(dir))) {
		char path[sizeof(entry->d_name) + sizeof("/proc//fd")];

		if (!is_number(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", entry->d_name);
		if (process_uses(numbers, path))
			ret = error_set(err, -EBUSY, "%s is in use by process %s", device,
					entry->d_name);
	}
	closedir(dir);
	return ret;
}

int device_check_unused(uint32_t dev_id, struct error *err)
{
	char device[UBLK_PATH_LEN];
	struct numbers numbers = { .count = 0 };
	int fd, ret;

	ublk_block_path(device, dev_id);
	fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return error_set(err, -EBUSY, "%s is in use (mounted, or below another device)",
				 device);
	if (fd >= 0)
		close(fd);
	ret = find_numbers(&numbers, dev_id);
	if (ret < 0)
		return error_set_errno(err, ret, "%s", device);
	return check_processes(&numbers, device, err);
}
