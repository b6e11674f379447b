/* SPDX-License-Identifier: GPL-2.0 */
/* The names that devices can have: of servers, of their files, of mappings. */
#ifndef QEDBLK_UBLK_NAME_H
#define QEDBLK_UBLK_NAME_H

#include <stdbool.h>

/*
 * Bytes.  Device-mapper takes names of 127, but uuids of 128, and a mapping's is
 * "QED-" and the name.
 */
#define DEVICE_NAME_MAX 124

/* The rule, for the person. */
#define DEVICE_NAME_RULE "1 to 124 of A-Z a-z 0-9 # + . : = @ _ -, not . .. control"

/*
 * 1 to DEVICE_NAME_MAX of the characters that device-mapper takes as they are, so that
 * NAME and its node are the same word; not ".", ".." or "control", whose nodes are taken.
 */
bool device_name_is_valid(const char *name);

#endif
