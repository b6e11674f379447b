// SPDX-License-Identifier: GPL-2.0
/* sleep: wait for a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "aio/sys.h"
#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	long ms;
	char *end;

	(void)io;
	(void)argc;
	errno = 0;
	ms = strtol(argv[1], &end, 0);
	if (errno || end == argv[1] || *end || ms < 0) {
		printf("%s is not a valid number\n", argv[1]);
		return -EINVAL;
	}
	aio_co_sleep((uint64_t)ms * 1000000);
	return 0;
}

const struct io_command io_sleep_command = {
	.name = "sleep",
	.summary = "waits for the given value in milliseconds",
	.argmin = 1,
	.argmax = 1,
	.flags = IO_NO_FILE,
	.co_run = co_run,
};
