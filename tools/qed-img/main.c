// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img: qemu-img's verbs for the image formats of this project. A verb runs in a
 * coroutine, so that it may call the block layer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aio/loop.h"
#include "block/driver.h"
#include "cmdline/report.h"
#include "image/image.h"
#include "image/object.h"
#include "qed-img/img.h"
#include "util/json_memory.h"
#include "util/log.h"
#include "util/units.h"

#define RING_ENTRIES 256

#define VERB_ROW(name) &img_##name##_verb,
static const struct verb *const verbs[] = { IMG_VERBS(VERB_ROW) };
static struct verb_table program = { "qed-img", "Makes, shows, checks and converts disk images.",
				     verbs, ARRAY_SIZE(verbs) };

struct verb_run {
	const struct verb *verb;
	int argc;
	char **argv;
	int status;
};

static void print_help(void)
{
	size_t i;

	if (report_as_qemu())
		report_version();
	printf("usage: %s [-h | -V | --version] [-T | --trace TRACE] [--backing-dir DIR] VERB "
	       "[ARGUMENT...]\n%s\n\nVerbs:\n",
	       program.program, program.about);
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %s %s\n      %s\n", verbs[i]->name, verbs[i]->synopsis,
		       verbs[i]->summary);
	printf("\n`%s VERB --help` tells of each option.\n"
	       "Sizes are in bytes, or take k, M, G, T, P or E (base 1024).\n"
	       "Cache modes: none, writeback, writethrough, directsync, unsafe.\n"
	       "Supported formats:",
	       program.program);
	blk_print_formats(stdout);
	printf("\n");
}

static const struct verb *running; /* the verb, once it is known */

void img_print_verb_help(void)
{
	verb_print_help(stdout, &program, running);
}

static void run_co(void *arg)
{
	struct verb_run *run = arg;

	run->status = run->verb->run(run->argc, run->argv);
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	struct verb_run run = { .verb = verb, .argc = argc, .argv = argv };
	struct error err = ERROR_INIT;
	struct aio_loop *loop;
	int ret;

	if (aio_loop_create(&loop, RING_ENTRIES, &err) < 0)
		return report_fail(&err);
	optind = 0;
	running = verb;
	ret = aio_loop_run_co(loop, run_co, &run);
	aio_loop_destroy(loop);
	if (ret < 0)
		return report_error("event loop: %s", strerror(-ret));
	return run.status;
}

static int run_program(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "trace", required_argument, NULL, 'T' },
		{ "backing-dir", required_argument, NULL, 'B' },
		{ NULL, 0, NULL, 0 },
	};
	const struct verb *verb;
	int opt;

	while ((opt = img_getopt(argc, argv, "+hVT:", options)) != -1) {
		switch (opt) {
		case 'h':
			print_help();
			return 0;
		case 'V':
			report_version();
			return 0;
		case 'T':
			if (trace_option(optarg))
				return 1;
			break;
		case 'B':
			image_backing_dir = optarg;
			break;
		default:
			return 1;
		}
	}
	if (optind >= argc)
		return img_usage("Not enough arguments");
	verb = verb_find(&program, argv[optind]);
	if (!verb)
		return img_usage("Command not found: %s", argv[optind]);
	argc -= optind;
	argv += optind;
	/* Before verbs that look at their last operand first. */
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		verb_print_help(stdout, &program, verb);
		return 0;
	}
	return run_verb(verb, argc, argv);
}

int main(int argc, char **argv)
{
	int status;

	program.program = program_invocation_short_name;
	report_program(program.program);
	log_init(program.program, false, LOG_LEVEL_ERROR);
	status = run_program(argc, argv);
	if (!status && json_memory_failures())
		status = report_error("not enough memory for the output");
	return report_flush() ? 1 : status;
}
