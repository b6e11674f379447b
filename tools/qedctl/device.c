// SPDX-License-Identifier: GPL-2.0
/* A qedblk device as a whole: mapping, server, and remains. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json.h"
#include "device/run_files.h"
#include "file/device_users.h"
#include "qedctl/device.h"

/* A server replies to `status` from memory: one that takes longer is broken. */
#define STATUS_TIMEOUT_MS 5000
/* How long another verb may take: suspending waits for requests in flight. */
#define ALONE_TIMEOUT_MS 30000

int device_check_name(const char *name, struct error *err)
{
	if (device_name_is_valid(name))
		return 0;
	return error_set(err, -EINVAL, "bad device name: " DEVICE_NAME_RULE);
}

/* Return the server's status, or NULL when no server replies. */
static json_t *ask_status(const char *name)
{
	json_t *status = NULL;
	int fd = client_connect(name, NULL);

	if (fd < 0)
		return NULL;
	client_command(fd, "status", NULL, STATUS_TIMEOUT_MS, &status, NULL);
	close(fd);
	return status;
}

static json_t *read_hint(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s" RUN_DESCRIPTION, client_run_dir(), name);
	return json_load_file(path, 0, NULL);
}

/* Find the mapping that is called @name, or else the one of a server of that name. */
static int find_mapping(const char *name, struct mapping *map, struct error *err)
{
	int ret = mapping_lookup(name, map, err);

	return ret || map->exists ? ret : mapping_lookup_server(name, map, err);
}

int device_look(const char *name, struct device *dev, struct error *err)
{
	int ret;

	memset(dev, 0, sizeof(*dev));
	ret = device_check_name(name, err);
	if (ret)
		return ret;
	ret = find_mapping(name, &dev->map, err);
	if (ret)
		return ret;
	snprintf(dev->name, sizeof(dev->name), "%s", dev->map.exists ? dev->map.name : name);
	snprintf(dev->server, sizeof(dev->server), "%s", dev->map.ours ? dev->map.server : name);
	dev->hint = read_hint(dev->server);
	dev->status = ask_status(dev->server);
	if (!dev->status)
		live_server_find(dev->server, &dev->live);
	return 0;
}

void device_put(struct device *dev)
{
	json_decref(dev->status);
	json_decref(dev->hint);
	live_server_free(&dev->live);
	dev->status = NULL;
	dev->hint = NULL;
}

bool device_exists(const struct device *dev)
{
	return dev->map.exists || dev->status || dev->hint || dev->live.has_device;
}

int device_find(const char *name, struct device *dev, struct error *err)
{
	int ret = device_look(name, dev, err);

	if (ret)
		return ret;
	if (dev->map.exists && !dev->map.ours)
		ret = error_set(err, -EPERM, "the device-mapper device of that name is not ours");
	else if (!device_exists(dev))
		ret = error_set(err, -ENODEV, "no such device");
	else if (strcmp(dev->name, name))
		ret = error_set(err, -ENODEV, "no such device: it is called %s now", dev->name);
	if (ret)
		device_put(dev);
	return ret;
}

