// SPDX-License-Identifier: GPL-2.0
/* Block devices above and below each other, as /sys shows them. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/device_stack.h"
#include "util/process.h"

/* The uuid of a device mapping of qedctl is this prefix and the device's name. */
#define MAPPING_UUID "QED-"

#define SYS_PATH_LEN 320

/* Write the path of the file or folder @name of @dev to @buf, and return it. */
static char *sys_path(char buf[SYS_PATH_LEN], dev_t dev, const char *name)
{
	snprintf(buf, SYS_PATH_LEN, "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), name);
	return buf;
}

/* Read the first line of a file below the folder @dir_fd; false if there is none. */
static bool read_line(int dir_fd, const char *path, char *buf, size_t len)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, len - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return n > 0;
}

/* Read a device number, "MAJOR:MINOR". */
static bool read_number(int dir_fd, const char *path, dev_t *dev)
{
	unsigned int major, minor;
	char text[32];

	if (!read_line(dir_fd, path, text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	*dev = makedev(major, minor);
	return true;
}

bool device_set_has(const struct device_set *set, dev_t dev)
{
	for (unsigned int i = 0; i < set->count; i++)
		if (set->dev[i] == dev)
			return true;
	return false;
}

void device_set_add(struct device_set *set, dev_t dev)
{
	if (set->count < DEVICE_SET_MAX && !device_set_has(set, dev))
		set->dev[set->count++] = dev;
}

bool device_is_partition(dev_t dev)
{
	char path[SYS_PATH_LEN];

	return !access(sys_path(path, dev, "partition"), F_OK);
}

bool device_is_mapped_partition(dev_t dev)
{
	char path[SYS_PATH_LEN], uuid[160];
	unsigned int number;
	int end = 0;

	return read_line(AT_FDCWD, sys_path(path, dev, "dm/uuid"), uuid, sizeof(uuid)) &&
	       sscanf(uuid, "part%u-%n", &number, &end) == 1 && end;
}

/* Add the devices in the folder @name of @dev: "holders", "slaves", or "." for its partitions. */
static void add_from(struct device_set *set, dev_t dev, const char *name)
{
	char path[SYS_PATH_LEN];
	DIR *dir = opendir(sys_path(path, dev, name));
	struct dirent *entry;
	dev_t other;

	while (dir && (entry = readdir(dir))) {
		char file[sizeof(entry->d_name) + sizeof("/partition")];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/partition", entry->d_name);
		if (!strcmp(name, ".") && faccessat(dirfd(dir), file, F_OK, 0))
			continue;
		snprintf(file, sizeof(file), "%s/dev", entry->d_name);
		if (read_number(dirfd(dir), file, &other))
			device_set_add(set, other);
	}
	if (dir)
		closedir(dir);
}

/* Find the block device over which the loop device with the folder @path was made. */
static bool loop_is_over(int dir_fd, const char *path, dev_t *dev)
{
	char file[PATH_MAX];
	struct stat st;

	/* Only below /dev: a file server that does not answer must not be asked. */
	if (!read_line(dir_fd, path, file, sizeof(file)) || strncmp(file, "/dev/", 5) ||
	    stat(file, &st) || !S_ISBLK(st.st_mode))
		return false;
	*dev = st.st_rdev;
	return true;
}

static void add_loops(struct device_set *set, dev_t dev)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	dev_t below, loop;

	while (dir && (entry = readdir(dir))) {
		char file[sizeof(entry->d_name) + sizeof("/loop/backing_file")];

		if (strncmp(entry->d_name, "loop", 4))
			continue;
		snprintf(file, sizeof(file), "%s/loop/backing_file", entry->d_name);
		if (!loop_is_over(dirfd(dir), file, &below) || below != dev)
			continue;
		snprintf(file, sizeof(file), "%s/dev", entry->d_name);
		if (read_number(dirfd(dir), file, &loop))
			device_set_add(set, loop);
	}
	if (dir)
		closedir(dir);
}

void device_set_above(struct device_set *set, dev_t dev)
{
	set->count = 0;
	device_set_add(set, dev);
	for (unsigned int i = 0; i < set->count; i++) {
		add_from(set, set->dev[i], "holders");
		add_from(set, set->dev[i], ".");
		add_loops(set, set->dev[i]);
	}
}

void device_set_below(struct device_set *set, dev_t dev)
{
	char path[SYS_PATH_LEN];
	dev_t below;

	set->count = 0;
	device_set_add(set, dev);
	for (unsigned int i = 0; i < set->count; i++) {
		add_from(set, set->dev[i], "slaves");
		if (device_is_partition(set->dev[i]) &&
		    read_number(AT_FDCWD, sys_path(path, set->dev[i], "../dev"), &below))
			device_set_add(set, below);
		if (loop_is_over(AT_FDCWD, sys_path(path, set->dev[i], "loop/backing_file"),
				 &below))
			device_set_add(set, below);
	}
}

/* Copy the kernel's name of the device, "" if there is no such device. */
static void kernel_name(dev_t dev, char *buf, size_t len)
{
	char path[64], link[PATH_MAX];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	slash = strrchr(link, '/');
	snprintf(buf, len, "%.*s", (int)len - 1, slash ? slash + 1 : link);
}

char *device_title(char buf[DEVICE_TITLE_LEN], dev_t dev)
{
	char path[SYS_PATH_LEN], mapped[DEVICE_TITLE_LEN];
	size_t len;

	kernel_name(dev, buf, DEVICE_TITLE_LEN);
	len = strlen(buf);
	if (read_line(AT_FDCWD, sys_path(path, dev, "dm/name"), mapped, sizeof(mapped)))
		snprintf(buf + len, DEVICE_TITLE_LEN - len, " (%s)", mapped);
	return buf;
}

/* Search for the server that has the character device of a ublk device open. */
struct search {
	dev_t character;
	pid_t pid;
};

static bool is_server(void *arg, pid_t pid)
{
	struct search *search = arg;
	char name[PROCESS_NAME_LEN], path[64];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *dir;

	if (strcmp(process_name(pid, name), PROCESS_SERVER))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		char link[PATH_MAX];
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		/* A file that lies elsewhere may be on a file server that does not answer. */
		link[n > 0 ? n : 0] = '\0';
		found = !strncmp(link, "/dev/", 5) && !fstatat(dirfd(dir), entry->d_name, &st, 0) &&
			S_ISCHR(st.st_mode) && st.st_rdev == search->character;
	}
	if (dir)
		closedir(dir);
	if (found)
		search->pid = pid;
	return found;
}

