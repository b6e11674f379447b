// SPDX-License-Identifier: GPL-2.0
/* Whether the files of the image and its backing chain are still found by their names. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "aio/timer.h"
#include "server/image_files.h"
#include "server/server.h"
#include "util/json_text.h"

#define PATIENCE_NS (500 * 1000000ULL)
#define NAP_NS	    1000000ULL

enum file_state { FILE_PRESENT, FILE_DELETED, FILE_REPLACED, FILE_RENAMED };

static const char *const state_names[] = { "present", "deleted", "replaced", "renamed" };

struct image_file {
	char *name;
	int fd;
	enum file_state state;
	char *now; /* its name now, if it was renamed and that is known */
};

struct image_files {
	struct server *server;
	bool over, failed, abandoned;
	unsigned int count;
	struct image_file files[BLK_MAX_CHAIN];
};

static void files_free(struct image_files *files)
{
	for (unsigned int i = 0; i < files->count; i++) {
		close(files->files[i].fd);
		free(files->files[i].name);
		free(files->files[i].now);
	}
	free(files);
}

/* Can the file of @node be found by a name? The server has changed its directory. */
static bool has_name(const struct blk_node *node)
{
	return node->file && node->file->fd >= 0 && !node->file->is_device &&
	       node->file->name[0] == '/';
}

/* Collect the files, with copies of descriptors: a stream may close a backing file meanwhile. */
static struct image_files *collect(struct server *server)
{
	struct image_files *files = calloc(1, sizeof(*files));
	const struct blk_node *node = server->image.node;

	if (!files)
		return NULL;
	files->server = server;
	for (; node && files->count < BLK_MAX_CHAIN; node = node->backing) {
		struct image_file *file = &files->files[files->count];

		if (!has_name(node))
			continue;
		file->name = strdup(node->file->name);
		file->fd = fcntl(node->file->fd, F_DUPFD_CLOEXEC, 0);
		files->count++;
	}
	return files;
}

/* Set ->now to the name that the kernel knows, if the file has one. */
static void find_name(struct image_file *file)
{
	static const char gone[] = " (deleted)";
	const size_t tail = sizeof(gone) - 1;
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (path[0] == '/' && !((size_t)n > tail && !strcmp(path + n - tail, gone)))
		file->now = strdup(path);
}

/* An NFS client gives a deleted file that is open a name of its own. */
static bool is_nfs_leftover(const char *path)
{
	return path && !strncmp(strrchr(path, '/'), "/.nfs", 5);
}

static void look(struct image_file *file)
{
	struct stat has, found;
	bool taken;

	if (!file->name || fstat(file->fd, &has))
		return;
	taken = !stat(file->name, &found);
	if (taken ? found.st_dev == has.st_dev && found.st_ino == has.st_ino :
		    errno != ENOENT && errno != ENOTDIR)
		return;
	find_name(file);
	/* Where a file system has changed the file's number it is found by its name still. */
	if (file->now && !strcmp(file->now, file->name))
		return;
	if (has.st_nlink && !is_nfs_leftover(file->now))
		file->state = FILE_RENAMED;
	else
		file->state = taken ? FILE_REPLACED : FILE_DELETED;
}

static int look_on_worker(void *arg)
{
	struct image_files *files = arg;

	for (unsigned int i = 0; i < files->count; i++)
		look(&files->files[i]);
	return 0;
}

static void look_fn(void *arg)
{
	struct image_files *files = arg;

	files->failed = aio_co_call(look_on_worker, files) < 0;
	files->over = true;
	files->server->looks_for_files = false;
	if (files->abandoned)
		files_free(files);
}

struct image_files *image_files_co_look(struct server *server)
{
	uint64_t end = aio_now() + PATIENCE_NS;
	struct image_files *files;

	/* One look that takes long, at a file server that does not answer, is enough. */
	while (server->looks_for_files && aio_now() < end)
		aio_co_sleep(NAP_NS);
	if (server->state != SERVER_LIVE || server->looks_for_files)
		return NULL;
	files = collect(server);
	if (!files)
		return NULL;
	server->looks_for_files = true;
	if (co_start(look_fn, files) < 0) {
		server->looks_for_files = false;
		files_free(files);
		return NULL;
	}
	while (!files->over && aio_now() < end)
		aio_co_sleep(NAP_NS);
	files->abandoned = !files->over;
	if (files->over && !files->failed)
		return files;
	if (files->over)
		files_free(files);
	return NULL;
}

static const struct image_file *find(const struct image_files *files, const struct blk_node *node)
{
	for (unsigned int i = 0; files && has_name(node) && i < files->count; i++)
		if (files->files[i].name && !strcmp(files->files[i].name, node->file->name))
			return &files->files[i];
	return NULL;
}

/* Warn of the image's file. Backing files that have changed are warned of by themselves. */
static void warn(json_t *warnings, const struct image_file *file)
{
	char *line;
	int len;

	if (file->state == FILE_RENAMED)
		len = asprintf(&line, "%s: has another name now%s%s", file->name,
			       file->now ? ": " : "", file->now ? file->now : "");
	else
		len = asprintf(&line, "%s: %s, and is lost with the device: copy the device",
			       file->name,
			       file->state == FILE_REPLACED ? "was replaced by another file" :
							      "was deleted");
	if (len < 0)
		return;
	json_array_append_new(warnings, json_text(line));
	free(line);
}

void image_files_tell(const struct server *server, struct image_files *files, json_t *status)
{
	json_t *chain = json_object_get(status, "backing-chain");
	json_t *warnings = json_object_get(status, "warnings");
	const struct blk_node *node = server->image.node;
	size_t index = 0;

	/* While the server stops, the image may already be closed. */
	if (server->state != SERVER_LIVE)
		node = NULL;
	for (; node; node = node->backing, index++) {
		const struct image_file *file = find(files, node);
		json_t *state = file ? json_string(state_names[file->state]) : json_null();

		if (index)
			json_object_set_new(json_array_get(chain, index - 1), "file", state);
		else
			json_object_set_new(status, "image-file", state);
		if (!index && file && file->state != FILE_PRESENT)
			warn(warnings, file);
	}
	if (files)
		files_free(files);
}
