// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl version: print the versions of this program, of libdevmapper and of the
 * kernel's driver.
 */
#include <stdio.h>

#include "cmdline/report.h"
#include "util/version.h"
#include "qedctl/dm.h"
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"

static int run_version(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	char version[64];

	(void)argv;
	if (argc > 1)
		return report_error("unexpected argument '%s'", argv[1]);
	printf("qedctl %s\n", QEDBLK_VERSION);
	printf("libdevmapper %s\n", mapping_library_version(version, sizeof(version)));
	if (mapping_driver_version(version, sizeof(version), &err))
		printf("device-mapper: %s\n", error_text(&err));
	else
		printf("device-mapper %s\n", version);
	error_free(&err);
	return 0;
}

const struct verb ctl_version_verb = {
	.name = "version",
	.synopsis = "",
	.summary = "versions of this program, of libdevmapper and of the kernel's part",
	.example = "qedctl version",
	.run = run_version,
};
