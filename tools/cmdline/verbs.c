// SPDX-License-Identifier: GPL-2.0
/* Verbs: dispatch and help. */
#include <getopt.h>
#include <string.h>

#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "util/json_memory.h"
#include "util/version.h"

const struct verb *verb_find(const struct verb_table *table, const char *name)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		if (!strcmp(table->verbs[i]->name, name))
			return table->verbs[i];
	return NULL;
}

void verb_print_help(FILE *out, const struct verb_table *table, const struct verb *verb)
{
	fprintf(out, "usage: %s %s%s%s\n%s\n", table->program, verb->name,
		verb->synopsis[0] ? " " : "", verb->synopsis, verb->summary);
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
	fprintf(out, "\n`%s VERB --help` describes one verb.\n", table->program);
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
		return report_error("help: too many arguments");
	verb = verb_find(table, argv[1]);
	if (!verb)
		return report_error("help: no verb '%s'", argv[1]);
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
	return report_error("no verb '%s'; `%s help` lists them", argv[0], table->program);
}

int verbs_main(const struct verb_table *table, int argc, char **argv)
{
	int status;

	report_program(table->program);
	if (argc < 2)
		return report_error("a verb is needed; `%s help` lists them", table->program);
	status = run_verb(table, argc - 1, argv + 1);
	if (!status && json_memory_failures())
		status = report_error("not enough memory for the output");
	return report_flush() ? 1 : status;
}
