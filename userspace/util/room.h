/* SPDX-License-Identifier: GPL-2.0 */
/* Errors of a file system that is full. */
#ifndef QEDBLK_UTIL_ROOM_H
#define QEDBLK_UTIL_ROOM_H

#include <errno.h>
#include <stdbool.h>

/* Does @error, a negative errno, say that there is no room, or none for this user? */
static inline bool is_out_of_room(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

#endif
