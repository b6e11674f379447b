/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Options that all image tools take as QEMU's do: --object and --trace.
 */
#ifndef QEDBLK_TOOLS_OBJECT_H
#define QEDBLK_TOOLS_OBJECT_H

/*
 * Make the object of an --object option: TYPE,id=ID,NAME=VALUE,... or a JSON object.  Types are
 * secret, tls-creds-x509, tls-creds-psk and tls-creds-anon.  Images' options refer to it
 * by its id.  Returns 0, or 1 after a complaint.  For help (TYPE,help) it ends the program.
 */
int object_option(const char *text);

/*
 * Look at a --trace option.  There are no trace events here, so that a name of one is
 * warned of, and all else has no effect.  Returns 0, or 1 after a complaint.
 */
int trace_option(const char *text);

#endif
