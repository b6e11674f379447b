/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of qedd. */
#ifndef QEDBLK_SERVER_OPTIONS_H
#define QEDBLK_SERVER_OPTIONS_H

#include "device/options.h"

/*
 * Fill @options from a command line; its strings point into @argv. Returns 0, or
 * -EINVAL with an error line that names the option.
 */
int options_parse(struct device_options *options, int argc, char **argv, struct error *err);

void options_print_help(FILE *to);

#endif
