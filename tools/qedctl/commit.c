// SPDX-License-Identifier: GPL-2.0
/* qedctl commit: merge images of the backing chain downwards. */
#include "cmdline/verbs.h"
#include "qedctl/job.h"
#include "qedctl/qedctl.h"

static const struct verb_option options[] = {
	OPT_TEXT(0, "top", struct job_options, top),
	JOB_OPTIONS,
	OPT_END,
};

static int run_commit(int argc, char **argv)
{
	return job_run_verb(argc, argv, options);
}

const struct verb ctl_commit_verb = {
	.name = "commit",
	.synopsis = "[OPTION...] NAME",
	.summary = "merge images of the backing chain downwards, live",
	.options = "  --top FILE     the file of the backing chain whose content goes down\n"
		   "  --base FILE    the file of the chain that gets it (default: the lowest one)\n"
		   "  --speed RATE   at most so many bytes a second (0: no limit)\n"
		   "  --wait         until it is done\n"
		   "  -p             wait, and show progress\n"
		   "  --pause, --resume, --cancel\n"
		   "                 of the commit that runs\n"
		   "  --json         print how it is, one JSON object\n"
		   "\nWhere a commit runs, --speed changes its speed and --wait waits for it.\n",
	.example = "qedctl commit --top snap2.qed --base snap1.qed -p vm1",
	.run = run_commit,
};
