// SPDX-License-Identifier: GPL-2.0
/* Servers that the kernel knows, by its ublk devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"
#include "device/run_files.h"
#include "qedctl/live_server.h"
#include "ublk/ctrl.h"
#include "util/process.h"

/* Call @fn for each ublk device that this process may ask about, until it returns false. */
static void each_device(bool (*fn)(void *arg, const struct ublk_dev_info *info), void *arg)
{
	struct ublk_dev_info info;
	struct ublk_ctrl *ctrl;
	uint32_t *ids;
	size_t count;

	/* Without a device nothing is opened: that would load the driver. */
	if (ublk_dev_list(&ids, &count, NULL) < 0)
		return;
	if (count && !ublk_ctrl_open(&ctrl, NULL)) {
		for (size_t i = 0; i < count; i++)
			if (!ublk_ctrl_get_info(ctrl, ids[i], &info, NULL) && !fn(arg, &info))
				break;
		ublk_ctrl_close(ctrl);
	}
	free(ids);
}

/* Return the process of a server of ours that serves the device, 0 if there is none. */
static pid_t server_of(const struct ublk_dev_info *info)
{
	char name[PROCESS_NAME_LEN];

	if (info->server_pid <= 0 || ublk_server_is_gone(info) ||
	    strcmp(process_name(info->server_pid, name), PROCESS_SERVER))
		return 0;
	return info->server_pid;
}

static bool same_folder(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Find out where the files of the server are, and whether its socket is there. */
static void find_socket(const char *name, struct live_server *server)
{
	char *own = process_variable(server->pid, RUN_DIR_VARIABLE), *path = NULL;
	const char *dir = own && *own ? own : RUN_DIR;
	struct stat st;

	/* A server in a container has other folders of the same name. Its own may be gone. */
	if (asprintf(&server->dir, "/proc/%d/root%s", (int)server->pid, dir) < 0)
		server->dir = NULL;
	if (server->dir && (same_folder(server->dir, dir) || access(server->dir, F_OK))) {
		free(server->dir);
		server->dir = strdup(dir);
	}
	if (server->dir && asprintf(&path, "%s/%s" RUN_SOCKET, server->dir, name) < 0)
		path = NULL;
	if (path && stat(path, &st))
		server->socket = SOCKET_GONE;
	else if (path && !same_folder(server->dir, client_run_dir()))
		server->socket = SOCKET_ELSEWHERE;
	free(path);
	free(own);
}

struct search {
	const char *name;
	uint64_t cookie;
	struct live_server *server;
};

static bool look_at(void *arg, const struct ublk_dev_info *info)
{
	struct search *search = arg;
	struct live_server *server = search->server;

	if (info->cookie != search->cookie)
		return true;
	server->pid = server_of(info);
	/* One that was deleted stays until its last user closes it. */
	if (server->pid || ublk_device_waits(info)) {
		server->has_device = true;
		server->dev_id = info->dev_id;
	}
	return !server->pid;
}

void live_server_find(const char *name, struct live_server *server)
{
	struct search search = { name, ublk_name_cookie(name), server };

	memset(server, 0, sizeof(*server));
	each_device(look_at, &search);
	if (!server->pid)
		return;
	server->image = process_option(server->pid, "image");
	find_socket(name, server);
}

void live_server_free(struct live_server *server)
{
	free(server->dir);
	free(server->image);
	server->dir = server->image = NULL;
}

struct names {
	char **names;
	size_t count;
};

static bool add_name(void *arg, const struct ublk_dev_info *info)
{
	struct names *list = arg;
	pid_t pid = server_of(info);
	char *name = pid ? process_option(pid, "name") : NULL, **more;

	/* A process may call itself anything; what it told the kernel was the name. */
	if (!name || ublk_name_cookie(name) != info->cookie) {
		free(name);
		return true;
	}
	more = reallocarray(list->names, list->count + 2, sizeof(*more));
	if (!more) {
		free(name);
		return false;
	}
	list->names = more;
	more[list->count++] = name;
	more[list->count] = NULL;
	return true;
}

char **live_server_names(void)
{
	struct names list = { NULL, 0 };

	each_device(add_name, &list);
	return list.names;
}
