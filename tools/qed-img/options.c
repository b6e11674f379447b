// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a verb: building the table for getopt_long(), and storing values in
 * the verb's struct.
 */
#include <assert.h>
#include <getopt.h>
#include <stdlib.h>

#include "image/object.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

/* The most options of a verb, including --help and the end of the table. */
#define MAX_OPTIONS 32

/* getopt's value of an option without a letter is this plus its index. */
#define NO_LETTER 256

struct getopt_table {
	char letters[2 * MAX_OPTIONS];
	struct option names[MAX_OPTIONS];
};

static bool has_value(const struct img_option *o)
{
	return o->kind == IMG_OPTION_TEXT || o->kind == IMG_OPTION_SIZE ||
	       o->kind == IMG_OPTION_LIST || o->kind == IMG_OPTION_CALL_VALUE ||
	       o->kind == IMG_OPTION_OBJECT;
}

static bool is_end(const struct img_option *o)
{
	return !o->letter && !o->name;
}

static void make_table(struct getopt_table *table, const struct img_option *options)
{
	struct option *name = table->names;
	char *letter = table->letters;
	int i;

	*name++ = (struct option){ "help", no_argument, NULL, 'h' };
	*letter++ = 'h';
	for (i = 0; !is_end(&options[i]); i++) {
		const struct img_option *o = &options[i];

		assert(i + 2 < MAX_OPTIONS);
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
static const struct img_option *find(const struct img_option *options, int opt)
{
	if (opt >= NO_LETTER)
		return &options[opt - NO_LETTER];
	while (options->letter != opt)
		options++;
	return options;
}

static int take(const struct img_option *o, void *verb)
{
	void *field = (char *)verb + o->field;

	switch (o->kind) {
	case IMG_OPTION_SWITCH:
		*(bool *)field = true;
		return 0;
	case IMG_OPTION_FLAG:
		*(unsigned int *)field |= o->flag;
		return 0;
	case IMG_OPTION_TEXT:
		*(const char **)field = optarg;
		return 0;
	case IMG_OPTION_SIZE:
		return img_parse_size(o->what, optarg, field);
	case IMG_OPTION_LIST:
		return img_options_add(field, optarg);
	case IMG_OPTION_CALL:
	case IMG_OPTION_CALL_VALUE:
		return o->call(verb, o, optarg);
	case IMG_OPTION_OBJECT:
		return object_option(optarg) ? 2 : 0;
	case IMG_OPTION_IGNORED:
		return 0;
	}
	return 0;
}

int img_parse_options(int argc, char **argv, const struct img_option *options, void *verb)
{
	struct getopt_table table;
	int opt, status = 0;

	make_table(&table, options);
	while (!status && (opt = img_getopt(argc, argv, table.letters, table.names)) != -1) {
		if (opt == '?')
			return 1;
		if (opt == 'h') {
			img_print_verb_help();
			exit(report_flush());
		}
		status = take(find(options, opt), verb);
	}
	return status;
}