/* Lock @fd exclusively, within ALONE_TIMEOUT_MS. */
static int lock_in_time(int fd)
{
	const struct timespec pause = { 0, 20 * 1000 * 1000 };
	int64_t end = client_now_ms() + ALONE_TIMEOUT_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (client_now_ms() > end)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int device_find_alone(const char *name, struct device *dev, int *lock_fd, struct error *err)
{
	char path[512];
	int ret;

	*lock_fd = -1;
	ret = device_check_name(name, err);
	if (ret)
		return ret;
	ret = device_find(name, dev, err);
	if (ret)
		return ret;
	/* NAME.rescue exists as long as the server, and is not locked for any other purpose. */
	snprintf(path, sizeof(path), "%s/%s" RUN_RESCUE, client_run_dir(), dev->server);
	device_put(dev);
	*lock_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	/* Without a server such a verb fails, or is a single step in the kernel. */
	ret = *lock_fd < 0 ? 0 : lock_in_time(*lock_fd);
	if (ret == -EBUSY)
		ret = error_set(err, ret, "another qedctl is changing it");
	else if (ret)
		ret = error_set_errno(err, ret, "%s", path);
	else
		ret = device_find(name, dev, err);
	if (ret && *lock_fd >= 0) {
		close(*lock_fd);
		*lock_fd = -1;
	}
	return ret;
}

const char *device_state(const struct device *dev)
{
	if (!dev->status)
		return dev->live.pid ? "unreachable" : "dead";
	if (dev->map.deferred_remove)
		return "removing";
	if (dev->map.suspended)
		return "suspended";
	return json_get_string(dev->status, "state", SERVER_STATE_LIVE);
}

int device_unreachable(const struct device *dev, int code, struct error *err)
{
	const struct live_server *live = &dev->live;

	if (live->socket == SOCKET_ELSEWHERE)
		return error_set(
			err, code,
			"its server, process %d, has its files in %s: set " RUN_DIR_VARIABLE
			" to that",
			(int)live->pid, live->dir);
	if (live->socket == SOCKET_GONE)
		return error_set(
			err, code,
			"its server, process %d, runs, but its control socket %s/%s" RUN_SOCKET
			" is gone: `qedctl remove %s` ends it in order",
			(int)live->pid, live->dir ? live->dir : client_run_dir(), dev->server,
			dev->name);
	return error_set(err, code, "its server lives, but does not answer");
}

static const json_t *account(const struct device *dev)
{
	return dev->status ? dev->status : dev->hint;
}

const char *device_path(const struct device *dev, char *buf, size_t len)
{
	if (dev->map.exists)
		snprintf(buf, len, "%s/%s", mapping_node_dir(), dev->name);
	else if (!account(dev) && dev->live.has_device)
		snprintf(buf, len, "/dev/ublkb%u", dev->live.dev_id);
	else
		snprintf(buf, len, "%s", json_get_string(account(dev), "device", "-"));
	return buf;
}

char *device_used_by(const struct device *dev)
{
	char path[512];
	struct stat st;

	if (dev->map.exists)
		return device_users(makedev(dev->map.major, dev->map.minor), DEVICE_USE_ANY);
	if (stat(device_path(dev, path, sizeof(path)), &st) || !S_ISBLK(st.st_mode))
		return NULL;
	return device_users(st.st_rdev, DEVICE_USE_ANY);
}

int device_in_use(const struct device *dev, struct error *err)
{
	char *users = device_used_by(dev);

	error_set(err, -EBUSY, "device is in use%s%s", users ? " by " : "", users ? users : "");
	free(users);
	return -EBUSY;
}

uint64_t device_size(const struct device *dev)
{
	if (dev->map.exists)
		return dev->map.size;
	return json_get_int(dev->status, "size", 0);
}

int device_check_room(const struct device *dev, struct error *err)
{
	/* A stream may wait, too; the mapping's table does not wait for that. */
	if (!json_get_int(json_object_get(dev->status, "full"), "waiting", 0))
		return 0;
	return error_set(err, -EBUSY,
			 "requests wait for room in the file system of its image: make room first");
}

const char *device_image(const struct device *dev)
{
	const char *none = dev->live.image ? dev->live.image : "-";

	return json_get_string(account(dev), "image", none);
}

const char *device_image_file(const struct device *dev)
{
	return json_get_string(dev->status, "image-file", NULL);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct device *)a)->name, ((const struct device *)b)->name);
}

static bool has_server(const struct device *devs, size_t count, const char *server)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(devs[i].server, server))
			return true;
	return false;
}

/* Add device @name to the array, unless it is already there or has just gone. */
static int add_device(const char *name, struct device **devs, size_t *count, struct error *err)
{
	struct device dev, *more;
	int ret;

	if (has_server(*devs, *count, name))
		return 0;
	ret = device_look(name, &dev, err);
	if (ret)
		return ret;
	if (!device_exists(&dev) || (dev.map.exists && !dev.map.ours) ||
	    has_server(*devs, *count, dev.server)) {
		device_put(&dev);
		return 0;
	}
	more = reallocarray(*devs, *count + 1, sizeof(**devs));
	if (!more) {
		device_put(&dev);
		return error_set(err, -ENOMEM, "out of memory");
	}
	more[(*count)++] = dev;
	*devs = more;
	return 0;
}

