// SPDX-License-Identifier: GPL-2.0
/*
 * Open a file only if it lies below a folder, whatever its name is.
 *
 * The name itself is not checked.  An O_PATH descriptor, which can neither read nor
 * write and so has no effect on a device or a FIFO, holds the file that the name
 * resolves to; /proc/self/fd tells its path; and that same file is then opened.  So
 * changes of the name, or of symbolic links in it, do not matter meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/file_internal.h"

/* Get the path of @fd, without symbolic links, from the kernel.  Returns 0 or a negative errno. */
static int where_is(int fd, char *path, size_t len)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, len);
	if (n < 0)
		return -errno;
	if ((size_t)n >= len)
		return -ENAMETOOLONG;
	path[n] = '\0';
	/* Else it is outside of the process's root or mounts, or has no path. */
	return path[0] == '/' ? 0 : -EPERM;
}

static int where_is_dir(const char *dir, char *path, size_t len)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = where_is(fd, path, len);
	close(fd);
	return ret;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1)
		return true; /* every file is below "/" */
	return !strncmp(path, dir, len) && path[len] == '/';
}

/* Return -EPERM, with an error line, if the file of @fd does not lie below @dir. */
static int check_place(int fd, const char *name, const char *dir, struct error *err)
{
	char here[PATH_MAX], below[PATH_MAX];
	int ret = where_is_dir(dir, below, sizeof(below));

	if (ret)
		return error_set_errno(err, ret, "%s: backing files must lie below %s", name, dir);
	ret = where_is(fd, here, sizeof(here));
	if (ret)
		return error_set_errno(err, ret, "%s: cannot tell where it lies", name);
	if (is_below(here, below))
		return 0;
	return error_set(err, -EPERM, "%s: backing files must lie below %s, and this is %s", name,
			 dir, here);
}

static int reopen(int path_fd, const char *name, bool writable, struct error *err)
{
	char link[64];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd >= 0 ? fd : error_set_errno(err, -errno, "%s", name);
}

int blk_file_open_below(const char *name, const char *dir, bool writable, struct error *err)
{
	int fd = open(name, O_PATH | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0)
		return error_set_errno(err, -errno, "%s", name);
	ret = check_place(fd, name, dir, err);
	if (!ret && fstat(fd, &st) < 0)
		ret = error_set_errno(err, -errno, "%s", name);
	if (!ret)
		ret = blk_file_check_type(name, &st, writable ? BLK_FILE_RDWR : 0, err);
	if (!ret)
		ret = reopen(fd, name, writable, err);
	close(fd);
	return ret;
}
