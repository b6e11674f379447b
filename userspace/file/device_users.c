// SPDX-License-Identifier: GPL-2.0
/* What uses a block device: mounts, swap, devices above it, processes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/device_stack.h"
#include "file/device_users.h"
#include "util/process.h"

/* The names of more users would not fit on a line. */
#define MAX_NAMED 6

/* Mount namespaces that are looked at. */
#define MAX_NAMESPACES 64

struct finder {
	struct device_set set;
	enum device_use use;
	FILE *out;
	unsigned int found;
	bool mounted[DEVICE_SET_MAX]; /* a mount of that device was named */
	ino_t namespaces[MAX_NAMESPACES];
	unsigned int namespace_count;
};

static void name_user(struct finder *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void name_user(struct finder *f, const char *fmt, ...)
{
	va_list ap;

	if (f->found++ >= MAX_NAMED)
		return;
	fputs(f->found > 1 ? ", " : "", f->out);
	va_start(ap, fmt);
	vfprintf(f->out, fmt, ap);
	va_end(ap);
}

/* Replace the octal escapes of blanks and the like, in place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		unsigned int byte;

		if (sscanf(text, "\\%3o", &byte) == 1 && byte < 256) {
			*to++ = (char)byte;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* Return the index in the set of a device by its number, or else by its path; -1: not there. */
static int find_in_set(const struct finder *f, dev_t dev, const char *path)
{
	struct stat st;

	/* Btrfs has numbers of its own. The path may be a server's name, or lie on one. */
	if (!device_set_has(&f->set, dev)) {
		if (strncmp(path, "/dev/", 5) || stat(path, &st) || !S_ISBLK(st.st_mode))
			return -1;
		dev = st.st_rdev;
	}
	for (unsigned int i = 0; i < f->set.count; i++)
		if (f->set.dev[i] == dev)
			return (int)i;
	return -1;
}

/* @pid: a process of another mount namespace; 0: ours. */
static void look_at_mount(struct finder *f, char *line, pid_t pid)
{
	char *place = NULL, *source = NULL, *options = NULL, name[PROCESS_NAME_LEN];
	const char *rest = strstr(line, " - ");
	unsigned int major, minor;
	int index = -1;

	if (rest && sscanf(line, "%*u %*u %u:%u %*s %ms", &major, &minor, &place) == 3 &&
	    sscanf(rest, " - %*s %ms %ms", &source, &options) == 2 &&
	    (f->use != DEVICE_USE_WRITES || strncmp(options, "ro", 2)))
		index = find_in_set(f, makedev(major, minor), source);
	/* A namespace has copies of the mounts of the one that it began as. */
	if (index >= 0 && !(pid && f->mounted[index])) {
		f->mounted[index] = true;
		unescape(place);
		if (pid)
			name_user(f, "the mount on %s of process %d (%s)", place, (int)pid,
				  process_name(pid, name));
		else
			name_user(f, "the mount on %s", place);
	}
	free(place);
	free(source);
	free(options);
}

static void find_mounts(struct finder *f, pid_t pid)
{
	char path[64] = "/proc/self/mountinfo", *line = NULL;
	size_t room = 0;
	FILE *file;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	file = fopen(path, "re");
	while (file && getline(&line, &room, file) > 0)
		look_at_mount(f, line, pid);
	free(line);
	if (file)
		fclose(file);
}

static void find_swap(struct finder *f)
{
	FILE *file = fopen("/proc/swaps", "re");
	char *line = NULL, *path;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		if (sscanf(line, "%ms", &path) != 1)
			continue;
		unescape(path);
		if (find_in_set(f, 0, path) >= 0)
			name_user(f, "swap on %s", path);
		free(path);
	}
	free(line);
	if (file)
		fclose(file);
}

/*
 * Name the devices above it. Partitions are a part of it; where they are mappings they hold it,
 * too, which counts if nothing else does.
 */
static void find_devices(struct finder *f, bool partitions)
{
	char title[DEVICE_TITLE_LEN];

	for (unsigned int i = 1; i < f->set.count; i++)
		if (!device_is_partition(f->set.dev[i]) &&
		    device_is_mapped_partition(f->set.dev[i]) == partitions)
			name_user(f, "%s", device_title(title, f->set.dev[i]));
}

/* May descriptor @number of process @pid be written to? */
static bool is_writable(pid_t pid, const char *number)
{
	char path[320], line[80];
	unsigned int flags = O_RDWR;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", (int)pid, number);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	if (file)
		fclose(file);
	return (flags & O_ACCMODE) != O_RDONLY;
}

