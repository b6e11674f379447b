/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Servers that the kernel knows: by its ublk devices, and not by files that may be gone, or in
 * another directory than $QEDBLK_RUN_DIR. Only root may see them; another user finds none.
 */
#ifndef QEDBLK_QEDCTL_LIVE_SERVER_H
#define QEDBLK_QEDCTL_LIVE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum live_socket {
	SOCKET_HERE, /* there is one where it is looked for */
	SOCKET_GONE, /* the server's control socket was removed */
	SOCKET_ELSEWHERE, /* its directory is another one */
};

struct live_server {
	bool has_device; /* a ublk device of that name has a server, or waits for one */
	uint32_t dev_id; /* of the ublk device */
	pid_t pid; /* 0: no server lives */
	enum live_socket socket;
	char *dir; /* the directory of its files, as this process can open it */
	char *image; /* as its options name it, or NULL */
};

/* Find the server of device @name, whether it replies or not. For live_server_free(). */
void live_server_find(const char *name, struct live_server *server);
void live_server_free(struct live_server *server);

/*
 * Return the names of the devices of all live servers, in a NULL-terminated array, or NULL. The
 * caller frees the names and the array.
 */
char **live_server_names(void);

#endif
