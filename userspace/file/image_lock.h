/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Image locks in QEMU's protocol, so that its programs and ours refuse an
 * image that the other is using.
 *
 * Open-file-description locks, all shared: a permission that is held locks
 * byte 100 + n, one that is denied to others locks byte 200 + n.  The kernel
 * drops them with the open file description, so a killed process leaves none
 * once its I/O has ended.
 */
#ifndef QEDBLK_FILE_IMAGE_LOCK_H
#define QEDBLK_FILE_IMAGE_LOCK_H

#include <stdbool.h>

#include "util/error.h"

enum image_perm {
	IMAGE_PERM_CONSISTENT_READ = 1 << 0,
	IMAGE_PERM_WRITE = 1 << 1,
	IMAGE_PERM_WRITE_UNCHANGED = 1 << 2,
	IMAGE_PERM_RESIZE = 1 << 3,
	IMAGE_PERM_ALL = 0xf,
};

/* What a descriptor holds: IMAGE_PERM_*. */
struct image_lock {
	unsigned int perm, denied;
};

/*
 * Take the permissions @perm and deny other processes all but @shared on @fd, besides what
 * *@held says, which is then changed.  Returns 0, -EBUSY (conflict with another process; nothing
 * more is held then), or another negative errno.  A file system without such locks is no error.
 *
 * Waits for the locks of a process that was killed: its last I/O holds them for up to a
 * second.  So it blocks for 0.1 seconds at most while a process has the file open, and for
 * two where none has.
 */
int image_lock_add(int fd, struct image_lock *held, unsigned int perm, unsigned int shared,
		   struct error *err);

/*
 * The same for @fd, in place of the locks *@from of @from_fd, another descriptor of this process
 * for the same file, which keeps its reading and denies nothing any more.  At no instant is the
 * file without a descriptor that denies what both deny.  After an error both hold what they held.
 */
int image_lock_take_over(int fd, struct image_lock *held, unsigned int perm, unsigned int shared,
			 int from_fd, struct image_lock *from, struct error *err);

/* Would image_lock_add() have nothing to do? */
bool image_lock_has(const struct image_lock *held, unsigned int perm, unsigned int shared);

/* Release all locks on @fd but those for @perm, and against all but @shared. */
void image_lock_keep(int fd, struct image_lock *held, unsigned int perm, unsigned int shared);

/* Release all locks that image_lock_add() took on @fd. */
void image_lock_release(int fd);

#endif
