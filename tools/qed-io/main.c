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
#include "util/version.h"

#define RING_ENTRIES 512

/* Long options without a letter. */
enum { OPT_OBJECT = 256, OPT_IMAGE_OPTS };

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
	printf("Usage: qed-io [OPTION]... [-c COMMAND]... [FILE]\n"
	       "Runs commands on a disk image: those of -c, or lines of standard input.\n\n"
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
	       "Supported formats:");
	blk_print_formats(stdout);
	printf("\n`qed-io -c help` lists the commands.\n");
}

/* Returns -1 to continue, else the exit status. */
static int parse_option(struct program *p, int opt)
{
	int ret;

	switch (opt) {
	case 'c':
		p->lines[p->line_count++] = optarg;
		return -1;
	case 'f':
		p->how.format = optarg;
		return -1;
	case 'm':
		p->io.misalign = true;
		return -1;
	case 'T':
		return trace_option(optarg) ? 1 : -1;
	case OPT_OBJECT:
		return object_option(optarg) ? 1 : -1;
	case OPT_IMAGE_OPTS:
		p->io.image_opts = true;
		return -1;
	case 'V':
		printf("qed-io version %s\n", QEDBLK_VERSION);
		return 0;
	case 'h':
		print_help();
		return 0;
	default:
		ret = io_open_letter(&p->how, opt, optarg);
		if (ret > 0)
			print_help();
		return ret ? 1 : -1;
	}
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
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "cmd", required_argument, NULL, 'c' },
		{ "format", required_argument, NULL, 'f' },
		{ "read-only", no_argument, NULL, 'r' },
		{ "snapshot", no_argument, NULL, 's' },
		{ "nocache", no_argument, NULL, 'n' },
		{ "copy-on-read", no_argument, NULL, 'C' },
		{ "misalign", no_argument, NULL, 'm' },
		{ "native-aio", no_argument, NULL, 'k' },
		{ "aio", required_argument, NULL, 'i' },
		{ "discard", required_argument, NULL, 'd' },
		{ "cache", required_argument, NULL, 't' },
		{ "force-share", no_argument, NULL, 'U' },
		{ "trace", required_argument, NULL, 'T' },
		{ "object", required_argument, NULL, OPT_OBJECT },
		{ "image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
		{ NULL, 0, NULL, 0 },
	};
	int opt, status;

	while ((opt = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U", options, NULL)) != -1) {
		status = parse_option(p, opt);
		if (status >= 0)
			return status;
	}
	if (argc - optind > 1) {
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
		io_error("io_uring: %s", strerror(-ret));
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
	log_init("qed-io", false, LOG_LEVEL_ERROR);
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
