// SPDX-License-Identifier: GPL-2.0
/* Limits of block devices, and other pure functions of the ublk layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ublk/params.h"
#include "ublk/ctrl.h"
#include "util/units.h"

static const struct ublk_limits usual = {
	.size = 10 * GiB,
	.cluster_size = 64 * KiB,
	.file_align = 512,
	.mem_align = 512,
	.max_io_bytes = 512 * KiB,
	.discard = true,
};

/* The kernel's own requirements, and the conditions under which it silently ignores parts. */
static void check_sane(const struct ublk_params_v2 *p)
{
	assert_int_equal(p->len, sizeof(*p));
	assert_true(p->types & UBLK_PARAM_TYPE_BASIC);
	assert_true(p->basic.logical_bs_shift >= 9);
	assert_true(p->basic.logical_bs_shift <= p->basic.physical_bs_shift);
	assert_true(p->types & UBLK_PARAM_TYPE_DISCARD);
	assert_true(p->discard.discard_granularity);
	assert_true(!p->discard.max_discard_sectors || p->discard.max_discard_segments == 1);
	/* The result is an s32. */
	assert_true((uint64_t)p->discard.max_discard_sectors * 512 < 2 * GiB);
	assert_true((uint64_t)p->discard.max_write_zeroes_sectors * 512 < 2 * GiB);
	if (p->basic.attrs & UBLK_ATTR_FUA)
		assert_true(p->basic.attrs & UBLK_ATTR_VOLATILE_CACHE);
	if (p->types & UBLK_PARAM_TYPE_DMA_ALIGN) {
		assert_true(p->dma.alignment < 4096);
		assert_true(is_power_of_2(p->dma.alignment + 1));
	}
}

static void test_usual(void **state)
{
	struct ublk_params_v2 p;

	(void)state;
	ublk_params_fill(&p, &usual);
	check_sane(&p);
	assert_int_equal(p.basic.dev_sectors, 10 * GiB / 512);
	assert_int_equal(p.basic.logical_bs_shift, 9);
	assert_int_equal(p.basic.physical_bs_shift, 12);
	assert_int_equal(1u << p.basic.io_opt_shift, 64 * KiB);
	assert_int_equal(p.basic.max_sectors, 1024);
	assert_int_equal(p.basic.attrs, UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA);
	assert_int_equal(p.discard.discard_granularity, 64 * KiB);
	assert_int_equal(p.discard.max_discard_sectors, GiB / 512);
	assert_int_equal(p.discard.max_write_zeroes_sectors, GiB / 512);
	assert_int_equal(p.dma.alignment, 511);
}

static void test_variants(void **state)
{
	struct ublk_limits l = usual;
	struct ublk_params_v2 p;

	(void)state;
	for (l.cluster_size = 4 * KiB; l.cluster_size <= 64 * MiB; l.cluster_size *= 2) {
		for (l.file_align = 1; l.file_align <= 64 * KiB; l.file_align *= 2) {
			l.mem_align = min_u64(l.file_align, 4096);
			ublk_params_fill(&p, &l);
			check_sane(&p);
			assert_true(1u << p.basic.physical_bs_shift >= l.file_align);
			assert_true(p.discard.discard_granularity >= l.cluster_size);
		}
	}
	l = usual;
	l.read_only = true;
	ublk_params_fill(&p, &l);
	check_sane(&p);
	assert_true(p.basic.attrs & UBLK_ATTR_READ_ONLY);
	assert_int_equal(p.discard.max_discard_sectors, 0);
	assert_int_equal(p.discard.max_write_zeroes_sectors, 0);

	l = usual;
	l.discard = false;
	ublk_params_fill(&p, &l);
	check_sane(&p);
	assert_int_equal(p.discard.max_discard_sectors, 0);
	assert_int_equal(p.discard.max_write_zeroes_sectors, GiB / 512);

	l = (struct ublk_limits){ .size = 1023, .max_io_bytes = 4096 };
	ublk_params_fill(&p, &l);
	check_sane(&p);
	assert_int_equal(p.basic.dev_sectors, 1);
}

static void collect(void *arg, const char *name)
{
	strcat(arg, name);
	strcat(arg, " ");
}

static void test_names(void **state)
{
	char text[256] = "", path[UBLK_PATH_LEN];

	(void)state;
	ublk_for_each_feature(UBLK_F_USER_RECOVERY | UBLK_F_QUIESCE | UBLK_F_SHMEM_ZC | 1ULL << 63,
			      collect, text);
	assert_string_equal(text, "USER_RECOVERY QUIESCE SHMEM_ZC bit63 ");
	assert_string_equal(ublk_block_path(path, UINT32_MAX), "/dev/ublkb4294967295");
	assert_int_not_equal(ublk_name_cookie("vm1"), ublk_name_cookie("vm2"));
	assert_int_equal(ublk_name_cookie("vm1"), ublk_name_cookie("vm1"));
}

static void test_server_is_gone(void **state)
{
	struct ublk_dev_info info = { .state = UBLK_S_DEV_LIVE, .server_pid = getpid() };

	(void)state;
	assert_false(ublk_server_is_gone(&info));
	info.server_pid = 0x7ffffffe; /* above any pid_max */
	assert_true(ublk_server_is_gone(&info));
	info.server_pid = -1;
	assert_false(ublk_server_is_gone(&info));
	info.state = UBLK_S_DEV_DEAD;
	assert_true(ublk_server_is_gone(&info));
	info.server_pid = getpid(); /* added, not yet started */
	assert_false(ublk_server_is_gone(&info));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual),
		cmocka_unit_test(test_variants),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_server_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
