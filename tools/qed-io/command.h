/* SPDX-License-Identifier: GPL-2.0 */
/* A command of qed-io, and running a command line. */
#ifndef QEDBLK_QED_IO_COMMAND_H
#define QEDBLK_QED_IO_COMMAND_H

#include <stddef.h>

#include "qed-io/session.h"

/* A command with its arguments, as it runs. */
struct io_call {
	struct io_session *io;
	const struct io_command *command;
	int argc;
	char **argv; /* argv[0] is the name; getopt() begins behind it */
};

enum io_command_flags {
	IO_NO_FILE = 1 << 0, /* does not need an open image */
	IO_WRITE = 1 << 1, /* needs an image open for writing */
	IO_LOOKS = 1 << 2, /* shows what is allocated in the image */
	IO_HOLDS = 1 << 3, /* does no I/O in qemu-io: see io_session.holding */
};

/* The row of a command; command_table.h lists the names. */
struct io_command {
	const char *name, *altname; /* the latter may be NULL */
	const char *args; /* for help; NULL: none */
	const char *summary; /* one line */
	const char *text; /* more help, lines each ending in '\n', or NULL */
	const char *example; /* or NULL */
	int argmin, argmax; /* number of arguments after the name; argmax -1: no limit */
	unsigned int flags;
	const struct io_request_kind *request; /* of a read or a write (read_write.h) */
	/* Run in a coroutine. Returns 0, or a negative errno after an error message. */
	int (*co_run)(const struct io_call *call);
};

/* Return the @index'th command, sorted by name, or NULL. */
const struct io_command *io_command_get(size_t index);
/* Print the usage of a command that is given wrong arguments. Returns -EINVAL. */
int io_usage(const struct io_call *call);
/*
 * Run one command line; modifies @line. Coroutine; yields. Returns 0, or a negative
 * errno after an error message.
 */
int io_co_run_line(struct io_session *io, char *line);

#endif