/* Add devices without a mapping, which are known only by their servers' files under /run. */
static int add_hinted(struct device **devs, size_t *count, struct error *err)
{
	char name[DEVICE_NAME_MAX + 1];
	struct dirent *entry;
	int ret = 0;
	char *dot;
	DIR *dir;

	dir = opendir(client_run_dir());
	if (!dir)
		return errno == ENOENT ? 0 : error_set_errno(err, -errno, "%s", client_run_dir());
	while (!ret && (entry = readdir(dir))) {
		dot = strrchr(entry->d_name, '.');
		if (!dot || strcmp(dot, RUN_DESCRIPTION) || dot - entry->d_name > DEVICE_NAME_MAX)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(dot - entry->d_name), entry->d_name);
		if (!device_check_name(name, NULL))
			ret = add_device(name, devs, count, err);
	}
	closedir(dir);
	return ret;
}

/* Add devices that only their servers and the kernel know. */
static int add_live(struct device **devs, size_t *count, struct error *err)
{
	char **names = live_server_names();
	int ret = 0;

	for (char **name = names; name && *name; name++) {
		if (!ret && !device_check_name(*name, NULL))
			ret = add_device(*name, devs, count, err);
		free(*name);
	}
	free(names);
	return ret;
}

int device_list(struct device **devs, size_t *count, struct error *err)
{
	size_t name_count, i;
	char **names;
	int ret;

	*devs = NULL;
	*count = 0;
	ret = mapping_list_ours(&names, &name_count, err);
	if (ret)
		return ret;
	for (i = 0; !ret && i < name_count; i++)
		ret = add_device(names[i], devs, count, err);
	mapping_free_names(names, name_count);
	if (!ret)
		ret = add_hinted(devs, count, err);
	if (!ret)
		ret = add_live(devs, count, err);
	if (ret) {
		device_put_all(*devs, *count);
		return ret;
	}
	if (*count)
		qsort(*devs, *count, sizeof(**devs), by_name);
	return 0;
}

void device_put_all(struct device *devs, size_t count)
{
	while (count--)
		device_put(&devs[count]);
	free(devs);
}

int device_ask(const char *name, const char *execute, json_t *arguments, json_t **answer,
	       struct error *err)
{
	struct device dev;
	int fd, ret;

	ret = device_find(name, &dev, err);
	if (ret) {
		json_decref(arguments);
		return ret;
	}
	fd = client_connect(dev.server, NULL);
	if (fd >= 0) {
		ret = client_command(fd, execute, arguments, 30000, answer, err);
		close(fd);
	} else {
		json_decref(arguments);
		ret = device_no_server(&dev, err);
	}
	device_put(&dev);
	return ret;
}

int device_no_server(const struct device *dev, struct error *err)
{
	if (dev->live.pid)
		return device_unreachable(dev, -ENOTCONN, err);
	return error_set(err, -ENOTCONN, "its server does not run any more");
}

int device_connect(const char *name, struct error *err)
{
	struct mapping map;

	if (find_mapping(name, &map, NULL) || !map.ours)
		return client_connect(name, err);
	if (!strcmp(map.name, name))
		return client_connect(map.server, err);
	return error_set(err, -ENODEV, "no such device: it is called %s now", map.name);
}

json_t *device_mapping_json(const struct device *dev)
{
	const struct mapping *map = &dev->map;
	char path[512];

	if (!map->exists)
		return json_null();
	return json_pack("{s:s,s:s+,s:s,s:I,s:I,s:I,s:b,s:b,s:b,s:i,s:I}", "device",
			 device_path(dev, path, sizeof(path)), "uuid", DM_UUID_OF_OURS, dev->server,
			 "target", map->target, "size", (json_int_t)map->size, "major",
			 (json_int_t)map->major, "minor", (json_int_t)map->minor, "suspended",
			 map->suspended, "read-only", map->read_only, "deferred-remove",
			 map->deferred_remove, "open-count", map->open_count, "event-nr",
			 (json_int_t)map->event_nr);
}
