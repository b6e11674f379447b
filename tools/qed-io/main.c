// SPDX-License-Identifier: GPL-2.0
/* qed-io: reads, writes and other commands on an image, as in qemu-io. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/loop.h"
#include "image/object.h"
#include "cmdline/report.h"
#include "qed-io/command.h"
#include "qed-io/input.h"
#include "qed-io/signals.h"
#include "qed-io/text.h"
#include "util/log.h"

#define RING_ENTRIES 512

/* What parsing an option returns to end the program with success. */
#define DONE 2

struct program {
	struct io_open how; /* without a filename and options: open no image at first */
	struct blk_options *options; /* the operand, if it is options */
	char **lines; /* arguments of -c; running one modifies it */
	size_t line_count;
	struct io_session io;
	bool failed;
};

static void print_help(void)
{
	printf("Usage: %s [OPTION]... [-c COMMAND]... [FILE]\n"
	       "Runs commands on a disk image: those of -c, or lines of standard input.\n\n"
	       "  --backing-dir DIR      backing files must lie below it\n"
	       "  --object OBJECT        TYPE,id=ID,NAME=VALUE,...: an object for options to name\n"
	       "  --image-opts           FILE is options of an image: NAME=VALUE,...\n"
	       "  -c, --cmd COMMAND      run COMMAND; may be given many times\n"
	       "  -f, --format FORMAT    the image's format; it is guessed otherwise\n"
	       "  -r, --read-only        open for reading\n"
	       "  -s, --snapshot         write to a temporary image on top\n"
	       "  -n, --nocache          as -t none\n"
	       "  -C, --copy-on-read     keep what is read from the backing file\n"
	       "  -t, --cache=MODE       none, writeback, writethrough, directsync or unsafe\n"
	       "  -d, --discard=MODE     ignore or unmap (the default)\n"
	       "  -i, --aio=MODE         threads, native or io_uring: accepted, without effect\n"
	       "  -k, --native-aio       as -i native\n"
	       "  -m, --misalign         use buffers that are not aligned for direct I/O\n"
	       "  -T, --trace SPEC       [enable=]EVENT,events=FILE,file=FILE; no events here\n"
	       "  -U, --force-share      read an image that another process is using\n"
	       "  -h, --help             this text\n"
	       "  -V, --version          the version\n\n"
	       "Supported formats:",
	       report_name_of_program());
	blk_print_formats(stdout);
	printf("\n`%s -c help` lists the commands.\n", report_name_of_program());
}

static int take(void *program, const struct verb_option *option, const char *value)
{
	struct program *p = program;

	switch (option->letter) {
	case 'c':
		p->lines[p->line_count++] = (char *)value;
		return 0;
	case 'T':
		return trace_option(value) ? -EINVAL : 0;
	case 'V':
		report_version();
		return DONE;
	case 'h':
		print_help();
		return DONE;
	default:
		return object_option(value) ? -EINVAL : 0;
	}
}

static int take_backing_dir(void *program, const struct verb_option *option, const char *value)
{
	(void)program, (void)option;
	image_backing_dir = value;
	return 0;
}

static int next_option(int argc, char **argv, const char *letters, const struct option *names)
{
	return getopt_long(argc, argv, letters, names, NULL);
}

/* Returns -1 to continue, else the exit status. */
static int take_operand(struct program *p, const char *text)
{
	if (!p->io.image_opts) {
		p->how.filename = text;
		return -1;
	}
	/* An empty list of options is one, too. */
	if (io_parse_options(text, &p->options) < 0)
		return 1;
	p->how.options = p->options;
	return -1;
}

static int parse_arguments(struct program *p, int argc, char **argv)
{
	static const struct verb_option options[] = {
		OPT_CALL('h', "help", take),
		OPT_CALL('V', "version", take),
		OPT_CALL_VALUE('c', "cmd", take),
		OPT_TEXT('f', "format", struct program, how.format),
		IO_OPEN_OPTIONS(struct program),
		OPT_SWITCH('m', "misalign", struct program, io.misalign),
		OPT_CALL_VALUE('T', "trace", take),
		OPT_CALL_VALUE(0, "object", take),
		OPT_CALL_VALUE(0, "backing-dir", take_backing_dir),
		OPT_SWITCH(0, "image-opts", struct program, io.image_opts),
		OPT_END,
	};
	int ret = verb_options_parse(argc, argv, options, p, next_option);

	if (ret == DONE)
		return 0;
	if (ret < 0)
		return 1;
	if (ret || argc - optind > 1) {
		print_help();
		return 1;
	}
	if (p->io.image_opts && p->how.format) {
		io_error("--image-opts and -f are mutually exclusive");
		return 1;
	}
	return argv[optind] ? take_operand(p, argv[optind]) : -1;
}

/* Run the lines of standard input. */
static void co_run_input(struct program *p)
{
	char *line;

	while (!p->io.quit) {
		io_session_tell(&p->io, false);
		line = io_co_read_line();
		if (!line)
			break;
		if (!p->io.quit) /* a signal may have come while reading */
			p->failed |= io_co_run_line(&p->io, line) < 0;
		free(line);
	}
	io_input_free();
}

static void co_run_commands(struct program *p)
{
	size_t i;

	for (i = 0; i < p->line_count && !p->io.quit; i++)
		p->failed |= io_co_run_line(&p->io, p->lines[i]) < 0;
	if (!p->line_count)
		co_run_input(p);
	p->failed |= io_session_co_close(&p->io) < 0;
}

static void run_co(void *arg)
{
	struct program *p = arg;

	if ((p->how.filename || p->how.options) && io_session_co_open(&p->io, &p->how) < 0)
		p->failed = true;
	else
		co_run_commands(p);
	io_signals_co_end();
}

static int run_program(struct program *p)
{
	struct error err = ERROR_INIT;
	struct aio_loop *loop;
	int ret;

	io_signals_init(&p->io);
	if (aio_loop_create(&loop, RING_ENTRIES, &err) < 0) {
		io_error_free(&err);
		return 1;
	}
	io_signals_begin(loop);
	ret = aio_loop_run_co(loop, run_co, p);
	aio_loop_destroy(loop);
	if (ret < 0) {
		io_error("event loop: %s", strerror(-ret));
		return 1;
	}
	return p->failed;
}

/* Do not report EPIPE. */
static int flush_output(void)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	if (errno != EPIPE) {
		io_error("standard output: %s", strerror(errno ? errno : EIO));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct program p = { 0 };
	int status;

	report_program(program_invocation_short_name);
	log_init(program_invocation_short_name, false, LOG_LEVEL_ERROR);
	io_session_init(&p.io);
	p.lines = calloc((size_t)argc, sizeof(*p.lines));
	if (!p.lines) {
		io_error("%s", strerror(ENOMEM));
		return 1;
	}
	status = parse_arguments(&p, argc, argv);
	if (status < 0)
		status = run_program(&p);
	io_session_destroy(&p.io);
	blk_options_free(p.options);
	free(p.lines);
	return flush_output() ? 1 : status;
}
