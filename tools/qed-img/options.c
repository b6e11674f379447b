// SPDX-License-Identifier: GPL-2.0
/* Options of several verbs: help, sizes, -o and --object. */
#include <stdlib.h>

#include "cmdline/report.h"
#include "image/object.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

int img_take_help(void *verb, const struct verb_option *option, const char *value)
{
	(void)verb, (void)option, (void)value;
	img_print_verb_help();
	exit(report_flush());
}

int img_take_size(void *verb, const struct verb_option *option, const char *value)
{
	return img_parse_size(option->what, value, (uint64_t *)((char *)verb + option->field));
}

int img_take_list(void *verb, const struct verb_option *option, const char *value)
{
	return img_options_add((char **)((char *)verb + option->field), value);
}

int img_take_object(void *verb, const struct verb_option *option, const char *value)
{
	(void)verb, (void)option;
	return object_option(value) ? 2 : 0;
}

int img_parse_options(int argc, char **argv, const struct verb_option *options, void *verb)
{
	return verb_options_parse(argc, argv, options, verb, img_getopt);
}
