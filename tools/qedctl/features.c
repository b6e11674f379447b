// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl features: what this kernel's ublk and device-mapper offer.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "qedctl/dm.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"
#include "ublk/ctrl.h"

static void add_feature(void *arg, const char *name)
{
	json_array_append_new(arg, json_string(name));
}

/* {"available", "reason" where not, "features"} */
static json_t *ublk_offers(void)
{
	json_t *names = json_array();
	struct error err = ERROR_INIT;
	struct ublk_ctrl *ctrl;
	uint64_t flags = 0;
	json_t *object;
	int ret;

	ret = ublk_ctrl_open(&ctrl, &err);
	if (!ret) {
		ret = ublk_ctrl_get_features(ctrl, &flags, &err);
		ublk_ctrl_close(ctrl);
	}
	if (!ret)
		ublk_for_each_feature(flags, add_feature, names);
	object = json_pack("{s:b,s:o}", "available", !ret, "features", names);
	if (ret)
		json_object_set_new(object, "reason", json_string(error_text(&err)));
	error_free(&err);
	return object;
}

static void add_target(void *arg, const char *name, const uint32_t version[3])
{
	json_t *targets = arg;
	char text[40];

	snprintf(text, sizeof(text), "%u.%u.%u", version[0], version[1], version[2]);
	json_object_set_new(targets, name, json_string(text));
}

/* {"available", "reason" where not, "library", "driver", "udev", "targets": {name: version}} */
static json_t *dm_offers(void)
{
	json_t *targets = json_object(), *object;
	struct error err = ERROR_INIT;
	char library[64], driver[64] = "";
	int ret;

	ret = mapping_driver_version(driver, sizeof(driver), &err);
	if (!ret)
		ret = mapping_each_target(add_target, targets, &err);
	object = json_pack("{s:b,s:s,s:s,s:b,s:o}", "available", !ret, "library",
			   mapping_library_version(library, sizeof(library)), "driver", driver,
			   "udev", mapping_udev_runs(), "targets", targets);
	if (ret)
		json_object_set_new(object, "reason", json_string(error_text(&err)));
	error_free(&err);
	return object;
}

/* What any user may see: {"available"}, and of device-mapper the library, too. */
static json_t *visible_ublk(void)
{
	return json_pack("{s:b}", "available", !access(UBLK_CONTROL_PATH, F_OK));
}

static json_t *visible_dm(void)
{
	char library[64], path[512];

	snprintf(path, sizeof(path), "%s/control", mapping_node_dir());
	return json_pack("{s:b,s:s}", "available", !access(path, F_OK), "library",
			 mapping_library_version(library, sizeof(library)));
}

static void print_visible(json_t *ublk, json_t *dm)
{
	printf("ublk           %s\n", json_get_bool(ublk, "available", false) ?
					      "there is; its features are shown to root" :
					      "none, or not loaded yet");
	printf("device-mapper  %s, library %s\n",
	       json_get_bool(dm, "available", false) ? "there is; its targets are shown to root" :
						       "none, or not loaded yet",
	       json_get_string(dm, "library", ""));
}

static void print_ublk(json_t *ublk)
{
	json_t *name;
	size_t i;

	if (!json_get_bool(ublk, "available", false)) {
		printf("ublk           none: %s\n", json_get_string(ublk, "reason", "unknown"));
		return;
	}
	printf("ublk          ");
	json_array_foreach(json_object_get(ublk, "features"), i, name)
		printf(" %s", json_string_value(name));
	putchar('\n');
}

static void print_dm(json_t *dm)
{
	json_t *version;
	const char *name;

	if (!json_get_bool(dm, "available", false)) {
		printf("device-mapper  none: %s\n", json_get_string(dm, "reason", "unknown"));
		return;
	}
	printf("device-mapper  %s, library %s, udev %s; targets", json_get_string(dm, "driver", ""),
	       json_get_string(dm, "library", ""),
	       json_get_bool(dm, "udev", false) ? "runs" : "does not run");
	json_object_foreach(json_object_get(dm, "targets"), name, version)
		printf(" %s", name);
	putchar('\n');
}

static int run_features(int argc, char **argv)
{
	json_t *ublk, *dm, *all;
	struct utsname kernel;
	bool json, root = !geteuid();

	if (parse_json_only(argc, argv, &json))
		return 1;
	if (uname(&kernel) < 0)
		return report_error("uname: %m");
	ublk = root ? ublk_offers() : visible_ublk();
	dm = root ? dm_offers() : visible_dm();
	if (json) {
		all = json_pack("{s:s,s:O,s:O}", "kernel", kernel.release, "ublk", ublk,
				"device-mapper", dm);
		json_print(all);
		json_decref(all);
	} else {
		printf("kernel         %s\n", kernel.release);
		if (root) {
			print_ublk(ublk);
			print_dm(dm);
		} else {
			print_visible(ublk, dm);
		}
	}
	json_decref(ublk);
	json_decref(dm);
	return 0;
}

const struct verb ctl_features_verb = {
	.name = "features",
	.synopsis = "[--json]",
	.summary = "what this kernel's ublk and device-mapper offer",
	.options = VERB_JSON_HELP,
	.example = "qedctl features --json",
	.run = run_features,
};
