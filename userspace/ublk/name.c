// SPDX-License-Identifier: GPL-2.0
/* Valid names of devices, which are also those of servers, their files and mappings. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ublk/ctrl.h"
#include "ublk/name.h"

bool device_name_is_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789#+.:=@_-";
	size_t len = strlen(name);

	return len && len <= DEVICE_NAME_MAX && strspn(name, allowed) == len && strcmp(name, ".") &&
	       strcmp(name, "..") && strcmp(name, "control");
}

void device_early_socket(char buf[DEVICE_SOCKET_LEN], const char *name)
{
	snprintf(buf, DEVICE_SOCKET_LEN, ".sock.%016" PRIx64, ublk_name_cookie(name));
}
