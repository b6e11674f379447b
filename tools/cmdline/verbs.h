/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program with verbs: `PROGRAM VERB ARGUMENTS`. Each verb is a struct verb in its
 * own file, used for dispatch and help; the program lists them.
 */
#ifndef QEDBLK_CMDLINE_VERBS_H
#define QEDBLK_CMDLINE_VERBS_H

#include <stddef.h>
#include <stdio.h>

struct verb {
	const char *name;
	const char *alias; /* another name, or NULL */
	const char *synopsis; /* arguments in help: "NAME IMAGE [OPTION...]", or "" */
	const char *summary; /* one line, lower case, no full stop */
	const char *options; /* further lines of help, each ending in '\n', or NULL */
	void (*print_options)(FILE *to); /* instead of @options, when they are in a table */
	const char *example; /* a command line */
	/*
	 * Run the verb; @argv[0] is its name. Returns the program's exit status; prints an error
	 * line first if it is not 0.
	 */
	int (*run)(int argc, char **argv);
};

struct verb_table {
	const char *program;
	const char *about; /* one line */
	const struct verb *const *verbs;
	size_t count;
};

/*
 * Run the verb named by @argv[1] and return its exit status. Handles `help [VERB]`,
 * `--help`, `VERB --help`, `version` (unless the table has one) and `--version`
 * itself. An unknown verb gives an error line. A status of 1 becomes that of
 * report_last_status().
 */
int verbs_main(const struct verb_table *table, int argc, char **argv);

/* Return the verb with the name or alias @name, or NULL. */
const struct verb *verb_find(const struct verb_table *table, const char *name);

/* Print the help of one verb. */
void verb_print_help(FILE *out, const struct verb_table *table, const struct verb *verb);

#endif
