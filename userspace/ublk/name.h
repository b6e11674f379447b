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

/*
 * Under what name, in the servers' directory, the server of device @name binds its socket before
 * it is reachable as NAME.sock.  Always the same, and not that of another device.
 */
#define DEVICE_SOCKET_LEN 32
void device_early_socket(char buf[DEVICE_SOCKET_LEN], const char *name);

#endif
