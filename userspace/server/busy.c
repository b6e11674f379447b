// SPDX-License-Identifier: GPL-2.0
/*
 * Users of a block device: file systems and device-mapper claim it, so an exclusive
 * open fails, even where the user is not found.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/device_users.h"
#include "server/busy.h"
#include "ublk/ctrl.h"

int device_check_unused(uint32_t dev_id, struct error *err)
{
	char device[UBLK_PATH_LEN], *users;
	struct stat st;
	bool claimed;
	int fd, ret;

	ublk_block_path(device, dev_id);
	if (stat(device, &st))
		return error_set_errno(err, -errno, "%s", device);
	fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	claimed = fd < 0 && errno == EBUSY;
	if (fd >= 0)
		close(fd);
	users = device_users(st.st_rdev, DEVICE_USE_ANY);
	if (users)
		ret = error_set(err, -EBUSY, "%s is in use by %s", device, users);
	else
		ret = claimed ? error_set(err, -EBUSY, "%s is in use", device) : 0;
	free(users);
	return ret;
}
