// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl: QED images as block devices, at the command line.
 */
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"
#include "util/units.h"

#define VERB_ROW(name) &ctl_##name##_verb,
static const struct verb *const verbs[] = { CTL_VERBS(VERB_ROW) };

int main(int argc, char **argv)
{
	static const struct verb_table table = { "qedctl", "QED images as block devices.", verbs,
						 ARRAY_SIZE(verbs) };

	return verbs_main(&table, argc, argv);
}
