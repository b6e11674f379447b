/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program of verbs: `PROGRAM VERB ARGUMENTS`.  A verb is a row in its own file, from
 * which dispatch and all help come; the program has the list of rows.
 */
#ifndef QEDBLK_TOOLS_VERBS_H
#define QEDBLK_TOOLS_VERBS_H

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

struct verb {
	const char *name;
	const char *synopsis; /* arguments as help shows them: "NAME IMAGE [OPTION...]", or "" */
	const char *summary; /* one line, lower case, no full stop */
	const char *options; /* further lines of help, each ending in '\n', or NULL */
	void (*print_options)(FILE *to); /* in the place of @options where they are in a table */
	const char *example; /* a command line */
	/*
	 * @argv[0] is the verb's name.  Returns the program's exit status, after a
	 * line was printed where it is not 0.
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
 * Run the verb that @argv[1] names and return its exit status.  Knows `help
 * [VERB]`, `--help`, `VERB --help`, `version` (unless the table has one) and
 * `--version` by itself.  An unknown verb is one line and status 1.
 */
int verbs_main(const struct verb_table *table, int argc, char **argv);

/* Print the help of one verb. */
void verb_print_help(FILE *out, const struct verb_table *table, const struct verb *verb);

/*
 * getopt_long() with this project's error line: an unknown option, a missing
 * argument or one too many is reported, and '?' returned.  The first call of a verb must
 * follow `optind = 0`, which verbs_main() has done.
 */
int verb_getopt(int argc, char **argv, const char *short_options, const struct option *options);

#endif
