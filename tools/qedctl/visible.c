// SPDX-License-Identifier: GPL-2.0
/* What users other than root may see of devices. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/run_files.h"
#include "qedctl/visible.h"
#include "util/units.h"

#define COMM_OF_SERVER "qedd"

/* Read the file @dir/@name, without a newline at its end, terminated. Returns its length, or -1. */
static ssize_t read_file(const char *dir, const char *name, char *buf, size_t len)
{
	char path[512];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	n = fread(buf, 1, len - 1, file);
	fclose(file);
	if (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return (ssize_t)n;
}

static unsigned long long read_number(const char *dir, const char *name)
{
	char text[32];

	return read_file(dir, name, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct device *)a)->name, ((const struct device *)b)->name);
}

/* Return the device of server @name in the array, which grows if it is new; NULL without memory. */
static struct device *device_of(const char *name, struct device **devs, size_t *count)
{
	struct device *more;

	for (size_t i = 0; i < *count; i++)
		if (!strcmp((*devs)[i].server, name))
			return &(*devs)[i];
	more = reallocarray(*devs, *count + 1, sizeof(**devs));
	if (!more)
		return NULL;
	*devs = more;
	more += (*count)++;
	memset(more, 0, sizeof(*more));
	snprintf(more->name, sizeof(more->name), "%s", name);
	snprintf(more->server, sizeof(more->server), "%s", name);
	return more;
}

/* Add the mapping with the directory @dir in sysfs, if it is one of ours. */
static int add_mapping(const char *dir, struct device **devs, size_t *count)
{
	char uuid[DEVICE_NAME_MAX + 8], name[DEVICE_NAME_MAX + 4], number[32];
	size_t prefix = strlen(DM_UUID_OF_OURS);
	struct device *dev;

	if (read_file(dir, "dm/uuid", uuid, sizeof(uuid)) < 0 ||
	    read_file(dir, "dm/name", name, sizeof(name)) < 0 ||
	    strncmp(uuid, DM_UUID_OF_OURS, prefix) || !device_name_is_valid(uuid + prefix) ||
	    !device_name_is_valid(name))
		return 0;
	dev = device_of(uuid + prefix, devs, count);
	if (!dev)
		return -ENOMEM;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	dev->map.exists = dev->map.ours = true;
	dev->map.size = read_number(dir, "size") * SECTOR_SIZE;
	dev->map.suspended = read_number(dir, "dm/suspended");
	dev->map.read_only = read_number(dir, "ro");
	if (read_file(dir, "dev", number, sizeof(number)) > 0)
		sscanf(number, "%u:%u", &dev->map.major, &dev->map.minor);
	return 0;
}

static int add_mappings(struct device **devs, size_t *count)
{
	glob_t found;
	int ret = 0;

	if (glob("/sys/block/dm-*", GLOB_NOSORT, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !ret; i++)
		ret = add_mapping(found.gl_pathv[i], devs, count);
	globfree(&found);
	return ret;
}

/* Return the value of option @name in the words @text of a command line, or NULL. */
static const char *option_of(const char *text, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *word = text; word < text + len; word += strlen(word) + 1) {
		const char *next = word + strlen(word) + 1;

		if (strncmp(word, name, name_len))
			continue;
		if (word[name_len] == '=')
			return word + name_len + 1;
		if (!word[name_len] && next < text + len)
			return next;
	}
	return NULL;
}

/* Add the device that the process with the directory @dir in /proc serves, if it is a server. */
static int add_server(const char *dir, struct device **devs, size_t *count)
{
	char comm[32], words[16384];
	const char *name, *image;
	struct device *dev;
	struct stat st;
	ssize_t len;

	if (read_file(dir, "comm", comm, sizeof(comm)) < 0 || strcmp(comm, COMM_OF_SERVER) ||
	    stat(dir, &st) || st.st_uid)
		return 0;
	len = read_file(dir, "cmdline", words, sizeof(words));
	name = len > 0 ? option_of(words, len, "--name") : NULL;
	image = len > 0 ? option_of(words, len, "--image") : NULL;
	if (!name || !image || !device_name_is_valid(name))
		return 0;
	dev = device_of(name, devs, count);
	if (!dev)
		return -ENOMEM;
	json_decref(dev->status);
	dev->status = json_pack("{s:s,s:s%,s:i,s:s}", "name", name, "image", image, strlen(image),
				"pid", atoi(strrchr(dir, '/') + 1), "state", SERVER_STATE_LIVE);
	return 0;
}

static int add_servers(struct device **devs, size_t *count)
{
	char path[sizeof("/proc/") + NAME_MAX];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int ret = 0;

	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s", entry->d_name);
		ret = add_server(path, devs, count);
	}
	closedir(dir);
	return ret;
}

int visible_list(struct device **devs, size_t *count, struct error *err)
{
	/* With the mount option hidepid, /proc shows a user only its own processes. */
	bool hidden = access("/proc/1", F_OK);
	int ret;

	*devs = NULL;
	*count = 0;
	ret = add_mappings(devs, count);
	if (!ret)
		ret = add_servers(devs, count);
	if (ret) {
		device_put_all(*devs, *count);
		return error_set_errno(err, ret, "list of devices");
	}
	for (size_t i = 0; i < *count && hidden; i++)
		if (!(*devs)[i].status)
			(*devs)[i].status =
				json_pack("{s:s,s:s}", "name", (*devs)[i].name, "state", "unknown");
	if (*count)
		qsort(*devs, *count, sizeof(**devs), by_name);
	return 0;
}

const char *visible_lower(const struct device *dev, char *buf, size_t len)
{
	const char *lower = NULL;
	char pattern[80];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/dev/block/%u:%u/slaves/ublkb*", dev->map.major,
		 dev->map.minor);
	if (!dev->map.exists || glob(pattern, GLOB_NOSORT, NULL, &found))
		return NULL;
	if (found.gl_pathc) {
		snprintf(buf, len, "%s", strrchr(found.gl_pathv[0], '/') + 1);
		lower = buf;
	}
	globfree(&found);
	return lower;
}
