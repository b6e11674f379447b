// SPDX-License-Identifier: GPL-2.0
/* getopt_long() that tells errors apart and prints none. */
#include <stdio.h>
#include <string.h>

#include "util/getopt.h"

int option_next(int argc, char **argv, const char *letters, const struct option *names)
{
	/* "+" (operands end the options) must stay in front of the colon. */
	int in_order = letters[0] == '+';
	char with_colon[128];
	int opt;

	/* The colon makes getopt distinguish a missing value from an unknown option. */
	snprintf(with_colon, sizeof(with_colon), "%s:%s", in_order ? "+" : "", letters + in_order);
	opterr = 0;
	opt = getopt_long(argc, argv, with_colon, names, NULL);
	if (opt == ':')
		return OPTION_NEEDS_VALUE;
	if (opt != '?')
		return opt;
	/* optopt is 0 for an unknown long option, and its value for one that takes no value. */
	return optopt && !strncmp(option_word(argv), "--", 2) && strchr(option_word(argv), '=') ?
		       OPTION_TAKES_NO_VALUE :
		       OPTION_UNKNOWN;
}
