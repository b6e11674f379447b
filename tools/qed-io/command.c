// SPDX-License-Identifier: GPL-2.0
/* The table of commands, running a command line, and help. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "populate/populate.h"
#include "qed-io/command.h"
#include "qed-io/text.h"
#include "util/units.h"

#define IO_COMMAND(name) extern const struct io_command io_##name##_command;
#include "qed-io/command_table.h"
#undef IO_COMMAND

static const struct io_command *const commands[] = {
#define IO_COMMAND(name) &io_##name##_command,
#include "qed-io/command_table.h"
#undef IO_COMMAND
};

const struct io_command *io_command_get(size_t index)
{
	return index < ARRAY_SIZE(commands) ? commands[index] : NULL;
}

static const struct io_command *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name) ||
		    (commands[i]->altname && !strcmp(commands[i]->altname, name)))
			return commands[i];
	return NULL;
}

/* Print a command's line of help, with @name as its name. */
static void print_synopsis(const struct io_command *command, const char *name)
{
	printf("%s ", name);
	if (command->args)
		printf("%s ", command->args);
	printf("-- %s\n", command->summary);
}

int io_usage(const struct io_call *call)
{
	print_synopsis(call->command, call->command->name);
	return -EINVAL;
}

static int check_count(const struct io_command *command, const char *name, int count)
{
	int min = command->argmin, max = command->argmax;

	if (count >= min && (max < 0 || count <= max))
		return 0;
	fprintf(stderr, "bad argument count %d to %s, expected ", count, name);
	if (max < 0)
		fprintf(stderr, "at least %d arguments\n", min);
	else if (min == max)
		fprintf(stderr, "%d arguments\n", min);
	else
		fprintf(stderr, "between %d and %d arguments\n", min, max);
	return -EINVAL;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	const struct io_command *command = find(argv[0]);
	int ret;

	if (!command) {
		fprintf(stderr, "command \"%s\" not found\n", argv[0]);
		return -EINVAL;
	}
	if (!(command->flags & IO_NO_FILE) && !io->node) {
		fprintf(stderr, "no file open, try 'help open'\n");
		return -EINVAL;
	}
	ret = check_count(command, argv[0], argc - 1);
	if (ret < 0)
		return ret;
	if ((command->flags & IO_WRITE) && !(io->node->flags & BLK_O_RDWR)) {
		io_error("Block node is read-only");
		return -EACCES;
	}
	io_session_tell(io, command->flags & IO_HOLDS);
	io->running = !(command->flags & IO_NO_FILE);
	/*
	 * Copy-on-read keeps data some time after the read: wait before showing what is allocated.
	 */
	if (command->flags & IO_LOOKS)
		populate_co_drain(io->node);
	optind = 0; /* restart getopt() */
	ret = command->co_run(&(struct io_call){ io, command, argc, argv });
	io->running = false;
	return ret;
}

int io_co_run_line(struct io_session *io, char *line)
{
	int argc = 0, ret = 0;
	char **argv, *word, *save;

	/* At most every other byte starts a word; one entry more for the NULL. */
	argv = calloc(strlen(line) / 2 + 2, sizeof(*argv));
	if (!argv) {
		io_error("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	if (argc)
		ret = co_run(io, argc, argv);
	free(argv);
	return ret;
}

static int co_help(const struct io_call *call)
{
	const struct io_command *command;
	size_t i;

	if (call->argc == 1) {
		for (i = 0; i < ARRAY_SIZE(commands); i++)
			print_synopsis(commands[i], commands[i]->name);
		printf("\nUse 'help commandname' for extended help.\n");
		return 0;
	}
	command = find(call->argv[1]);
	if (!command) {
		printf("command %s not found\n", call->argv[1]);
		return -EINVAL;
	}
	print_synopsis(command, call->argv[1]);
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
	.co_run = co_help,
};
