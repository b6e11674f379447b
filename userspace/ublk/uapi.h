/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's ublk interface, independent of the version of the installed headers.
 *
 * <linux/ublk_cmd.h> of Debian 12 is that of Linux 6.1. Later constants are defined
 * here by value. Structures that grew later are defined here under other names, since
 * the preprocessor cannot test for a field.
 */
#ifndef QEDBLK_UBLK_UAPI_H
#define QEDBLK_UBLK_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/ublk_cmd.h>

/* Control commands with ioctl encoding (Linux 6.4), the only form used here. */
#ifndef UBLK_U_CMD_GET_DEV_INFO
#define UBLK_U_CMD_GET_DEV_INFO	       _IOR('u', 0x02, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_ADD_DEV	       _IOWR('u', 0x04, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_DEL_DEV	       _IOWR('u', 0x05, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_START_DEV	       _IOWR('u', 0x06, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_STOP_DEV	       _IOWR('u', 0x07, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_SET_PARAMS	       _IOWR('u', 0x08, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_GET_PARAMS	       _IOR('u', 0x09, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_START_USER_RECOVERY _IOWR('u', 0x10, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_END_USER_RECOVERY   _IOWR('u', 0x11, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_GET_FEATURES /* 6.5 */
#define UBLK_U_CMD_GET_FEATURES _IOR('u', 0x13, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_DEL_DEV_ASYNC /* 6.7 */
#define UBLK_U_CMD_DEL_DEV_ASYNC _IOR('u', 0x14, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_UPDATE_SIZE /* 6.16 */
#define UBLK_U_CMD_UPDATE_SIZE _IOWR('u', 0x15, struct ublksrv_ctrl_cmd)
#endif

/* Commands on the data rings. */
#ifndef UBLK_U_IO_FETCH_REQ
#define UBLK_U_IO_FETCH_REQ	       _IOWR('u', 0x20, struct ublksrv_io_cmd)
#define UBLK_U_IO_COMMIT_AND_FETCH_REQ _IOWR('u', 0x21, struct ublksrv_io_cmd)
#endif

#ifndef UBLK_FEATURES_LEN
#define UBLK_FEATURES_LEN 8
#endif

#ifndef UBLK_F_UNPRIVILEGED_DEV /* 6.3 */
#define UBLK_F_UNPRIVILEGED_DEV (1ULL << 5)
#endif
#ifndef UBLK_F_CMD_IOCTL_ENCODE /* 6.4 */
#define UBLK_F_CMD_IOCTL_ENCODE (1ULL << 6)
#endif
#ifndef UBLK_F_USER_COPY /* 6.5 */
#define UBLK_F_USER_COPY (1ULL << 7)
#endif
#ifndef UBLK_F_ZONED /* 6.6 */
#define UBLK_F_ZONED (1ULL << 8)
#endif
#ifndef UBLK_F_USER_RECOVERY_FAIL_IO /* 6.13 */
#define UBLK_F_USER_RECOVERY_FAIL_IO (1ULL << 9)
#endif
#ifndef UBLK_F_UPDATE_SIZE /* 6.16 */
#define UBLK_F_UPDATE_SIZE (1ULL << 10)
#endif
#ifndef UBLK_F_AUTO_BUF_REG /* 6.16 */
#define UBLK_F_AUTO_BUF_REG (1ULL << 11)
#endif
#ifndef UBLK_F_QUIESCE /* 6.16 */
#define UBLK_F_QUIESCE (1ULL << 12)
#endif
#ifndef UBLK_F_PER_IO_DAEMON /* 6.16 */
#define UBLK_F_PER_IO_DAEMON (1ULL << 13)
#endif
#ifndef UBLK_F_BUF_REG_OFF_DAEMON /* 6.17 */
#define UBLK_F_BUF_REG_OFF_DAEMON (1ULL << 14)
#endif
#ifndef UBLK_F_BATCH_IO /* 7.0 */
#define UBLK_F_BATCH_IO (1ULL << 15)
#endif
#ifndef UBLK_F_INTEGRITY /* 7.0 */
#define UBLK_F_INTEGRITY (1ULL << 16)
#endif
#ifndef UBLK_F_SAFE_STOP_DEV /* 7.0 */
#define UBLK_F_SAFE_STOP_DEV (1ULL << 17)
#endif
#ifndef UBLK_F_NO_AUTO_PART_SCAN /* 7.0 */
#define UBLK_F_NO_AUTO_PART_SCAN (1ULL << 18)
#endif
#ifndef UBLK_F_SHMEM_ZC /* 7.1 */
#define UBLK_F_SHMEM_ZC (1ULL << 19)
#endif

/* A state like UBLK_S_DEV_QUIESCED, without a server, in which requests fail (Linux 6.13). */
#define UBLK_STATE_FAIL_IO 3

#ifndef UBLK_PARAM_TYPE_DMA_ALIGN
#define UBLK_PARAM_TYPE_DMA_ALIGN (1 << 4)
#endif

/* struct ublksrv_ctrl_cmd with the fields that 6.1's header calls data[1]. */
struct ublk_ctrl_cmd_v2 {
	__u32 dev_id;
	__u16 queue_id; /* 0xffff: no particular queue */
	__u16 len;
	__u64 addr;
	__u64 data;
	__u16 dev_path_len; /* GET_DEV_INFO2: bytes of path at the front of the buffer */
	__u16 pad;
	__u32 reserved;
};
_Static_assert(sizeof(struct ublk_ctrl_cmd_v2) == sizeof(struct ublksrv_ctrl_cmd),
	       "the command is part of its ioctl number");
_Static_assert(sizeof(struct ublksrv_io_cmd) == 16, "must fit the end of a 64-byte SQE");

/* The beginning of struct ublk_params; the kernel copies the part that both sides know, by @len. */
struct ublk_params_v2 {
	__u32 len;
	__u32 types; /* UBLK_PARAM_TYPE_* */
	struct ublk_param_basic basic;
	struct ublk_param_discard discard;
	struct {
		__u32 char_major, char_minor;
		__u32 disk_major, disk_minor;
	} devt; /* filled by GET_PARAMS once the device is started */
	struct {
		__u32 max_open_zones, max_active_zones, max_zone_append_sectors;
		__u8 reserved[20];
	} zoned;
	struct {
		__u32 alignment; /* a mask: bytes - 1 */
		__u8 pad[4];
	} dma;
};

#endif
