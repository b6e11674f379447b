// SPDX-License-Identifier: GPL-2.0
/*
 * Device mappings, through libdevmapper.
 */
#include <errno.h>
#include <libdevmapper.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "qedctl/dm.h"
#include "qedctl/dm_task.h"
#include "ublk/name.h"
#include "util/units.h"

/* The library's log levels, which its header does not name: 3 is an error, lower is worse. */
#define DM_LOG_LEVEL_MASK 7
#define DM_LOG_ERROR	  3

/* The library's last error message, for the error line. */
static char complaint[256];

static void remember_complaint(int level, const char *file, int line, int dm_errno_or_class,
			       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void remember_complaint(int level, const char *file, int line, int dm_errno_or_class,
			       const char *fmt, ...)
{
	va_list ap;

	(void)file;
	(void)line;
	(void)dm_errno_or_class;
	if ((level & DM_LOG_LEVEL_MASK) > DM_LOG_ERROR)
		return;
	va_start(ap, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, ap);
	va_end(ap);
}

struct dm_task *task_new(int type, const char *name)
{
	struct dm_task *task;

	dm_log_with_errno_init(remember_complaint);
	complaint[0] = '\0';
	task = dm_task_create(type);
	if (task && name && !dm_task_set_name(task, name)) {
		dm_task_destroy(task);
		task = NULL;
	}
	return task;
}

int task_run(struct dm_task *task, const char *doing, struct error *err)
{
	int code;

	if (dm_task_run(task))
		return 0;
	code = dm_task_get_errno(task);
	if (code)
		return error_set_errno(err, -code, "device-mapper: %s", doing);
	return error_set(err, -EIO, "device-mapper: %s: %s", doing,
			 complaint[0] ? complaint : "failed");
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "device-mapper: out of memory");
}

int no_task(struct error *err)
{
	if (geteuid() != 0)
		return error_set(err, -EACCES, "permission denied: not root");
	return error_set(err, -EOPNOTSUPP, "this kernel has no device-mapper");
}

/* Treat a kernel without device-mapper as one without mappings, for queries. */
static int without_dm(struct error *err)
{
	return geteuid() != 0 ? no_task(err) : 0;
}

/*
 * Run a task that changes device nodes, and wait until udev, or without udev the
 * library, has updated them.
 */
static int task_run_with_nodes(struct dm_task *task, const char *doing, struct error *err)
{
	uint32_t cookie = 0;
	int ret;

	if (!dm_task_set_cookie(task, &cookie, 0))
		return error_set(err, -EIO, "device-mapper: %s: no udev cookie: %s", doing,
				 complaint);
	ret = task_run(task, doing, err);
	/* The cookie is a System V semaphore: without the wait it would leak. */
	dm_udev_wait(cookie);
	dm_task_update_nodes();
	return ret;
}

static void read_first_target(const char *name, struct mapping *map)
{
	struct mapping_line *lines;
	unsigned int major, minor;
	size_t count, i;

	if (mapping_lines(name, &lines, &count, NULL))
		return;
	for (i = 0; i < count; i++)
		map->size += lines[i].length * SECTOR_SIZE;
	if (count) {
		snprintf(map->target, sizeof(map->target), "%s", lines[0].target);
		snprintf(map->params, sizeof(map->params), "%s", lines[0].params);
		if ((!strcmp(lines[0].target, "linear") || !strcmp(lines[0].target, "qed")) &&
		    sscanf(lines[0].params, "%u:%u", &major, &minor) == 2)
			map->lower = makedev(major, minor);
	}
	mapping_free_lines(lines, count);
}

static void fill_mapping(const char *name, const char *uuid, const struct dm_info *info,
			 struct mapping *map)
{
	size_t prefix = strlen(DM_UUID_OF_OURS);

