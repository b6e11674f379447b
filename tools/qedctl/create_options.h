/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of `qedctl create`, and the server's derived from it. */
#ifndef QEDBLK_QEDCTL_CREATE_OPTIONS_H
#define QEDBLK_QEDCTL_CREATE_OPTIONS_H

#include <stddef.h>

#include "device/options.h"
#include "qedctl/qed_target.h"

struct create_options {
	const char *name; /* points into argv */
	char *image; /* absolute */
	struct device_options device;
	struct target_choice target;
	char **server; /* the server's arguments, NULL-terminated */
	size_t server_count;
};

/* Print the options for `qedctl create --help`. */
void create_options_print_help(FILE *to);

/*
 * Parse the command line into @opts. Returns 0, or 1 after an error line. The caller
 * frees @opts by create_options_free() in both cases.
 */
int create_options_parse(int argc, char **argv, struct create_options *opts);

/*
 * Add the server's --detect-zeroes, once the target is chosen. Returns 0, or 1 after
 * an error line.
 */
int create_options_set_server_mode(struct create_options *opts);
void create_options_free(struct create_options *opts);

#endif
