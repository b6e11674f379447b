/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server's status, joined with the kernel's state of the mapping: as JSON or as
 * text.
 */
#ifndef QEDBLK_QEDCTL_SHOW_H
#define QEDBLK_QEDCTL_SHOW_H

#include "qedctl/qedctl.h"

/*
 * Send @command ("status" or "info") to the server and print the result. Returns the
 * exit status.
 */
int show_account(const struct one_device_args *args, const char *command);

#endif
