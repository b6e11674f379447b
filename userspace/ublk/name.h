/* SPDX-License-Identifier: GPL-2.0 */
/* Valid names of devices, which are also those of servers, their files and mappings. */
#ifndef QEDBLK_UBLK_NAME_H
#define QEDBLK_UBLK_NAME_H

#include <stdbool.h>

/* The uuid of a device's mapping is this prefix and its name. */
#define DM_UUID_OF_OURS "QED-"

/* Bytes. Device-mapper takes names of 127 and uuids of 128 bytes. */
#define DEVICE_NAME_MAX 124

/* The rule, for error messages. */
#define DEVICE_NAME_RULE "1 to 124 of A-Z a-z 0-9 # + . : = @ _ -, not . .. control"

/*
 * Return true for 1 to DEVICE_NAME_MAX of the characters that device-mapper does not
 * escape, so that NAME is also the name of its node; false for ".", ".." and
 * "control", which exist in /dev/mapper.
 */
bool device_name_is_valid(const char *name);

/*
 * Write to @buf the name, in the servers' directory, to which the server of device
 * @name binds its socket before it renames it to NAME.sock. It depends on @name alone
 * and differs between devices.
 */
#define DEVICE_SOCKET_LEN 32
void device_early_socket(char buf[DEVICE_SOCKET_LEN], const char *name);

#endif
