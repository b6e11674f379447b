/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names common to qedd and qedctl: the directory and the names of a server's files,
 * and the values of a server's state.
 */
#ifndef QEDBLK_DEVICE_RUN_FILES_H
#define QEDBLK_DEVICE_RUN_FILES_H

/* The directory of all servers' files, and the environment variable that overrides it. */
#define RUN_DIR		 "/run/qedblk"
#define RUN_DIR_VARIABLE "QEDBLK_RUN_DIR"

/* Suffixes of the files of device NAME. */
#define RUN_LOCK	    ".lock" /* locked while the server lives; has its pid */
#define RUN_SOCKET	    ".sock" /* the control socket */
#define RUN_DESCRIPTION	    ".json" /* the server's description, with the options for a successor */
#define RUN_DESCRIPTION_NEW ".json.new" /* the same while it is written */
/* Completed requests that are not yet committed to the image. */
#define RUN_RESCUE     ".rescue"
#define RUN_PARTITIONS ".partitions" /* what the partition table says of mapped partitions */

/* Values of "state" in the reply to the command `status`. */
#define SERVER_STATE_LIVE     "live"
#define SERVER_STATE_STOPPING "stopping"

#endif
