// SPDX-License-Identifier: GPL-2.0
/*
 * qed_crash: simulate losses of power under the QED driver.
 *
 *	qed_crash [--images N] [--seed N] [--workload NAME] [--keep FOLDER]
 *	qed_crash --replay RECORD [--image N]
 *
 * Without arguments at least 20000 crash images are judged, in all workloads.
 * CRASH_IMAGES and SEED of the environment replace the options. A bad crash image is
 * described, and its record saved in FOLDER, for --replay. --help lists the workloads.
 *
 * timeout: 1200
 * threads: yes
 */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "aio/co_switch.h"
#include "aio/loop.h"
#include "aio/timer.h"
#include "aio/tsan.h"
#include "crash.h"
#include "util/log.h"

#if defined(CO_ASAN) || defined(AIO_TSAN)
#define DEFAULT_IMAGES 1100
#else
#define DEFAULT_IMAGES 20000
#endif

struct job {
	struct options opts;
	bool ok;
};

static void run_workloads(void *arg)
{
	struct job *job = arg;
	const struct options *opts = &job->opts;
	uint64_t started = aio_now(), count = opts->workload ? 1 : nr_workloads;
	struct tally total = { 0 };
	bool found = false;

	job->ok = true;
	for (unsigned int i = 0; i < nr_workloads; i++) {
		if (opts->workload && strcmp(opts->workload, workloads[i].name))
			continue;
		found = true;
		job->ok &= round_co_workload(&workloads[i], opts, div_round_up(opts->images, count),
					     &total);
	}
	if (!found) {
		printf("not ok: there is no workload %s\n", opts->workload);
		job->ok = false;
	}
	printf("# %" PRIu64 " crash images of %" PRIu64 " rounds, %.1f s\n", total.images,
	       total.rounds, (aio_now() - started) / 1e9);
}

static void replay(void *arg)
{
	struct job *job = arg;

	job->ok = round_co_replay(&job->opts);
}

static void print_help(void)
{
	printf("usage: qed_crash [--images N] [--seed N] [--workload NAME] [--keep FOLDER]\n"
	       "       qed_crash --replay RECORD [--image N]\n\n"
	       "Simulates losses of power under the QED driver, %d images by default.\n\n"
	       "  --images N       judge N images; also CRASH_IMAGES of the environment\n"
	       "  --seed N         repeat a run's random choices; also SEED\n"
	       "  --workload NAME  run one workload alone\n"
	       "  --keep FOLDER    where the record of a bad image goes\n"
	       "  --replay RECORD  judge the images of a record again\n"
	       "  --image N        of these only image N\n\n"
	       "Workloads:\n",
	       DEFAULT_IMAGES);
	for (unsigned int i = 0; i < nr_workloads; i++)
		printf("  %s\n", workloads[i].name);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "qed_crash: not a number: %s\n", text);
		exit(2);
	}
	return n;
}

static void default_options(struct options *opts)
{
	const char *images = getenv("CRASH_IMAGES"), *seed = getenv("SEED");
	const char *build = getenv("QEDBLK_BUILD");

	memset(opts, 0, sizeof(*opts));
	opts->images = images ? number(images) : DEFAULT_IMAGES;
	opts->seed = seed ? number(seed) : mix64(aio_now() ^ (uint64_t)getpid() << 40) >> 16;
	opts->keep = build ? build : ".";
	opts->image = -1;
}

static void parse_options(struct options *opts, int argc, char **argv)
{
	static const struct option options[] = {
		{ "images", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "workload", required_argument, NULL, 'w' },
		{ "keep", required_argument, NULL, 'k' },
		{ "replay", required_argument, NULL, 'r' },
		{ "image", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			opts->images = number(optarg);
		else if (c == 's')
			opts->seed = number(optarg);
		else if (c == 'w')
			opts->workload = optarg;
		else if (c == 'k')
			opts->keep = optarg;
		else if (c == 'r')
			opts->replay = optarg;
		else if (c == 'i')
			opts->image = (long)number(optarg);
		else if (c == 'h') {
			print_help();
			exit(0);
		} else
			exit(2);
	}
	if (optind < argc) {
		fprintf(stderr, "qed_crash: unexpected argument: %s\n", argv[optind]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct aio_loop *loop;
	struct job job;

	default_options(&job.opts);
	parse_options(&job.opts, argc, argv);
	log_init("qed_crash", false, LOG_LEVEL_WARNING);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!job.opts.replay)
		printf("SEED=%" PRIu64 "\n", job.opts.seed);
	CHECK(aio_loop_create(&loop, 64, NULL) == 0);
	CHECK(aio_loop_run_co(loop, job.opts.replay ? replay : run_workloads, &job) == 0);
	aio_loop_destroy(loop);
	return job.ok ? 0 : 1;
}
