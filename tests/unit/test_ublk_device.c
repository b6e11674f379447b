// SPDX-License-Identifier: GPL-2.0
/* The end of a device, with a play-actor for the kernel: what counts as a failure. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ublk/device.c"

/* ---- The kernel ---- */

static int stop_result, del_result;

static int answer(int ret, const char *what, struct error *err)
{
	return ret < 0 ? error_set_errno(err, ret, "%s", what) : 0;
}

int ublk_ctrl_stop(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	return answer(stop_result, "stopping it", err);
}

int ublk_ctrl_del(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	return answer(del_result, "deleting it", err);
}

int ublk_ctrl_open(struct ublk_ctrl **ctrl, struct error *err)
{
	*ctrl = NULL;
	return answer(-ENOENT, "open", err);
}

void ublk_ctrl_close(struct ublk_ctrl *ctrl)
{
	(void)ctrl;
}

int ublk_ctrl_add(struct ublk_ctrl *ctrl, struct ublk_dev_info *info, struct error *err)
{
	(void)ctrl;
	(void)info;
	return answer(-ENOENT, "add", err);
}

int ublk_ctrl_set_params(struct ublk_ctrl *ctrl, uint32_t dev_id,
			 const struct ublk_params_v2 *params, struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	(void)params;
	return answer(-ENOENT, "set", err);
}

int ublk_ctrl_start(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	return answer(-ENOENT, "start", err);
}

char *ublk_char_path(char buf[UBLK_PATH_LEN], uint32_t dev_id)
{
	(void)dev_id;
	return buf;
}

/* ---- Tests ---- */

static struct ublk_device *new_device(void)
{
	struct ublk_device *dev = calloc(1, sizeof(*dev));

	assert_non_null(dev);
	dev->char_fd = -1;
	return dev;
}

/* Stop and destroy a device; 0, or the first failure. */
static int end(int stop, int del, struct error *err)
{
	struct ublk_device *dev = new_device();
	int ret;

	stop_result = stop;
	del_result = del;
	ret = ublk_device_stop(dev, err);
	if (ret < 0) {
		device_free(dev);
		return ret;
	}
	return ublk_device_destroy(dev, err);
}

static void test_deleted_by_somebody_else(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(end(-ENODEV, -ENODEV, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(end(-ENODEV, -ENODEV, NULL), 0);
}

static void test_after_another_error(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, -EIO, "flush");
	assert_int_equal(end(-ENODEV, -ENODEV, &err), 0);
	assert_int_equal(end(-ETIMEDOUT, 0, &err), -ETIMEDOUT);
	assert_string_equal(error_text(&err), "flush");
	error_free(&err);
}

static void test_failures(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(end(-ETIMEDOUT, 0, &err), -ETIMEDOUT);
	assert_string_equal(error_text(&err), "stopping it: Connection timed out");
	error_free(&err);
	assert_int_equal(end(0, -EBUSY, &err), -EBUSY);
	assert_string_equal(error_text(&err), "deleting it: Device or resource busy");
	error_free(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deleted_by_somebody_else),
		cmocka_unit_test(test_after_another_error),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
