// SPDX-License-Identifier: GPL-2.0
/*
 * break, remove_break, resume, wait_break: in QEMU these stop requests inside its
 * driver blkdebug. No driver here has breakpoints, nor has any other one of QEMU's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/command.h"

static int refuse(const char *what, const char *tag)
{
	printf("Could not %s%s: %s\n", what, tag, strerror(ENOTSUP));
	return -ENOTSUP;
}

static int co_break(const struct io_call *call)
{
	(void)call;
	return refuse("set breakpoint", "");
}

static int co_remove_break(const struct io_call *call)
{
	return refuse("remove breakpoint ", call->argv[1]);
}

static int co_resume(const struct io_call *call)
{
	(void)call;
	return refuse("resume request", "");
}

/* No request is ever stopped, so do not wait for one as qemu-io does. */
static int co_wait_break(const struct io_call *call)
{
	return refuse("wait for breakpoint ", call->argv[1]);
}

#define TEXT " No format here has breakpoints: they are in QEMU's driver blkdebug.\n"

const struct io_command io_break_command = {
	.name = "break",
	.args = "event tag",
	.summary = "sets a breakpoint on event and tags the stopped request as tag",
	.text = TEXT,
	.example = "break write_aio A",
	.argmin = 2,
	.argmax = 2,
	.co_run = co_break,
};

const struct io_command io_remove_break_command = {
	.name = "remove_break",
	.args = "tag",
	.summary = "remove a breakpoint by tag",
	.text = TEXT,
	.example = "remove_break A",
	.argmin = 1,
	.argmax = 1,
	.co_run = co_remove_break,
};

const struct io_command io_resume_command = {
	.name = "resume",
	.args = "tag",
	.summary = "resumes the request tagged as tag",
	.text = TEXT,
	.example = "resume A",
	.argmin = 1,
	.argmax = 1,
	.co_run = co_resume,
};

const struct io_command io_wait_break_command = {
	.name = "wait_break",
	.args = "tag",
	.summary = "waits for the suspension of a request",
	.text = TEXT,
	.example = "wait_break A",
	.argmin = 1,
	.argmax = 1,
	.co_run = co_wait_break,
};
