// SPDX-License-Identifier: GPL-2.0
/* help: describe all commands, or one. */
#include <errno.h>
#include <stdio.h>

#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	const struct io_command *command;
	size_t i;

	(void)io;
	if (argc == 1) {
		for (i = 0; (command = io_command_get(i)); i++)
			io_print_synopsis(command, command->name);
		printf("\nUse 'help commandname' for extended help.\n");
		return 0;
	}
	command = io_command_find(argv[1]);
	if (!command) {
		printf("command %s not found\n", argv[1]);
		return -EINVAL;
	}
	io_print_synopsis(command, argv[1]);
	/* A command without a text has one line of help, as in QEMU. */
	if (!command->text)
		return 0;
	printf("\n%s", command->text);
	if (command->example)
		printf("\n Example: %s\n", command->example);
	printf("\n");
	return 0;
}

const struct io_command io_help_command = {
	.name = "help",
	.altname = "?",
	.args = "[command]",
	.summary = "help for one or all commands",
	.argmax = 1,
	.flags = IO_NO_FILE | IO_HOLDS,
	.co_run = co_run,
};