	map->exists = true;
	map->ours = !strncmp(uuid, DM_UUID_OF_OURS, prefix) && device_name_is_valid(uuid + prefix);
	snprintf(map->name, sizeof(map->name), "%s", name);
	if (map->ours)
		snprintf(map->server, sizeof(map->server), "%s", uuid + prefix);
	map->suspended = info->suspended;
	map->read_only = info->read_only;
	map->deferred_remove = info->deferred_remove;
	map->open_count = info->open_count;
	map->major = info->major;
	map->minor = info->minor;
	map->event_nr = info->event_nr;
}

/* Find a mapping by @name or, if that is NULL, by @uuid. */
static int look_up(const char *name, const char *uuid, struct mapping *map, struct error *err)
{
	struct dm_task *task;
	struct dm_info info;
	int ret;

	memset(map, 0, sizeof(*map));
	task = task_new(DM_DEVICE_INFO, name);
	if (!task)
		return without_dm(err);
	ret = name || dm_task_set_uuid(task, uuid) ? task_run(task, "look-up", err) :
						     no_memory(err);
	if (!ret && !dm_task_get_info(task, &info))
		ret = no_memory(err);
	else if (!ret && info.exists)
		fill_mapping(name ? name : dm_task_get_name(task), dm_task_get_uuid(task), &info,
			     map);
	dm_task_destroy(task);
	if (!ret && map->exists)
		read_first_target(map->name, map);
	return ret;
}

int mapping_lookup(const char *name, struct mapping *map, struct error *err)
{
	return look_up(name, NULL, map, err);
}

/* Write the uuid of server @server's mapping to @buf, and return it. */
static char *uuid_of(char buf[160], const char *server)
{
	snprintf(buf, 160, "%s%s", DM_UUID_OF_OURS, server);
	return buf;
}

int mapping_lookup_server(const char *server, struct mapping *map, struct error *err)
{
	char uuid[160];

	return look_up(NULL, uuid_of(uuid, server), map, err);
}

void mapping_free_names(char **names, size_t count)
{
	while (count--)
		free(names[count]);
	free(names);
}

/* Keep the names of qedblk mappings. */
static int pick_ours(struct dm_names *entry, char ***names, size_t *count, struct error *err)
{
	struct mapping map;
	char **more, *name;
	int ret;

	if (!entry->dev)
		return 0;
	for (;; entry = (struct dm_names *)((char *)entry + entry->next)) {
		/* A mapping removed since the list was made is no error. */
		ret = mapping_lookup(entry->name, &map, err);
		if (ret)
			return ret;
		if (map.exists && map.ours) {
			name = strdup(entry->name);
			more = name ? reallocarray(*names, *count + 1, sizeof(**names)) : NULL;
			if (!more) {
				free(name);
				return no_memory(err);
			}
			more[(*count)++] = name;
			*names = more;
		}
		if (!entry->next)
			return 0;
	}
}

int mapping_list_ours(char ***names, size_t *count, struct error *err)
{
	struct dm_names *list;
	struct dm_task *task;
	int ret = 0;

	*names = NULL;
	*count = 0;
	task = task_new(DM_DEVICE_LIST, NULL);
	if (!task)
		return without_dm(err);
	ret = task_run(task, "list of devices", err);
	list = ret ? NULL : dm_task_get_names(task);
	if (list)
		ret = pick_ours(list, names, count, err);
	dm_task_destroy(task);
	if (ret) {
		mapping_free_names(*names, *count);
		*names = NULL;
		*count = 0;
	}
	return ret;
}

/*
 * Fail if the mapping's node exists before the mapping: a stale file would be mistaken
 * for the device. libdm replaces a stale block device node, but not a file.
 */
static int check_node(const char *name, struct error *err)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dm_dir(), name);
	if (!lstat(path, &st) && S_ISREG(st.st_mode))
		return error_set(err, -EEXIST, "%s exists and is a regular file", path);
	return 0;
}

