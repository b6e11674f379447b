/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The name of an NBD export from its options.
 */
#ifndef QEDBLK_FILE_NBD_OPTIONS_H
#define QEDBLK_FILE_NBD_OPTIONS_H

#include "file/options.h"

/* The name_from() of struct blk_protocol. */
int nbd_name_from(struct blk_options *options, char **name, struct error *err);

#endif