/* Return the process of ours that serves ublk device @number, 0 if none is found. */
static pid_t find_server(unsigned int number)
{
	struct search search = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/ublk-char/ublkc%u/dev", number);
	if (read_number(AT_FDCWD, path, &search.character))
		process_find(is_server, &search);
	return search.pid;
}

/* Set ->mapping and ->name if one of the devices is a device mapping of qedctl. */
static void find_mapping(const struct device_set *set, struct device_served *served)
{
	char path[SYS_PATH_LEN], uuid[160];

	for (unsigned int i = 0; i < set->count && !served->mapping; i++) {
		if (!read_line(AT_FDCWD, sys_path(path, set->dev[i], "dm/uuid"), uuid,
			       sizeof(uuid)) ||
		    strncmp(uuid, MAPPING_UUID, strlen(MAPPING_UUID)))
			continue;
		served->mapping = set->dev[i];
		served->name = strdup(uuid + strlen(MAPPING_UUID));
	}
}

bool device_find_served(dev_t dev, struct device_served *served)
{
	char path[SYS_PATH_LEN], name[NAME_MAX + 1], rest, read_only[4];
	struct device_set below, above;
	unsigned int number, i;

	*served = (struct device_served){ .pid = 0 };
	device_set_below(&below, dev);
	for (i = 0; i < below.count; i++) {
		kernel_name(below.dev[i], name, sizeof(name));
		if (sscanf(name, "ublkb%u%c", &number, &rest) == 1)
			break;
	}
	if (i == below.count)
		return false;
	served->dev = below.dev[i];
	served->writable = !read_line(AT_FDCWD, sys_path(path, served->dev, "ro"), read_only,
				      sizeof(read_only)) ||
			   read_only[0] != '1';
	device_set_above(&above, served->dev);
	find_mapping(&above, served);
	served->pid = find_server(number);
	if (served->pid && !served->name)
		served->name = process_option(served->pid, "name");
	if (served->pid)
		served->image = process_option(served->pid, "image");
	return served->pid || served->name;
}

void device_served_free(struct device_served *served)
{
	free(served->name);
	free(served->image);
}