static bool uses_by(struct finder *f, int dir_fd, const char *number, pid_t pid)
{
	struct statx st;

	/* AT_STATX_DONT_SYNC: a file server may not respond. */
	return !statx(dir_fd, number, AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
	       S_ISBLK(st.stx_mode) &&
	       device_set_has(&f->set, makedev(st.stx_rdev_major, st.stx_rdev_minor)) &&
	       (f->use == DEVICE_USE_ANY || is_writable(pid, number));
}

static void find_descriptors(struct finder *f, pid_t pid)
{
	char path[64], name[PROCESS_NAME_LEN];
	struct dirent *entry;
	bool uses = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && !uses && (entry = readdir(dir)))
		uses = entry->d_name[0] != '.' && uses_by(f, dirfd(dir), entry->d_name, pid);
	if (dir)
		closedir(dir);
	if (uses)
		name_user(f, "process %d (%s)", (int)pid, process_name(pid, name));
}

/* Return true if the mount namespace of process @pid was not looked at before. */
static bool is_new_namespace(struct finder *f, pid_t pid)
{
	char path[64] = "/proc/self/ns/mnt";
	struct stat st;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	if (stat(path, &st) || f->namespace_count == MAX_NAMESPACES)
		return false;
	for (unsigned int i = 0; i < f->namespace_count; i++)
		if (f->namespaces[i] == st.st_ino)
			return false;
	f->namespaces[f->namespace_count++] = st.st_ino;
	return true;
}

/*
 * Is it this process, or is this one of several that a program has forked to share its work, and
 * that one another? They have the descriptors that were left to the program.
 */
static bool is_same_program(pid_t pid)
{
	char name[PROCESS_NAME_LEN], own[PROCESS_NAME_LEN];
	pid_t parent = getppid();

	if (pid == getpid())
		return true;
	return (pid == parent || process_parent(pid) == parent) &&
	       !strcmp(process_name(parent, name), process_name(getpid(), own)) &&
	       !strcmp(process_name(pid, name), own);
}

static bool look_at_process(void *arg, pid_t pid)
{
	struct finder *f = arg;

	if (is_new_namespace(f, pid))
		find_mounts(f, pid);
	if (!is_same_program(pid))
		find_descriptors(f, pid);
	return false;
}

/* What uses the devices of @set; the first one is that which is asked about. */
static char *users_of(const struct device_set *set, enum device_use use)
{
	struct finder *f = calloc(1, sizeof(*f));
	char *text = NULL;
	size_t len;

	if (f)
		f->out = open_memstream(&text, &len);
	if (!f || !f->out) {
		free(f);
		return NULL;
	}
	f->use = use;
	f->set = *set;
	if (is_new_namespace(f, 0))
		find_mounts(f, 0);
	find_swap(f);
	if (use == DEVICE_USE_ANY)
		find_devices(f, false);
	process_find(look_at_process, f);
	if (use == DEVICE_USE_ANY && !f->found)
		find_devices(f, true);
	if (f->found > MAX_NAMED)
		fprintf(f->out, " and %u more", f->found - MAX_NAMED);
	fclose(f->out);
	if (!f->found) {
		free(text);
		text = NULL;
	}
	free(f);
	return text;
}

char *device_users(dev_t dev, enum device_use use)
{
	struct device_set set;

	device_set_above(&set, dev);
	return users_of(&set, use);
}

/*
 * What uses the bytes of @dev, which are a part of @served, or all of it: devices above it, and
 * those below as a whole, not other parts of them, as other partitions.
 */
static char *users_of_part(dev_t dev, const struct device_served *served, enum device_use use)
{
	struct device_set set, below;

	if (dev == served->dev || dev == served->mapping)
		return device_users(served->dev, use);
	device_set_above(&set, dev);
	device_set_below(&below, dev);
	for (unsigned int i = 0; i < below.count; i++)
		device_set_add(&set, below.dev[i]);
	if (served->mapping)
		device_set_add(&set, served->mapping);
	return users_of(&set, use);
}

static int refuse_written(const struct device_served *served, struct error *err)
{
	char name[PROCESS_NAME_LEN], who[64] = "";

	if (served->pid)
		snprintf(who, sizeof(who), ", which process %d (%s) serves", (int)served->pid,
			 process_name(served->pid, name));
	return error_set(err, -EBUSY,
			 "Failed to get shared \"write\" lock: is another process using the image? "
			 "It is the writable device %s%s%s%s",
			 served->name ? served->name : "of a server", who,
			 served->image ? " from " : "", served->image ? served->image : "");
}

int device_lock_check(dev_t dev, bool writing, bool lasting, struct error *err)
{
	struct device_served served;
	char *users = NULL;
	int ret = 0;

	if (!device_find_served(dev, &served)) {
		device_served_free(&served);
		return 0;
	}
	if (lasting && served.writable)
		ret = refuse_written(&served, err);
	else
		users = users_of_part(dev, &served, writing ? DEVICE_USE_KEEPS : DEVICE_USE_WRITES);
	if (users)
		ret = error_set(err, -EBUSY,
				"Failed to get %s\"write\" lock: is another process using the "
				"image? It is in use by %s",
				writing ? "" : "shared ", users);
	free(users);
	device_served_free(&served);
	return ret;
}
