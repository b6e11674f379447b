// SPDX-License-Identifier: GPL-2.0
/* The lock, socket, rescue file and description of a running server. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "device/run_files.h"
#include "server/run_state.h"
#include "ublk/name.h"

#ifndef DEFAULT_DIR /* overridden by a test */
#define DEFAULT_DIR RUN_DIR
#endif
#define DIR_MODE  0750
#define FILE_MODE 0600
#define BACKLOG	  16

/* The longest file name: NAME and a suffix. */
#define FILE_NAME_LEN (DEVICE_NAME_MAX + 32)

static char *file_name(char buf[FILE_NAME_LEN], const struct run_state *state, const char *suffix)
{
	snprintf(buf, FILE_NAME_LEN, "%s%s", state->name, suffix);
	return buf;
}

static int check_owner(const struct stat *st, const char *path, struct error *err)
{
	if (st->st_uid == geteuid())
		return 0;
	return error_set(err, -EPERM, "%s: belongs to another user (%u)", path,
			 (unsigned int)st->st_uid);
}

/*
 * Check the owner and mode of the directory. With @ours, created here or of the
 * default name, it has no other files, so fix the mode.
 */
static int secure_dir(const struct run_state *state, bool ours, struct error *err)
{
	struct stat st;
	int ret = fstat(state->dir_fd, &st) ? error_set_errno(err, -errno, "%s", state->dir) :
					      check_owner(&st, state->dir, err);

	if (ret)
		return ret;
	if (ours && (st.st_mode & 07777) != DIR_MODE) {
		if (fchmod(state->dir_fd, DIR_MODE))
			return error_set_errno(err, -errno, "%s", state->dir);
	} else if (!ours && (st.st_mode & (S_IWGRP | S_IWOTH))) {
		return error_set(err, -EPERM, "%s: other users can write to it (mode %04o)",
				 state->dir, st.st_mode & 07777);
	}
	return 0;
}

