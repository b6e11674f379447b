/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What options say of an NBD export, as a name of it.
 */
#ifndef QEDBLK_FILE_NBD_OPTIONS_H
#define QEDBLK_FILE_NBD_OPTIONS_H

#include "file/options.h"

/* The blk_protocol function name_from(). */
int nbd_name_from(struct blk_options *options, char **name, struct error *err);

#endif
