// SPDX-License-Identifier: GPL-2.0
/* Stopping a server process, and removing the remains of a dead one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "device/run_files.h"
#include "file/device_users.h"
#include "qedctl/server.h"
#include "ublk/name.h"
#include "ublk/stale.h"
#include "util/process.h"
#include "util/units.h"

/* Flushing can take long on a slow disk; a hang must still be reported. */
#define QUIT_TIMEOUT_MS (10 * 60 * 1000)
/*
 * How long a server may take from locking its name to its socket, or from closing the
 * socket to its exit.
 */
#define SETTLE_TIMEOUT_MS 3000
/* After its reply a server only has to exit. */
#define EXIT_TIMEOUT_MS 30000
/* How often to look whether a server that got a signal ends. */
#define LOOK_AGAIN_MS 2000

/*
 * Send `quit`. @pid is the server that is meant; another one of that name, started
 * since, refuses.
 */
static int ask_to_quit(const char *name, const struct quit *how, pid_t pid, struct error *err)
{
	json_t *arguments = json_pack("{s:b, s:b}", "force", how->force, "finish", how->finish);
	int fd, ret;

	if (pid > 0)
		json_object_set_new(arguments, "pid", json_integer(pid));

	fd = client_connect(name, err);
	if (fd < 0) {
		json_decref(arguments);
		return fd;
	}
	ret = client_command(fd, "quit", arguments, how->finish ? -1 : QUIT_TIMEOUT_MS, NULL, err);
	close(fd);
	return ret;
}

