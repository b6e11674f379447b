// SPDX-License-Identifier: GPL-2.0
/* Zero detection: NEON version for 64-bit ARM; nothing on other CPUs. */
#include "block/zero.h"

#ifdef __aarch64__

#include <arm_neon.h>
#include <sys/auxv.h>
#include <asm/hwcap.h>

static inline bool neon_any(uint8x16_t v)
{
	return vmaxvq_u32(vreinterpretq_u32_u8(v)) != 0;
}

/*
 * The first and the last vector are read unaligned and cover the ragged ends; the
 * loop between them tests eight vectors per iteration at once.
 */
static bool is_zero_neon(const void *buf, size_t len)
{
	const unsigned char *p = buf, *end;
	uint8x16_t acc;

	if (len < 16)
		return zero_is_zero_short(p, len);

	end = p + len;
	acc = vorrq_u8(vld1q_u8(p), vld1q_u8(end - 16));
	if (neon_any(acc))
		return false;

	p += 16 - ((uintptr_t)p & 15);
	for (; end - p >= 128; p += 128) {
		uint8x16_t a = vorrq_u8(vld1q_u8(p), vld1q_u8(p + 16));
		uint8x16_t b = vorrq_u8(vld1q_u8(p + 32), vld1q_u8(p + 48));
		uint8x16_t c = vorrq_u8(vld1q_u8(p + 64), vld1q_u8(p + 80));
		uint8x16_t d = vorrq_u8(vld1q_u8(p + 96), vld1q_u8(p + 112));

		if (neon_any(vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d))))
			return false;
	}
	for (; end - p >= 16; p += 16)
		acc = vorrq_u8(acc, vld1q_u8(p));
	return !neon_any(acc);
}

static bool have_neon(void)
{
	return getauxval(AT_HWCAP) & HWCAP_ASIMD;
}

const struct zero_impl zero_arch_impls[] = {
	{ "neon", is_zero_neon, have_neon, have_neon },
	{ .name = NULL },
};

#endif
