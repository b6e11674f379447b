// SPDX-License-Identifier: GPL-2.0
/* The note of an image file: an extended attribute, or a file beside it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "aio/sys.h"
#include "file/file.h"
#include "file/file_note.h"
#include "util/units.h"

#define ATTRIBUTE  "user.qedblk.backing"
#define SUFFIX	   ".qedblk-note"
#define SUFFIX_NEW SUFFIX ".new"
#define MAGIC	   "qedblk-note 1 "
/* Bytes; an attribute has no more either. */
#define NOTE_MAX (64 * KiB)

struct note_call {
	int fd;
	const char *set;
	char *got;
};

/* ---- A file beside the image ---- */

struct beside {
	int dir; /* the image's directory */
	char name[NAME_MAX + 1], name_new[NAME_MAX + 1];
	uint64_t ino; /* of the image */
};

/*
 * Find the place of the note for the image @fd, by its present name; the caller closes ->dir.
 * Returns 0 or a negative errno.
 */
static int find_place(int fd, struct beside *beside)
{
	char link[64], path[PATH_MAX + 1], *base;
	struct stat image, named;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX);
	path[len < 0 ? 0 : len] = '\0';
	base = strrchr(path, '/');
	if (!base)
		return -EOPNOTSUPP;
	*base++ = '\0';
	if (snprintf(beside->name, sizeof(beside->name), "%s" SUFFIX, base) > NAME_MAX ||
	    snprintf(beside->name_new, sizeof(beside->name_new), "%s" SUFFIX_NEW, base) > NAME_MAX)
		return -ENAMETOOLONG;
	beside->dir = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (beside->dir < 0)
		return -errno;
	/*
	 * A file that was deleted, or has another name meanwhile, is not to be written beside; nor
	 * is a file in a directory that has got the path meanwhile.
	 */
	if (fstat(fd, &image) || fstatat(beside->dir, base, &named, AT_SYMLINK_NOFOLLOW) ||
	    image.st_ino != named.st_ino || image.st_dev != named.st_dev) {
		close(beside->dir);
		return -EOPNOTSUPP;
	}
	beside->ino = image.st_ino;
	return 0;
}

/*
 * Read the file that is at the place: set *@text (heap) to the note in it, or to NULL if it is a
 * note about another image.  Returns 0, -ENODATA (no file), -EEXIST (no note), or a negative errno.
 */
static int read_beside(const struct beside *beside, char **text)
{
	int fd = openat(beside->dir, beside->name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	char *all = fd < 0 ? NULL : calloc(1, NOTE_MAX + 1);
	ssize_t len = all ? read(fd, all, NOTE_MAX) : -1;
	int ret = fd < 0 ? (errno == ENOENT ? -ENODATA : -errno) : all ? 0 : -ENOMEM;
	uint64_t ino;
	int head = 0;

	*text = NULL;
	if (!ret &&
	    (len < 0 || sscanf(all, MAGIC "%" SCNu64 "%n", &ino, &head) != 1 || all[head] != '\n'))
		ret = -EEXIST;
	if (!ret && ino == beside->ino) {
		*text = strdup(all + head + 1);
		ret = *text ? 0 : -ENOMEM;
	}
	free(all);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int get_beside(struct note_call *call)
{
	struct beside beside;
	int ret = find_place(call->fd, &beside);

	if (!ret) {
		ret = read_beside(&beside, &call->got);
		close(beside.dir);
	}
	if (!ret)
		return call->got ? 0 : -ESTALE;
	/* What cannot be read is none; setting it reports why. */
	return ret == -ENOMEM ? ret : -ENODATA;
}

static int write_beside(const struct beside *beside, const char *text)
{
	int ret = 0, fd;

	/* A crash may have left it. */
	(void)unlinkat(beside->dir, beside->name_new, 0);
	fd = openat(beside->dir, beside->name_new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (dprintf(fd, MAGIC "%" PRIu64 "\n%s", beside->ino, text) < 0 || fsync(fd))
		ret = -errno;
	close(fd);
	if (!ret && renameat(beside->dir, beside->name_new, beside->dir, beside->name))
		ret = -errno;
	if (ret)
		(void)unlinkat(beside->dir, beside->name_new, 0);
	return ret;
}

static int set_beside(const struct note_call *call)
{
	struct beside beside;
	char *old;
	int ret = find_place(call->fd, &beside);

	if (ret)
		return ret;
	ret = read_beside(&beside, &old);
	free(old);
	if (ret == -ENODATA && !call->set) {
		close(beside.dir);
		return 0;
	}
	if (!ret || ret == -ENODATA)
		ret = call->set				   ? write_beside(&beside, call->set) :
		      unlinkat(beside.dir, beside.name, 0) ? -errno :
							     0;
	if (!ret && fsync(beside.dir) && errno != EINVAL)
		ret = -errno;
	close(beside.dir);
	return ret;
}

/* ---- The attribute ---- */

static int get_on_worker(void *arg)
{
	struct note_call *call = arg;
	ssize_t len = fgetxattr(call->fd, ATTRIBUTE, NULL, 0), got;

	if (len < 0)
		return errno == EOPNOTSUPP ? get_beside(call) : -errno;
	call->got = malloc((size_t)len + 1);
	if (!call->got)
		return -ENOMEM;
	got = fgetxattr(call->fd, ATTRIBUTE, call->got, (size_t)len);
	if (got < 0) {
		int ret = -errno;

		free(call->got);
		call->got = NULL;
		return ret;
	}
	call->got[got] = '\0';
	return 0;
}

/*
 * Sync by a descriptor of its own: the kernel reports a failed write to each descriptor once, and a
 * flush of the guest's must not miss it.
 */
static int sync_apart(int fd)
{
	char link[64];
	int ret;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int set_on_worker(void *arg)
{
	const struct note_call *call = arg;

	if (call->set ? fsetxattr(call->fd, ATTRIBUTE, call->set, strlen(call->set), 0) :
			fremovexattr(call->fd, ATTRIBUTE)) {
		if (errno == EOPNOTSUPP)
			return set_beside(call);
		return errno == ENODATA ? 0 : -errno;
	}
	return sync_apart(call->fd);
}

/* ---- For coroutines ---- */

static int check_kind(const struct blk_file *file)
{
	return file->protocol || file->is_device ? -EOPNOTSUPP : 0;
}

int blk_file_co_get_note(struct blk_file *file, char **note)
{
	struct note_call call = { .fd = file->fd };
	int ret = check_kind(file);

	if (!ret)
		ret = aio_co_call(get_on_worker, &call);
	*note = call.got;
	return ret;
}

int blk_file_co_set_note(struct blk_file *file, const char *note)
{
	struct note_call call = { .fd = file->fd, .set = note };
	int ret = check_kind(file);

	return ret ? ret : aio_co_call(set_on_worker, &call);
}
