// SPDX-License-Identifier: GPL-2.0
/* The end of a device, with a mock of the kernel: what counts as a failure. */
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

static struct ublk_dev_info dead_device;
static uint64_t dead_sectors;
static int busy_for, take_over_result, takes;

int ublk_ctrl_get_info(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_dev_info *info,
		       struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	(void)err;
	*info = dead_device;
	return 0;
}

bool ublk_device_waits(const struct ublk_dev_info *info)
{
	return info->flags & UBLK_F_USER_RECOVERY;
}

int ublk_ctrl_get_params(struct ublk_ctrl *ctrl, uint32_t dev_id, struct ublk_params_v2 *params,
			 struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	(void)err;
	*params = (struct ublk_params_v2){ .basic.dev_sectors = dead_sectors };
	return 0;
}

int ublk_ctrl_start_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	takes++;
	return answer(takes <= busy_for ? -EBUSY : take_over_result, "taking it over", err);
}

int ublk_ctrl_end_recovery(struct ublk_ctrl *ctrl, uint32_t dev_id, struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	return answer(-ENOENT, "going on", err);
}

static uint64_t features, updated_sectors;

int ublk_ctrl_get_features(struct ublk_ctrl *ctrl, uint64_t *known, struct error *err)
{
	(void)ctrl;
	(void)err;
	*known = features;
	return 0;
}

int ublk_ctrl_update_size(struct ublk_ctrl *ctrl, uint32_t dev_id, uint64_t sectors,
			  struct error *err)
{
	(void)ctrl;
	(void)dev_id;
	updated_sectors = sectors;
	return answer(sectors > 4096 ? -EINVAL : 0, "changing its size", err);
}

int ublk_write_back(uint32_t dev_id, struct error *err)
{
	(void)dev_id;
	(void)err;
	return 0;
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

/* Stop and destroy a device; return 0, or the first failure. */
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

static void test_what_is_not_taken_over(void **state)
{
	struct ublk_device *dev = new_device();
	struct ublk_device_opts opts = { .dev_id = 3, .limits.size = 1 << 20 };
	struct error err = ERROR_INIT;

	(void)state;
	dead_sectors = (1 << 20) / SECTOR_SIZE;
	assert_int_equal(check_taken(dev, &opts, &err), -EINVAL);
	assert_string_equal(error_text(&err), "ublk device 3 does not wait for a server");
	error_free(&err);
	dead_device.flags = UBLK_F_USER_RECOVERY;
	assert_int_equal(check_taken(dev, &opts, &err), 0);
	/* An image that was made larger just before the server died. */
	dead_sectors--;
	assert_int_equal(check_taken(dev, &opts, &err), 0);
	dead_sectors += 2;
	assert_int_equal(check_taken(dev, &opts, &err), -EINVAL);
	assert_string_equal(error_text(&err),
			    "ublk device 3 has 1049088 bytes, and its image 1048576");
	error_free(&err);
	device_free(dev);
}

static void test_resize(void **state)
{
	struct ublk_device *dev = new_device();
	struct error err = ERROR_INIT;

	(void)state;
	dev->params.basic.dev_sectors = 1024;
	features = UBLK_F_USER_COPY;
	assert_int_equal(ublk_device_resize(dev, 1 << 20, &err), -ENOTSUP);
	assert_non_null(strstr(error_text(&err), "Linux 6.16"));
	error_free(&err);
	assert_int_equal(updated_sectors, 0);
	features |= UBLK_F_UPDATE_SIZE;
	assert_int_equal(ublk_device_resize(dev, 512 << 10, &err), 0);
	assert_int_equal(updated_sectors, 0); /* it has that size */
	assert_int_equal(ublk_device_resize(dev, 1 << 20, &err), 0);
	assert_int_equal(updated_sectors, 2048);
	assert_int_equal(ublk_device_params(dev)->basic.dev_sectors, 2048);
	assert_int_equal(ublk_device_resize(dev, 1 << 30, &err), -EINVAL);
	assert_int_equal(ublk_device_params(dev)->basic.dev_sectors, 2048);
	error_free(&err);
	device_free(dev);
}

/* The kernel takes a moment to notice that a server died. */
static void test_taking_over_waits(void **state)
{
	struct ublk_device *dev = new_device();
	struct error err = ERROR_INIT;

	(void)state;
	busy_for = 3;
	assert_int_equal(begin_recovery(dev, &err), 0);
	assert_int_equal(takes, 4);
	assert_int_equal(err.code, 0);
	/* The successor died between the kernel's answer and its first fetch. */
	take_over_result = -EINVAL;
	assert_int_equal(begin_recovery(dev, &err), 0);
	assert_int_equal(err.code, 0);
	take_over_result = -ENODEV;
	assert_int_equal(begin_recovery(dev, &err), -ENODEV);
	assert_string_equal(error_text(&err), "taking it over: No such device");
	error_free(&err);
	device_free(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deleted_by_somebody_else),
		cmocka_unit_test(test_after_another_error),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_what_is_not_taken_over),
		cmocka_unit_test(test_taking_over_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
