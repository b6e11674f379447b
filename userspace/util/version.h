/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The version that every program prints.
 */
#ifndef QEDBLK_UTIL_VERSION_H
#define QEDBLK_UTIL_VERSION_H

#define QEDBLK_VERSION "0.1"

#endif
