// SPDX-License-Identifier: GPL-2.0
/* qed-io: reads, writes and other commands on an image, as in qemu-io. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/loop.h"
#include "image/object.h"
#include "cmdline/report.h"
#include "util/version.h"
#include "qed-io/io.h"
#include "util/log.h"

#define RING_ENTRIES 512

/* Long options without a letter. */
enum { OPT_OBJECT = 256, OPT_IMAGE_OPTS };

struct program {
	struct io_open how; /* without a filename and options: open no image at first */
	struct blk_options *options; /* the operand, if it is options */
	char **lines; /* arguments of -c */
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
	       "  -i, --aio=MODE         threads, native or io_uring: taken, of no effect\n"
	       "  -k, --native-aio       as -i native\n"
	       "  -m, --misalign         use buffers that direct I/O does not like\n"
	       "  -T, --trace SPEC       [enable=]EVENT,events=FILE,file=FILE; no event is here\n"
	       "  -U, --force-share      read an image that somebody else is using\n"
	       "  -h, --help             this text\n"
	       "  -V, --version          the version\n\n"
	       "`qed-io -c help` lists the commands.\n");
}

static int add_line(struct program *p, char *line)
{
	char **lines = realloc(p->lines, (p->line_count + 1) * sizeof(*lines));

	if (!lines) {
		io_error("%s", strerror(ENOMEM));
		return 1;
	}
	lines[p->line_count++] = line;
	p->lines = lines;
	return 0;
}

/* Returns -1 to continue, else the exit status. */
static int parse_option(struct program *p, int opt)
{
	switch (opt) {
	case 'c':
		return add_line(p, optarg) ? 1 : -1;
	case 'f':
		p->how.format = optarg;
		return -1;
	case 'r':
		p->how.read_only = true;
		return -1;
	case 's':
		p->how.snapshot = true;
		return -1;
	case 'n':
		p->how.cache = (struct image_cache){ .direct = true };
		return -1;
	case 'C':
		p->how.copy_on_read = true;
		return -1;
	case 'U':
		p->how.force_share = true;
		return -1;
	case 't':
		return io_parse_cache(optarg, &p->how.cache) < 0 ? 1 : -1;
	case 'd':
		return io_parse_discard(optarg, &p->how.discard_ignore) < 0 ? 1 : -1;
	case 'i':
		return io_parse_aio(optarg, &p->how.native_aio) < 0 ? 1 : -1;
	case 'k':
		p->how.native_aio = true;
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
		print_help();
		return 1;
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

static void co_run_line(struct program *p, char *line)
{
	if (!line) {
		io_error("%s", strerror(ENOMEM));
		p->failed = true;
		return;
	}
	if (io_co_run_line(&p->io, line) < 0)
		p->failed = true;
}

/* Run the lines of standard input; always print the prompt, as in qemu-io. */
static void co_run_input(struct program *p)
{
	bool terminal = isatty(STDIN_FILENO);
	char *line;

	while (!p->io.quit) {
		io_session_tell(&p->io, false);
		if (terminal) {
			line = io_prompt_co_read_line();
		} else {
			printf("%s> ", program_invocation_short_name);
			fflush(stdout);
			line = io_co_read_line();
		}
		if (!line)
			break;
		if (!p->io.quit) /* a signal may have come while reading */
			co_run_line(p, line);
		free(line);
	}
	io_prompt_free();
}

static void co_run_commands(struct program *p)
{
	char *line;
	size_t i;

	for (i = 0; i < p->line_count && !p->io.quit; i++) {
		line = strdup(p->lines[i]);
		co_run_line(p, line);
		free(line);
	}
	if (!p->line_count)
		co_run_input(p);
	if (io_session_co_close(&p->io) < 0)
		p->failed = true;
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
	status = parse_arguments(&p, argc, argv);
	if (status < 0)
		status = run_program(&p);
	io_session_destroy(&p.io);
	blk_options_free(p.options);
	free(p.lines);
	return flush_output() ? 1 : status;
}
