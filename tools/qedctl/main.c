// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl: QED images as block devices, at the command line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmdline/verbs.h"
#include "device/run_files.h"
#include "qedctl/qedctl.h"
#include "util/path.h"
#include "util/units.h"

#define VERB_ROW(name) &ctl_##name##_verb,
static const struct verb *const verbs[] = { CTL_VERBS(VERB_ROW) };

/*
 * Make $QEDBLK_RUN_DIR absolute: a successor starts in the dead server's directory, and what waits
 * for the last close of a device in "/".
 */
static int fix_run_dir(void)
{
	const char *dir = getenv(RUN_DIR_VARIABLE);
	char *full;
	int ret;

	if (!dir || !dir[0])
		return 0;
	full = path_absolute(dir);
	ret = full ? setenv(RUN_DIR_VARIABLE, full, 1) : -1;
	free(full);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct verb_table table = { "qedctl", "QED images as block devices.", verbs,
						 ARRAY_SIZE(verbs) };

	if (fix_run_dir()) {
		perror("qedctl: " RUN_DIR_VARIABLE);
		return 1;
	}
	return verbs_main(&table, argc, argv);
}
