/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All external declarations of the pure files (zero-run, zero-map). They include
 * nothing else, so that one source builds for the module, for KUnit's kernel, and for
 * a user-space program.
 */
#ifndef DM_QED_PURE_H
#define DM_QED_PURE_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include "pure_user.h"
#endif

#endif
