/* SPDX-License-Identifier: GPL-2.0 */
/* Options that all image tools have in common with QEMU's: --object and --trace. */
#ifndef QEDBLK_IMAGE_OBJECT_H
#define QEDBLK_IMAGE_OBJECT_H

/*
 * Create the object of an --object option: TYPE,id=ID,NAME=VALUE,... or a JSON object. Types
 * are secret, tls-creds-x509, tls-creds-psk and tls-creds-anon. Options of images refer to it
 * by its id. Returns 0, or 1 after an error message. For help (TYPE,help) it exits.
 */
int object_option(const char *text);

/*
 * Check a --trace option. There are no trace events here: warn about a name of one and
 * ignore the rest. Returns 0, or 1 after an error message.
 */
int trace_option(const char *text);

#endif