/* Wait until the process behind @pid_fd is gone. */
static int wait_for_exit(int pid_fd, int timeout_ms, struct error *err)
{
	struct pollfd pfd = { .fd = pid_fd, .events = POLLIN };
	int n;

	do {
		n = poll(&pfd, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return error_set(err, -ETIMEDOUT, "the server has stopped, but its process does not end");
}

/* Is NAME.json still that of process @pid? An orderly stop removes it. */
static bool left_its_file(const char *name, pid_t pid)
{
	char path[512];
	json_t *hint;
	bool left;

	snprintf(path, sizeof(path), "%s/%s" RUN_DESCRIPTION, client_run_dir(), name);
	hint = json_load_file(path, 0, NULL);
	left = json_get_int(hint, "pid", -1) == pid;
	json_decref(hint);
	return left;
}

/*
 * The server ended without a reply: either another process stopped it, which is fine,
 * or it died, and what is durable is unknown.
 */
static int gone_without_answer(const struct device *dev, pid_t pid, int pid_fd, bool force,
			       struct error *err)
{
	int ret = pid_fd < 0 ? 0 : wait_for_exit(pid_fd, EXIT_TIMEOUT_MS, err);

	if (ret || !left_its_file(dev->server, pid))
		return ret;
	/* Do not remove a device that can still be recovered. */
	if (server_clear_away(dev, force, NULL) == -EBUSY)
		return error_set(err, -EIO,
				 "the server died before it had made everything durable: "
				 "recover it, then remove it");
	return error_set(err, -EIO, "the server died before it had made everything durable");
}

int server_quit(const struct device *dev, const struct quit *how, struct error *err)
{
	const struct timespec pause = { 0, 200 * 1000 * 1000 };
	pid_t pid = json_get_int(dev->status, "pid", -1);
	struct error why = ERROR_INIT;
	int patience = how->patience;
	int pid_fd, ret;

	/* Open it before the server exits: afterwards the pid may be reused. */
	pid_fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	for (;;) {
		ret = ask_to_quit(dev->server, how, pid, &why);
		if (ret != -EBUSY || patience-- <= 0)
			break;
		error_free(&why);
		nanosleep(&pause, NULL);
	}
	if (pid > 0 &&
	    (ret == -ENOENT || ret == -ECONNREFUSED || ret == -ECONNRESET || ret == -EPIPE))
		ret = gone_without_answer(dev, pid, pid_fd, how->force, err);
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	else if (pid_fd >= 0)
		ret = wait_for_exit(pid_fd, EXIT_TIMEOUT_MS, err);
	error_free(&why);
	if (pid_fd >= 0)
		close(pid_fd);
	return ret;
}

/*
 * Lock the name, as a server of this name does while it lives. Returns the descriptor,
 * -ENOENT without the directory, -EBUSY while a server lives.
 */
static int lock_name(const char *name)
{
	char path[512];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s" RUN_LOCK, client_run_dir(), name);
	/* A user that could read it could hold the lock. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return ret;
}

/* Unlock the name. With @gone, also remove the lock file, since nothing of that name is left. */
static void unlock_name(const char *name, int fd, bool gone)
{
	struct stat st;
	char path[512];

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s" RUN_LOCK, client_run_dir(), name);
	/* An empty lock file was created by lock_name() and belongs to no server. */
	if (gone || (!fstat(fd, &st) && !st.st_size))
		unlink(path);
	close(fd);
}

/* Does a server of device @name live, even one that does not reply? */
static bool server_lives(const char *name)
{
	int fd = lock_name(name);

	unlock_name(name, fd, false);
	return fd == -EBUSY;
}

int server_find_settled(const char *name, struct device *dev, struct error *err)
{
	const struct timespec pause = { 0, 100 * 1000 * 1000 };
	int64_t end = client_now_ms() + SETTLE_TIMEOUT_MS;
	int ret;

	for (;;) {
		ret = device_find(name, dev, err);
		if (ret || dev->status || client_now_ms() > end || !server_lives(dev->server))
			return ret;
		device_put(dev);
		nanosleep(&pause, NULL);
	}
}

int server_hold_name(const struct device *dev)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s" RUN_LOCK, client_run_dir(), dev->server);
	return open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
}

bool server_name_is_held(int name_fd)
{
	struct stat st;

	/* An orderly stop removes the file; a successor locks the same one again. */
	return !fstat(name_fd, &st) && st.st_nlink;
}

/* Return the pid that a server of device @name wrote into its lock file, or -1. */
static pid_t lock_holder(const char *name)
{
	char path[512];
	long pid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s" RUN_LOCK, client_run_dir(), name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &pid) != 1)
		pid = -1;
	fclose(file);
	return (pid_t)pid;
}

/* Return a descriptor of process @pid, if that is a server, for the caller to close; or -1. */
static int open_server(pid_t pid)
{
	/* Open it before the name is read: afterwards the pid may be reused. */
	int pid_fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	char name[PROCESS_NAME_LEN];

	if (pid_fd >= 0 && strcmp(process_name(pid, name), PROCESS_SERVER)) {
		close(pid_fd);
		pid_fd = -1;
	}
	return pid_fd;
}

void server_kill(const struct device *dev)
{
	/* The kernel's word counts more than the file's, whose pid may be stale and reused. */
	pid_t pid = dev->live.pid ? dev->live.pid : lock_holder(dev->server);
	int pid_fd = open_server(pid);

	if (pid_fd < 0)
		return;
	if ((dev->live.pid || server_lives(dev->server)) &&
	    !syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0))
		wait_for_exit(pid_fd, EXIT_TIMEOUT_MS, NULL);
	close(pid_fd);
}

/* Fail with -EBUSY while the ublk device of @dev is in use. */
static int check_unused(const struct device *dev, struct error *err)
{
	char path[UBLK_PATH_LEN], *users;
	struct stat st;
	int ret = 0;

	/* While the server starts there is no block device. */
	if (stat(ublk_block_path(path, dev->live.dev_id), &st))
		return 0;
	users = device_users(st.st_rdev, DEVICE_USE_ANY);
	if (users)
		ret = error_set(err, -EBUSY, "%s is in use by %s", path, users);
	free(users);
	return ret;
}

/*
 * Wait for the end of the server, which got SIGTERM. It refuses that while its device is in use,
 * unless there is a second one.
 */
static int wait_for_end(const struct device *dev, int pid_fd, bool force, struct error *err)
{
	for (int waited = LOOK_AGAIN_MS;; waited += LOOK_AGAIN_MS) {
		int ret = wait_for_exit(pid_fd, LOOK_AGAIN_MS, NULL);

		if (ret != -ETIMEDOUT)
			return ret;
		if (!force)
			ret = check_unused(dev, err);
		if (ret == -EBUSY || (!force && waited >= QUIT_TIMEOUT_MS))
			return error_set(err, ret ? ret : -ETIMEDOUT, "the server does not end");
		if (force && waited == LOOK_AGAIN_MS)
			syscall(SYS_pidfd_send_signal, pid_fd, SIGTERM, NULL, 0);
		if (force && waited >= EXIT_TIMEOUT_MS) {
			server_kill(dev);
			return 0;
		}
	}
}

int server_end_by_signal(const struct device *dev, bool force, struct error *err)
{
	int ret = force ? 0 : check_unused(dev, err), pid_fd;

	if (ret)
		return ret;
	pid_fd = open_server(dev->live.pid);
	if (pid_fd < 0)
		return 0; /* it has just ended */
	if (syscall(SYS_pidfd_send_signal, pid_fd, SIGTERM, NULL, 0))
		ret = error_set_errno(err, -errno, "its server, process %d", (int)dev->live.pid);
	else
		ret = wait_for_end(dev, pid_fd, force, err);
	close(pid_fd);
	return ret ? ret : server_clear_away(dev, force, err);
}

/*
 * Delete the ublk device by name: the device numbers in the hint and the mapping may
 * have been reused.
 */
static int delete_ublk(const char *name, struct error *err)
{
	struct error why = ERROR_INIT;
	int ret = ublk_stale_delete(name, &why);

	if (ret == -EBUSY)
		error_set(err, ret, "its server lives, but does not answer");
	else if (ret < 0)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	return ret < 0 ? ret : 0;
}

/* Fail with -EBUSY when a device waits for `recover`. With the name locked. */
static int check_nobody_waits(const char *name, struct error *err)
{
	struct ublk_dev_info info;
	int ret = ublk_stale_find_waiting(name, &info, err);

	if (ret > 0)
		return error_set(err, -EBUSY,
				 "its server died: recover it first, or use --force, which loses "
				 "what was not flushed");
	return ret;
}

int server_check_removable(const struct device *dev, struct error *err)
{
	int lock_fd, ret;

	if (dev->live.pid)
		return device_unreachable(dev, -EBUSY, err);
	lock_fd = lock_name(dev->server);
	if (lock_fd == -EBUSY)
		return error_set(err, -EBUSY, "its server lives, but does not answer");
	ret = check_nobody_waits(dev->server, err);
	unlock_name(dev->server, lock_fd, false);
	return ret;
}

/* Remove the files of a device without a server, except its lock. */
static int unlink_files(const char *name, struct error *err)
{
	static const char *const kinds[] = { RUN_SOCKET, RUN_DESCRIPTION, RUN_DESCRIPTION_NEW,
					     RUN_RESCUE, RUN_PARTITIONS };
	char path[512], early[DEVICE_SOCKET_LEN];
	size_t i;

	device_early_socket(early, name);
	for (i = 0; i <= ARRAY_SIZE(kinds); i++) {
		if (i < ARRAY_SIZE(kinds))
			snprintf(path, sizeof(path), "%s/%s%s", client_run_dir(), name, kinds[i]);
		else
			snprintf(path, sizeof(path), "%s/%s", client_run_dir(), early);
		if (unlink(path) < 0 && errno != ENOENT)
			return error_set_errno(err, -errno, "%s", path);
	}
	return 0;
}

/* Write NAME.json, unless it exists. With the name locked. */
static int write_description(const struct device *dev)
{
	char path[512], temp[512];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%s" RUN_DESCRIPTION, client_run_dir(), dev->server);
	snprintf(temp, sizeof(temp), "%s/%s" RUN_DESCRIPTION_NEW, client_run_dir(), dev->server);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (json_dumpfd(dev->hint, fd, JSON_INDENT(1)))
		ret = -EIO;
	else if (link(temp, path) && errno != EEXIST)
		ret = -errno;
	close(fd);
	unlink(temp);
	return ret;
}

void server_put_back_description(const struct device *dev)
{
	int lock_fd = lock_name(dev->server), ret;
	struct mapping now;

	/* Another server has the name, and describes itself. */
	if (lock_fd == -EBUSY)
		return;
	ret = lock_fd < 0 ? lock_fd : mapping_lookup(dev->name, &now, NULL);
	if (!ret && now.exists)
		ret = write_description(dev);
	if (ret)
		report_warning("%s/%s" RUN_DESCRIPTION ": %s", client_run_dir(), dev->server,
			       strerror(-ret));
	unlock_name(dev->server, lock_fd, false);
}

int server_clear_away(const struct device *dev, bool force, struct error *err)
{
	int lock_fd, ret;

	/* Hold the lock of the name, so that no server lives. */
	lock_fd = lock_name(dev->server);
	if (lock_fd == -EBUSY)
		return error_set(err, -EBUSY, "its server lives, but does not answer");
	ret = force ? 0 : check_nobody_waits(dev->server, err);
	if (!ret)
		ret = delete_ublk(dev->server, err);
	if (!ret)
		ret = unlink_files(dev->server, err);
	unlock_name(dev->server, lock_fd, !ret);
	return ret;
}
