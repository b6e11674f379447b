/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The version that every program prints.
 */
#ifndef QEDBLK_TOOLS_VERSION_H
#define QEDBLK_TOOLS_VERSION_H

#define QEDBLK_VERSION "0.1"

#endif
