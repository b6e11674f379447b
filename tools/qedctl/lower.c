// SPDX-License-Identifier: GPL-2.0
/* The ublk device below a mapping. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "qedctl/lower.h"

#define BUSY_TRIES  50
#define BUSY_NAP_NS (100 * 1000000L)

int lower_look(const char *path, struct lower *lower, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || ioctl(fd, BLKGETSIZE64, &lower->size) ||
	    ioctl(fd, BLKROGET, &lower->read_only))
		ret = error_set_errno(err, -errno, "%s", path);
	else
		lower->dev = st.st_rdev;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int remove_partition(int fd, int number)
{
	const struct timespec nap = { .tv_nsec = BUSY_NAP_NS };
	struct blkpg_partition partition = { .pno = number };
	struct blkpg_ioctl_arg arg = { .op = BLKPG_DEL_PARTITION,
				       .datalen = sizeof(partition),
				       .data = &partition };

	for (int i = 0; ioctl(fd, BLKPG, &arg); i++) {
		/* ENXIO: it has gone already. */
		if (errno != EBUSY || i == BUSY_TRIES)
			return errno == ENXIO ? 0 : -errno;
		nanosleep(&nap, NULL);
	}
	return 0;
}

/* Return the number in the file @path; 0: there is none. */
static int read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	int number = 0;

	if (file && fscanf(file, "%d", &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

int lower_remove_partitions(const char *path, struct error *err)
{
	const char *name = strrchr(path, '/');
	char pattern[300];
	glob_t found;
	int fd, ret = 0;

	snprintf(pattern, sizeof(pattern), "/sys/block%s/*/partition", name ? name : "/none");
	if (glob(pattern, GLOB_NOSORT, NULL, &found))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ret = error_set_errno(err, -errno, "%s", path);
	for (size_t i = 0; i < found.gl_pathc && !ret; i++) {
		int number = read_number(found.gl_pathv[i]);

		ret = number > 0 ? remove_partition(fd, number) : 0;
		if (ret)
			error_set_errno(err, ret, "%sp%d", path, number);
	}
	if (fd >= 0)
		close(fd);
	globfree(&found);
	return ret;
}
