/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels that the target builds for, 6.1 to 7.x. No other
 * file of the target checks versions.
 */
#ifndef DM_QED_COMPAT_H
#define DM_QED_COMPAT_H

#include <linux/blk_types.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/version.h>

/* 6.6 */
#ifndef module_dm
#define module_dm(name)                                      \
	static int __init dm_##name##_init(void)             \
	{                                                    \
		return dm_register_target(&(name##_target)); \
	}                                                    \
	module_init(dm_##name##_init);                       \
	static void __exit dm_##name##_exit(void)            \
	{                                                    \
		dm_unregister_target(&(name##_target));      \
	}                                                    \
	module_exit(dm_##name##_exit)
#endif

/* 6.11; earlier kernels have no atomic writes */
#ifndef REQ_ATOMIC
#define REQ_ATOMIC ((__force blk_opf_t)0)
#endif

/* The head of a ->prepare_ioctl function @name, with the parameter @bdev to fill. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define QED_PREPARE_IOCTL(name, ti, bdev)                                                   \
	static int name(struct dm_target *ti, struct block_device **bdev, unsigned int cmd, \
			unsigned long arg, bool *forward)
#else
#define QED_PREPARE_IOCTL(name, ti, bdev) \
	static int name(struct dm_target *ti, struct block_device **bdev)
#endif

#endif
