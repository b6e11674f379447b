// SPDX-License-Identifier: GPL-2.0
/* qedctl stream: populate the image from its backing file. */
#include "cmdline/verbs.h"
#include "qedctl/job.h"
#include "qedctl/qedctl.h"

static const struct verb_option options[] = { JOB_OPTIONS, OPT_END };

static int run_stream(int argc, char **argv)
{
	return job_run_verb(argc, argv, options);
}

const struct verb ctl_stream_verb = {
	.name = "stream",
	.synopsis = "[OPTION...] NAME",
	.summary = "fill the image from its backing file, then do without it",
	.options = "  --base FILE    a file of the backing chain that stays\n"
		   "  --speed RATE   at most so many bytes a second from the source (0: no limit)\n"
		   "  --wait         until it is done\n"
		   "  -p             wait, and show progress\n"
		   "  --pause, --resume, --cancel\n"
		   "                 of the stream that runs\n"
		   "  --json         print how it is, one JSON object\n"
		   "\nWhere a stream runs, --speed changes its speed and --wait waits for it.\n",
	.example = "qedctl stream --speed 50M -p vm1",
	.run = run_stream,
};
