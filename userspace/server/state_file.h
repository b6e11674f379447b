/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NAME.json: the description of a server, for tools and for its successor. It is
 * rewritten whenever the options for a successor change.
 *
 *	{
 *	 "name": "vm1",				of the device
 *	 "image": "/images/vm1.qed",		absolute, or a URL
 *	 "dev-id": 3,				the ublk device's number
 *	 "device": "/dev/ublkb3",		its block device
 *	 "pid": 1234,				the server's; null: it ended in order, all that
 *						was written is in the image, and a mapping stays
 *	 "options": ["--name=vm1",		what `qedctl recover` starts a successor with,
 *	  "--image=/images/vm1.qed",		and --recover: the options as given, but for those
 *	  "--detect-zeroes=unmap",		that a command has changed, and the stream that is
 *	  "--stream", {"hex": "2d2d..ff"}],	not finished (enum device_successor)
 *	 "directory": "/root"			relative names in the options are relative to it
 *	}
 *
 * JSON is UTF-8, and names of files are bytes: an option or directory that is not UTF-8 is an
 * object, {"hex": DIGITS}, two digits a byte. In "image", for display only, such bytes are
 * replacement characters.
 */
#ifndef QEDBLK_SERVER_STATE_FILE_H
#define QEDBLK_SERVER_STATE_FILE_H

#include "util/error.h"

struct server;

/*
 * Write NAME.json. Blocks, on a file system in memory. Main loop's thread. Returns 0
 * or a negative errno with an error line.
 */
int state_file_write(struct server *server, struct error *err);

/* The same, but log an error. */
void state_file_refresh(struct server *server);

#endif
