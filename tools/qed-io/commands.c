// SPDX-License-Identifier: GPL-2.0
/* The table of commands, and running a command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "populate/populate.h"
#include "qed-io/io.h"
#include "util/units.h"

/* Sorted by name, the order of help. */
static const struct io_command *const commands[] = {
	&io_abort_command,     &io_aio_flush_command, &io_aio_read_command,
	&io_aio_write_command, &io_alloc_command,     &io_break_command,
	&io_close_command,     &io_discard_command,   &io_flush_command,
	&io_help_command,      &io_info_command,      &io_length_command,
	&io_map_command,       &io_open_command,      &io_quit_command,
	&io_read_command,      &io_readv_command,     &io_remove_break_command,
	&io_reopen_command,    &io_resume_command,    &io_sigraise_command,
	&io_sleep_command,     &io_truncate_command,  &io_wait_break_command,
	&io_write_command,     &io_writev_command,
};

const struct io_command *io_command_get(size_t index)
{
	return index < ARRAY_SIZE(commands) ? commands[index] : NULL;
}

const struct io_command *io_command_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name) ||
		    (commands[i]->altname && !strcmp(commands[i]->altname, name)))
			return commands[i];
	return NULL;
}

void io_print_synopsis(const struct io_command *command, const char *name)
{
	printf("%s ", name);
	if (command->args)
		printf("%s ", command->args);
	printf("-- %s\n", command->summary);
}

int io_usage(const struct io_command *command)
{
	io_print_synopsis(command, command->name);
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
	const struct io_command *command = io_command_find(argv[0]);
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
	if (command->request)
		ret = io_request_co_run(io, command, argc, argv);
	else
		ret = command->co_run(io, argc, argv);
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
