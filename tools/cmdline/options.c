// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a verb: building the table for getopt_long(), and storing values in
 * the verb's struct.
 */
#include <assert.h>
#include <string.h>

#include "cmdline/guess.h"
#include "cmdline/options.h"
#include "cmdline/report.h"
#include "util/getopt.h"

/* The most options of a verb, including the end of the table. */
#define MAX_OPTIONS 32

/* getopt's value of an option without a letter is this plus its index. */
#define NO_LETTER 256

struct getopt_table {
	char letters[2 * MAX_OPTIONS];
	struct option names[MAX_OPTIONS];
};

static bool has_value(const struct verb_option *o)
{
	return o->kind == VERB_OPTION_TEXT || o->kind == VERB_OPTION_CALL_VALUE;
}

static bool is_end(const struct verb_option *o)
{
	return !o->letter && !o->name;
}

static void make_table(struct getopt_table *table, const struct verb_option *options)
{
	struct option *name = table->names;
	char *letter = table->letters;
	int i;

	for (i = 0; options && !is_end(&options[i]); i++) {
		const struct verb_option *o = &options[i];

		assert(i + 1 < MAX_OPTIONS);
		if (o->name)
			*name++ = (struct option){ o->name,
						   has_value(o) ? required_argument : no_argument,
						   NULL, o->letter ? o->letter : NO_LETTER + i };
		if (o->letter)
			*letter++ = o->letter;
		if (o->letter && has_value(o))
			*letter++ = ':';
	}
	*letter = '\0';
	*name = (struct option){ NULL, 0, NULL, 0 };
}

/* Return the option for getopt's value @opt, which is valid. */
static const struct verb_option *find(const struct verb_option *options, int opt)
{
	if (opt >= NO_LETTER)
		return &options[opt - NO_LETTER];
	while (options->letter != opt)
		options++;
	return options;
}

static int take(const struct verb_option *o, void *verb)
{
	void *field = (char *)verb + o->field;

	switch (o->kind) {
	case VERB_OPTION_SWITCH:
		*(bool *)field = true;
		return 0;
	case VERB_OPTION_FLAG:
		*(unsigned int *)field |= o->flag;
		return 0;
	case VERB_OPTION_TEXT:
		*(const char **)field = optarg;
		return 0;
	case VERB_OPTION_CALL:
	case VERB_OPTION_CALL_VALUE:
		return o->call(verb, o, optarg);
	case VERB_OPTION_IGNORED:
		return 0;
	}
	return 0;
}

static void unknown_option(const char *word, const struct option *names)
{
	const char *typed = word + strspn(word, "-");
	struct guess guess;

	guess_begin(&guess, typed, strcspn(typed, "="));
	for (; names->name; names++)
		guess_try(&guess, names->name);
	if (guess.best)
		report_usage("unknown option '%s'; did you mean '--%s'?", word, guess.best);
	else
		report_usage("unknown option '%s'", word);
}

int verb_getopt(int argc, char **argv, const char *letters, const struct option *names)
{
	int opt = option_next(argc, argv, letters, names);

	if (opt >= -1)
		return opt;
	if (opt == OPTION_NEEDS_VALUE)
		report_usage("option '%s' needs an argument", option_word(argv));
	else if (opt == OPTION_TAKES_NO_VALUE)
		report_usage("option '%s' takes no argument", option_word(argv));
	else if (optopt)
		report_usage("unknown option '-%c'", optopt);
	else
		unknown_option(option_word(argv), names);
	return '?';
}

int verb_options_parse(int argc, char **argv, const struct verb_option *options, void *verb,
		       verb_getopt_fn *next)
{
	struct getopt_table table;
	int opt, status = 0;

	make_table(&table, options);
	while (!status && (opt = next(argc, argv, table.letters, table.names)) != -1)
		status = opt == '?' ? 1 : take(find(options, opt), verb);
	return status;
}
