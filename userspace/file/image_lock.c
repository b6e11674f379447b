// SPDX-License-Identifier: GPL-2.0
/*
 * Image locks in QEMU's protocol.
 *
 * All locks are shared, so processes that keep the protocol never fail to take
 * them.  A conflict is detected afterwards: F_OFD_GETLK tells whether an exclusive
 * lock on the opposite byte would be possible.  Each process locks before it
 * checks, so of two that race at least one sees the other.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file/image_lock.h"
#include "util/units.h"

/* Offsets of the bytes of the image file that the protocol locks. */
#define LOCK_HELD_BASE	 100
#define LOCK_DENIED_BASE 200

static const char *const perm_names[] = {
	"consistent read",
	"write",
	"write unchanged",
	"resize",
};

static int set_lock(int fd, short type, uint64_t start, uint64_t len)
{
	struct flock fl = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)len,
	};

	return fcntl(fd, F_OFD_SETLK, &fl) < 0 ? -errno : 0;
}

/* Does another process lock that byte?  An error counts as no: the locks are advisory. */
static bool is_locked(int fd, uint64_t byte)
{
	struct flock fl = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

/* Lock our bytes.  -EAGAIN: another process has an exclusive lock there. */
static int lock_bytes(int fd, unsigned int perm, unsigned int denied)
{
	for (unsigned int n = 0; n < ARRAY_SIZE(perm_names); n++) {
		int ret = 0;

		if (perm & (1u << n))
			ret = set_lock(fd, F_RDLCK, LOCK_HELD_BASE + n, 1);
		if (!ret && (denied & (1u << n)))
			ret = set_lock(fd, F_RDLCK, LOCK_DENIED_BASE + n, 1);
		if (ret)
			return ret;
	}
	return 0;
}

static int conflict(struct error *err, const char *how, unsigned int n)
{
	return error_set(err, -EBUSY,
			 "Failed to get %s\"%s\" lock: is another process using the image?", how,
			 perm_names[n]);
}

static int check_conflicts(int fd, unsigned int perm, unsigned int denied, struct error *err)
{
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(perm_names); n++)
		if ((perm & (1u << n)) && is_locked(fd, LOCK_DENIED_BASE + n))
			return conflict(err, "", n);
	for (n = 0; n < ARRAY_SIZE(perm_names); n++)
		if ((denied & (1u << n)) && is_locked(fd, LOCK_HELD_BASE + n))
			return conflict(err, "shared ", n);
	return 0;
}

/* Unlock our bytes but those of @held. */
static void unlock_but(int fd, const struct image_lock *held)
{
	/* Fails only where locking fails, too. */
	for (unsigned int n = 0; n < ARRAY_SIZE(perm_names); n++) {
		if (!(held->perm & (1u << n)))
			(void)set_lock(fd, F_UNLCK, LOCK_HELD_BASE + n, 1);
		if (!(held->denied & (1u << n)))
			(void)set_lock(fd, F_UNLCK, LOCK_DENIED_BASE + n, 1);
	}
}

static int try_lock(int fd, const struct image_lock *held, unsigned int perm, unsigned int denied,
		    struct error *err)
{
	int ret = lock_bytes(fd, perm, denied);

	switch (ret) {
	case 0:
		ret = check_conflicts(fd, perm, denied, err);
		break;
	case -EAGAIN:
	case -EACCES:
		ret = error_set(err, -EBUSY, "Failed to lock: is another process using the image?");
		break;
	case -EPERM:
	case -ENOLCK:
	case -EINVAL:
	case -EOPNOTSUPP:
	case -ENOSYS:
		/* The file system has no such locks: no process can see the others. */
		ret = 0;
		break;
	default:
		ret = error_set_errno(err, ret, "Failed to lock");
	}
	if (ret)
		unlock_but(fd, held);
	return ret;
}

/* Is the file behind @fd open, by another descriptor, in the process with the number @pid? */
static bool process_has_open(const struct statx *file, int fd, const char *pid)
{
	char path[NAME_MAX + sizeof("/proc//fd")];
	struct dirent *entry;
	struct statx st;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (atoi(pid) == getpid() && atoi(entry->d_name) == fd))
			continue;
		/* AT_STATX_DONT_SYNC: a file server may not respond. */
		found = !statx(dirfd(dir), entry->d_name, AT_STATX_DONT_SYNC, STATX_INO, &st) &&
			st.stx_ino == file->stx_ino && st.stx_dev_major == file->stx_dev_major &&
			st.stx_dev_minor == file->stx_dev_minor;
	}
	closedir(dir);
	return found;
}

/* Does a process, as far as this one may see, have the file open by another descriptor? */
static bool any_has_open(int fd)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct statx file;
	bool found = false;

	if (!dir || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &file))
		found = true;
	while (!found && (entry = readdir(dir)))
		found = isdigit((unsigned char)entry->d_name[0]) &&
			process_has_open(&file, fd, entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

int image_lock_add(int fd, struct image_lock *held, unsigned int perm, unsigned int shared,
		   struct error *err)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	unsigned int denied = IMAGE_PERM_ALL & ~shared;

	for (unsigned int n = 0;; n++) {
		int ret = try_lock(fd, held, perm, denied, err);

		if (!ret) {
			held->perm |= perm;
			held->denied |= denied;
		}
		if (ret != -EBUSY || n == 100 || (n >= 5 && any_has_open(fd)))
			return ret;
		if (err)
			error_free(err);
		nanosleep(&pause, NULL);
	}
}

int image_lock_take_over(int fd, struct image_lock *held, unsigned int perm, unsigned int shared,
			 int from_fd, struct image_lock *from, struct error *err)
{
	const struct image_lock before = *held;
	const struct image_lock reader = { .perm = from->perm & IMAGE_PERM_CONSISTENT_READ };
	int ret;

	/* An error is found again below. */
	(void)lock_bytes(fd, perm, IMAGE_PERM_ALL & ~shared);
	held->perm |= perm;
	held->denied |= IMAGE_PERM_ALL & ~shared;
	unlock_but(from_fd, &reader);
	ret = image_lock_add(fd, held, perm, shared, err);
	if (!ret) {
		*from = reader;
		return 0;
	}
	(void)lock_bytes(from_fd, from->perm, from->denied);
	*held = before;
	unlock_but(fd, &before);
	return ret;
}

bool image_lock_has(const struct image_lock *held, unsigned int perm, unsigned int shared)
{
	return !(perm & ~held->perm) && !(IMAGE_PERM_ALL & ~shared & ~held->denied);
}

void image_lock_keep(int fd, struct image_lock *held, unsigned int perm, unsigned int shared)
{
	held->perm &= perm;
	held->denied &= IMAGE_PERM_ALL & ~shared;
	unlock_but(fd, held);
}

void image_lock_release(int fd)
{
	const struct image_lock none = { 0 };

	unlock_but(fd, &none);
}