static bool add_target(struct dm_task *task, const struct mapping_table *table)
{
	return dm_task_add_target(task, 0, table->size / SECTOR_SIZE, table->target,
				  table->params) &&
	       (!table->read_only || dm_task_set_ro(task));
}

int mapping_create_as(const char *name, const char *uuid, const struct mapping_table *table,
		      struct error *err)
{
	struct dm_task *task;
	int ret;

	ret = check_node(name, err);
	if (ret)
		return ret;
	task = task_new(DM_DEVICE_CREATE, name);
	if (!task)
		return no_task(err);
	if (!dm_task_set_uuid(task, uuid) || !add_target(task, table)) {
		ret = no_memory(err);
	} else {
		struct error why = ERROR_INIT;
		struct mapping taken;

		ret = task_run_with_nodes(task, "create", &why);
		/*
		 * The kernel returns EBUSY both for a name that is taken and for a busy device
		 * below.
		 */
		if (ret == -EBUSY && !mapping_lookup(name, &taken, NULL) && taken.exists)
			ret = error_set(err, -EEXIST, "a device-mapper device of that name exists");
		else if (ret)
			ret = error_set(err, ret, "%s", error_text(&why));
		error_free(&why);
	}
	dm_task_destroy(task);
	return ret;
}

int mapping_create(const char *name, const char *server, const struct mapping_table *table,
		   struct error *err)
{
	char uuid[160];

	return mapping_create_as(name, uuid_of(uuid, server), table, err);
}

static int remove_once(const char *name, bool deferred, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_REMOVE, name);
	int ret;

	if (!task)
		return no_task(err);
	if (deferred && !dm_task_deferred_remove(task))
		ret = no_memory(err);
	else
		ret = task_run_with_nodes(task, "remove", err);
	dm_task_destroy(task);
	return ret;
}

int mapping_remove_tries(unsigned int flags)
{
	/* udev opens a device after its last close, which is not a user. */
	return flags & MAPPING_RETRY ? 25 : mapping_udev_runs() ? 5 : 1;
}

int mapping_remove(const char *name, unsigned int flags, struct error *err)
{
	int tries = mapping_remove_tries(flags);
	struct error why = ERROR_INIT;
	int ret;

	for (;;) {
		ret = remove_once(name, flags & MAPPING_DEFERRED, &why);
		if (ret != -EBUSY || !--tries)
			break;
		error_free(&why);
		usleep(MAPPING_REMOVE_NAP_US);
	}
	if (ret == -EBUSY)
		error_set(err, ret, "device is in use");
	else if (ret == -ENXIO)
		/* Another process has just removed it. */
		ret = 0;
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret;
}

void mapping_refresh_node(const char *name)
{
	struct dm_task *task = mapping_udev_runs() ? NULL : task_new(DM_DEVICE_MKNODES, name);

	if (!task)
		return;
	task_run(task, "nodes", NULL);
	dm_task_update_nodes();
	dm_task_destroy(task);
}

void mapping_release(void)
{
	dm_lib_release();
}

/* Load an inactive table. */
static int load(const char *name, const struct mapping_table *table, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_RELOAD, name);
	int ret;

	if (!task)
		return no_task(err);
	ret = add_target(task, table) ? task_run(task, "load of a table", err) : no_memory(err);
	dm_task_destroy(task);
	return ret;
}

/*
 * Resume swaps the tables. It need not flush first, but waits for requests in flight,
 * which the server completes unless it is dead.
 */
static int swap(const char *name, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_RESUME, name);
	int ret;

	if (!task)
		return no_task(err);
	if (!dm_task_no_flush(task) || !dm_task_skip_lockfs(task))
		ret = no_memory(err);
	else
		ret = task_run_with_nodes(task, "resume", err);
	dm_task_destroy(task);
	return ret;
}

int mapping_replace_by_error(const char *name, uint64_t size, struct error *err)
{
	const struct mapping_table table = { .size = size, .target = "error", .params = "" };
	int ret = load(name, &table, err);

	return ret ? ret : swap(name, err);
}

