// SPDX-License-Identifier: GPL-2.0
/* Verbs: dispatch and help. */
#include <getopt.h>
#include <string.h>

#include "cmdline/guess.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "util/json_memory.h"
#include "util/version.h"

const struct verb *verb_find(const struct verb_table *table, const char *name)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		if (!strcmp(table->verbs[i]->name, name) ||
		    (table->verbs[i]->alias && !strcmp(table->verbs[i]->alias, name)))
			return table->verbs[i];
	return NULL;
}

/* Return the verb that @typed may have meant, or NULL. */
static const char *suggestion(const struct verb_table *table, const char *typed)
{
	struct guess guess;

	guess_begin(&guess, typed, strlen(typed));
	for (size_t i = 0; i < table->count; i++)
		guess_try(&guess, table->verbs[i]->name);
	return guess.best;
}

static int no_verb(const struct verb_table *table, const char *typed)
{
	const char *meant = suggestion(table, typed);

	if (meant)
		return report_usage("no verb '%s'; did you mean '%s'? `%s help` lists them", typed,
				    meant, table->program);
	return report_usage("no verb '%s'; `%s help` lists them", typed, table->program);
}

void verb_print_help(FILE *out, const struct verb_table *table, const struct verb *verb)
{
	fprintf(out, "usage: %s %s%s%s\n%s\n", table->program, verb->name,
		verb->synopsis[0] ? " " : "", verb->synopsis, verb->summary);
	if (verb->alias)
		fprintf(out, "Also called %s.\n", verb->alias);
	if (verb->options)
		fprintf(out, "\n%s", verb->options);
	if (verb->print_options) {
		fputc('\n', out);
		verb->print_options(out);
	}
	fprintf(out, "\nExample: %s\n", verb->example);
}

static void verbs_print_help(FILE *out, const struct verb_table *table)
{
	size_t i;

	fprintf(out, "usage: %s VERB [ARGUMENT...]\n%s\n\n", table->program, table->about);
	for (i = 0; i < table->count; i++)
		fprintf(out, "  %-10s  %s\n", table->verbs[i]->name, table->verbs[i]->summary);
	fprintf(out, "\n`%s VERB --help` describes one verb, `man %s` all, with examples.\n",
		table->program, table->program);
}

/* Help overrides all other arguments, but not operands after "--". */
static int wants_help(int argc, char **argv)
{
	int i;

	if (argc > 1 && !strcmp(argv[1], "-h"))
		return 1;
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help"))
			return 1;
	return 0;
}

static int run_help(const struct verb_table *table, int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2 || wants_help(argc, argv)) {
		verbs_print_help(stdout, table);
		return 0;
	}
	if (argc > 2)
		return report_usage("help: too many arguments");
	verb = verb_find(table, argv[1]);
	if (!verb)
		return no_verb(table, argv[1]);
	verb_print_help(stdout, table, verb);
	return 0;
}

static int run_verb(const struct verb_table *table, int argc, char **argv)
{
	const struct verb *verb = verb_find(table, argv[0]);

	if (verb) {
		if (wants_help(argc, argv)) {
			verb_print_help(stdout, table, verb);
			return 0;
		}
		argv[0] = (char *)verb->name; /* not its alias */
		report_context("%s", verb->name);
		optind = 0;
		return verb->run(argc, argv);
	}
	if (!strcmp(argv[0], "help") || !strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))
		return run_help(table, argc, argv);
	if (!strcmp(argv[0], "version") || !strcmp(argv[0], "--version") ||
	    !strcmp(argv[0], "-V")) {
		printf("%s %s\n", table->program, QEDBLK_VERSION);
		return 0;
	}
	return no_verb(table, argv[0]);
}

int verbs_main(const struct verb_table *table, int argc, char **argv)
{
	int status;

	report_program(table->program);
	status = argc < 2 ? report_usage("a verb is needed; `%s help` lists them", table->program) :
			    run_verb(table, argc - 1, argv + 1);
	if (!status && json_memory_failures())
		status = report_error("not enough memory for the output");
	if (report_flush())
		return 1;
	return status == 1 ? (int)report_last_status() : status;
}
