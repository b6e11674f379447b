/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server's account of itself, together with what the kernel knows of the
 * mapping: as JSON, or as lines for people.
 */
#ifndef QEDBLK_QEDCTL_SHOW_H
#define QEDBLK_QEDCTL_SHOW_H

#include "qedctl/qedctl.h"

/* Ask the server for @command ("status" or "info"), print its account.  Exit status. */
int show_account(const struct one_device_args *args, const char *command);

#endif