static int open_dir(struct run_state *state, struct error *err)
{
	const char *named = getenv(RUN_DIR_VARIABLE);
	bool ours = !named || !*named;

	state->dir = strdup(ours ? DEFAULT_DIR : named);
	if (!state->dir)
		return error_set_errno(err, -ENOMEM, "%s", state->name);
	if (!mkdir(state->dir, DIR_MODE))
		ours = true;
	else if (errno != EEXIST)
		return error_set_errno(err, -errno, "%s", state->dir);
	state->dir_fd = open(state->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (state->dir_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return error_set(err, -ENOTDIR, "%s: not a directory (a symbolic link is none)",
				 state->dir);
	if (state->dir_fd < 0)
		return error_set_errno(err, -errno, "%s", state->dir);
	return secure_dir(state, ours, err);
}

/* Open a file that no other user may open; tighten the mode that an older server gave it. */
static int open_file(const struct run_state *state, const char *name, int flags, struct error *err)
{
	int fd = openat(state->dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	char path[PATH_MAX];
	struct stat st;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", state->dir, name);
	if (fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	if (fstat(fd, &st))
		ret = error_set_errno(err, -errno, "%s", path);
	else
		ret = check_owner(&st, path, err);
	if (!ret && (st.st_mode & 07777) != FILE_MODE && fchmod(fd, FILE_MODE))
		ret = error_set_errno(err, -errno, "%s", path);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* Fail with the pid that the holder of the lock wrote into it. */
static int report_holder(int fd, const struct run_state *state, struct error *err)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		return error_set(err, -EBUSY, "already served by process %ld", pid);
	return error_set(err, -EBUSY, "%s is already served", state->name);
}

/* Is the locked file still the one called @name? */
static bool is_current(const struct run_state *state, int fd, const char *name)
{
	struct stat ours, theirs;

	return !fstat(fd, &ours) && !fstatat(state->dir_fd, name, &theirs, AT_SYMLINK_NOFOLLOW) &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/*
 * Return 0, 1 to retry when a server that stopped removed the file meanwhile, or a
 * negative errno.
 */
static int try_lock(struct run_state *state, const char *name, struct error *err)
{
	int fd = open_file(state, name, O_RDWR | O_CREAT, err);
	int ret;

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		ret = errno == EWOULDBLOCK ?
			      report_holder(fd, state, err) :
			      error_set_errno(err, -errno, "%s/%s", state->dir, name);
		close(fd);
		return ret;
	}
	if (!is_current(state, fd, name)) {
		close(fd);
		return 1;
	}
	state->lock_fd = fd;
	return 0;
}

/*
 * Write the pid of this process into the lock file @name; on an error, remove the file
 * if it is new.
 */
static int write_pid(struct run_state *state, const char *name, struct error *err)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	struct stat st;
	/* Keep the file of a dead server: qedctl would take its removal for an orderly stop. */
	bool is_new = !fstat(state->lock_fd, &st) && !st.st_size;
	int ret;

	if (!ftruncate(state->lock_fd, 0) && pwrite(state->lock_fd, text, len, 0) == len)
		return 0;
	ret = error_set_errno(err, -errno, "%s/%s", state->dir, name);
	if (is_new)
		unlinkat(state->dir_fd, name, 0);
	return ret;
}

static void close_all(struct run_state *state)
{
	if (state->lock_fd >= 0)
		close(state->lock_fd);
	if (state->dir_fd >= 0)
		close(state->dir_fd);
	free(state->dir);
}

int run_state_acquire(struct run_state *state, const char *name, struct error *err)
{
	char lock[FILE_NAME_LEN];
	int ret;

	*state = (struct run_state){ .name = name, .dir_fd = -1, .lock_fd = -1 };
	ret = open_dir(state, err);
	file_name(lock, state, RUN_LOCK);
	if (!ret) {
		do
			ret = try_lock(state, lock, err);
		while (ret > 0);
	}
	if (!ret)
		ret = write_pid(state, lock, err);
	if (ret < 0)
		close_all(state);
	return ret;
}

/*
 * Bind the socket to a short name and rename it: a socket address has room for 108
 * bytes, less than a name may take, and so its mode is set before a client can find
 * it. The short name depends on the device's name alone, so the next server removes
 * the socket of one that was killed in between.
 */
static int bind_socket(struct run_state *state, int fd, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char temp[DEVICE_SOCKET_LEN];

	device_early_socket(temp, state->name);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", state->dir_fd, temp);
	unlinkat(state->dir_fd, temp, 0);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	if (fchmodat(state->dir_fd, temp, FILE_MODE, 0) || listen(fd, BACKLOG) ||
	    renameat(state->dir_fd, temp, state->dir_fd, name)) {
		int ret = -errno;

		unlinkat(state->dir_fd, temp, 0);
		return ret;
	}
	return 0;
}

int run_state_listen(struct run_state *state, struct error *err)
{
	char name[FILE_NAME_LEN];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret = fd < 0 ? -errno : bind_socket(state, fd, file_name(name, state, RUN_SOCKET));

	if (ret < 0) {
		if (fd >= 0)
			close(fd);
		return error_set_errno(err, ret, "%s/%s" RUN_SOCKET, state->dir, state->name);
	}
	return fd;
}

int run_state_open_rescue(struct run_state *state, bool left, struct error *err)
{
	char name[FILE_NAME_LEN];

	return open_file(state, file_name(name, state, RUN_RESCUE), O_RDWR | (left ? 0 : O_CREAT),
			 err);
}

static int write_text(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return 0;
}

static int replace_file(struct run_state *state, const char *name, const char *text,
			struct error *err)
{
	char temp[FILE_NAME_LEN];
	int fd, ret;

	fd = open_file(state, file_name(temp, state, RUN_DESCRIPTION_NEW),
		       O_WRONLY | O_CREAT | O_TRUNC, err);
	if (fd < 0)
		return fd;
	ret = write_text(fd, text);
	close(fd);
	if (!ret && renameat(state->dir_fd, temp, state->dir_fd, name))
		ret = -errno;
	if (ret < 0) {
		unlinkat(state->dir_fd, temp, 0);
		return error_set_errno(err, ret, "%s/%s", state->dir, name);
	}
	return 0;
}

int run_state_describe(struct run_state *state, const json_t *description, struct error *err)
{
	char name[FILE_NAME_LEN];
	char *text = json_dumps(description, JSON_INDENT(1));
	int ret = text ? replace_file(state, file_name(name, state, RUN_DESCRIPTION), text, err) :
			 error_set_errno(err, -ENOMEM, "%s/%s" RUN_DESCRIPTION, state->dir,
					 state->name);

	free(text);
	return ret;
}

bool run_state_is_described(const struct run_state *state)
{
	char name[FILE_NAME_LEN];

	return !faccessat(state->dir_fd, file_name(name, state, RUN_DESCRIPTION), F_OK,
			  AT_SYMLINK_NOFOLLOW);
}

/* Without the pid: the server has not died. */
static void keep_description(struct run_state *state)
{
	char name[FILE_NAME_LEN];
	int fd = openat(state->dir_fd, file_name(name, state, RUN_DESCRIPTION),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	json_t *json = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);

	if (!json_object_set_new(json, "pid", json_null()))
		run_state_describe(state, json, NULL);
	json_decref(json);
	if (fd >= 0)
		close(fd);
}

void run_state_release(struct run_state *state)
{
	static const char *const suffixes[] = { RUN_PARTITIONS,	     RUN_DESCRIPTION,
						RUN_DESCRIPTION_NEW, RUN_SOCKET,
						RUN_RESCUE,	     RUN_LOCK };
	/* The first two belong to a mapping that stays. */
	size_t first = state->keeps_description ? 2 : 0;
	char name[FILE_NAME_LEN];

	if (state->keeps_description && !state->has_failed)
		keep_description(state);
	/* Remove the lock last: until then no other server creates files of this name. */
	for (size_t i = first; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		unlinkat(state->dir_fd, file_name(name, state, suffixes[i]), 0);
	close_all(state);
}