int mapping_reload(const char *name, const struct mapping_table *table, struct error *err)
{
	struct mapping before;
	struct dm_task *task;
	int ret = mapping_lookup(name, &before, err);

	if (!ret)
		ret = load(name, table, err);
	if (ret)
		return ret;
	ret = swap(name, err);
	if (!ret)
		return 0;
	task = task_new(DM_DEVICE_CLEAR, name);
	if (task) {
		task_run(task, "clear", NULL);
		dm_task_destroy(task);
	}
	/* The kernel may have refused the table after it had suspended the mapping for it. */
	if (!before.suspended)
		(void)swap(name, NULL);
	return ret;
}

int mapping_message(const char *name, const char *message, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_TARGET_MSG, name);
	int ret;

	if (!task)
		return no_task(err);
	if (!dm_task_set_sector(task, 0) || !dm_task_set_message(task, message))
		ret = no_memory(err);
	else
		ret = task_run(task, "message", err);
	dm_task_destroy(task);
	return ret;
}

int mapping_suspend(const char *name, bool flush, bool lockfs, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_SUSPEND, name);
	int ret;

	if (!task)
		return no_task(err);
	if ((!flush && !dm_task_no_flush(task)) || (!lockfs && !dm_task_skip_lockfs(task)))
		ret = no_memory(err);
	else
		ret = task_run(task, "suspend", err);
	dm_task_destroy(task);
	return ret;
}

int mapping_resume(const char *name, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_RESUME, name);
	int ret;

	if (!task)
		return no_task(err);
	ret = task_run_with_nodes(task, "resume", err);
	dm_task_destroy(task);
	return ret;
}

void mapping_free_lines(struct mapping_line *lines, size_t count)
{
	while (count--) {
		free(lines[count].target);
		free(lines[count].params);
	}
	free(lines);
}

/* Append one target's line; false without memory. */
static bool add_line(struct mapping_line **lines, size_t *count, uint64_t start, uint64_t length,
		     const char *target, const char *params)
{
	struct mapping_line *more = reallocarray(*lines, *count + 1, sizeof(**lines));

	if (!more)
		return false;
	*lines = more;
	more += *count;
	more->start = start;
	more->length = length;
	more->target = strdup(target);
	more->params = strdup(params ? params : "");
	(*count)++;
	return more->target && more->params;
}

/* Return a line for each target; @type is DM_DEVICE_TABLE or DM_DEVICE_STATUS. */
static int ask_lines(int type, const char *name, struct mapping_line **lines, size_t *count,
		     struct error *err)
{
	struct dm_task *task = task_new(type, name);
	char *target = NULL, *params = NULL;
	uint64_t start, length;
	void *next = NULL;
	int ret;

	*lines = NULL;
	*count = 0;
	if (!task)
		return no_task(err);
	ret = task_run(task, "table", err);
	while (!ret) {
		next = dm_get_next_target(task, next, &start, &length, &target, &params);
		/* A device without a table has one target without a name. */
		if (target && !add_line(lines, count, start, length, target, params))
			ret = no_memory(err);
		if (!next)
			break;
	}
	dm_task_destroy(task);
	if (ret) {
		mapping_free_lines(*lines, *count);
		*lines = NULL;
		*count = 0;
	}
	return ret;
}

int mapping_lines(const char *name, struct mapping_line **lines, size_t *count, struct error *err)
{
	return ask_lines(DM_DEVICE_TABLE, name, lines, count, err);
}

int mapping_status(const char *name, struct mapping_line **lines, size_t *count, struct error *err)
{
	return ask_lines(DM_DEVICE_STATUS, name, lines, count, err);
}

const char *mapping_node_dir(void)
{
	return dm_dir();
}

bool mapping_udev_runs(void)
{
	return dm_udev_get_sync_support();
}
