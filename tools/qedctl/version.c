// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl version: print the versions of this program, of libdevmapper and of the
 * kernel's driver.
 */
#include <stdio.h>

#include "client/json.h"
#include "cmdline/report.h"
#include "util/version.h"
#include "qedctl/dm.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"

static int run_version(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	char library[64], driver[64];
	bool json, none;

	if (parse_json_only(argc, argv, &json))
		return 1;
	mapping_library_version(library, sizeof(library));
	none = mapping_driver_version(driver, sizeof(driver), &err);
	if (json) {
		json_t *object = json_pack("{s:s,s:s,s:s*}", "qedctl", QEDBLK_VERSION,
					   "libdevmapper", library, "device-mapper",
					   none ? NULL : driver);

		json_print(object);
		json_decref(object);
	} else {
		printf("qedctl %s\nlibdevmapper %s\n", QEDBLK_VERSION, library);
		print_line("device-mapper%s %s", none ? ":" : "", none ? error_text(&err) : driver);
	}
	error_free(&err);
	return 0;
}

const struct verb ctl_version_verb = {
	.name = "version",
	.synopsis = "[--json]",
	.summary = "versions of this program, of libdevmapper and of the kernel's part",
	.options = "  --json  one JSON object\n",
	.example = "qedctl version",
	.run = run_version,
};
