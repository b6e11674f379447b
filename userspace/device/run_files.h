/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What qedd and qedctl agree on: where the files of a server are, what they are called, and the
 * words for a server's state.
 */
#ifndef QEDBLK_DEVICE_RUN_FILES_H
#define QEDBLK_DEVICE_RUN_FILES_H

/* The folder of all servers' files; the variable names another one. */
#define RUN_DIR		 "/run/qedblk"
#define RUN_DIR_VARIABLE "QEDBLK_RUN_DIR"

/* NAME and one of these is a file of device NAME. */
#define RUN_LOCK	    ".lock" /* locked while the server lives; holds its process number */
#define RUN_SOCKET	    ".sock" /* the control socket */
#define RUN_DESCRIPTION	    ".json" /* what the server serves, and the options for a successor */
#define RUN_DESCRIPTION_NEW ".json.new" /* the same while it is written */
#define RUN_RESCUE	    ".rescue" /* what was answered and is not yet in the image */

/* Values of "state" in what the control socket's status answers. */
#define SERVER_STATE_LIVE     "live"
#define SERVER_STATE_STOPPING "stopping"

#endif
