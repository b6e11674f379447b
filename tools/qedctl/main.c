// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl: QED images as block devices, at the command line.
 */
#include "cmdline/verbs.h"
#include "qedctl/qedctl.h"
#include "util/units.h"

static const struct verb *const verbs[] = {
	&ctl_create_verb,  &ctl_remove_verb, &ctl_recover_verb,	 &ctl_ls_verb,
	&ctl_info_verb,	   &ctl_status_verb, &ctl_stats_verb,	 &ctl_stream_verb,
	&ctl_trace_verb,   &ctl_table_verb,  &ctl_message_verb,	 &ctl_reload_verb,
	&ctl_suspend_verb, &ctl_resume_verb, &ctl_features_verb, &ctl_version_verb,
};

int main(int argc, char **argv)
{
	static const struct verb_table table = { "qedctl", "QED images as block devices.", verbs,
						 ARRAY_SIZE(verbs) };

	return verbs_main(&table, argc, argv);
}
