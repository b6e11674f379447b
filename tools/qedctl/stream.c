// SPDX-License-Identifier: GPL-2.0
/* qedctl stream: populate the image from its backing file, and follow the progress. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/node.h"
#include "file/name.h"
#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "cmdline/verbs.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"
#include "util/units.h"

/* A server answers at once, and sends an event every half second while the client waits. */
#define SILENCE_TIMEOUT_MS 10000
/* A cancel is answered when the pieces in work have ended, and their source may be slow. */
#define CANCEL_TIMEOUT_MS 120000

struct stream_options {
	const char *name, *base;
	uint64_t speed;
	bool has_speed, wait, progress, json;
	const char *command; /* stream, stream-pause, ... */
	unsigned int actions; /* how many of --pause, --resume and --cancel */
};

static void on_signal(int sig)
{
	(void)sig;
	client_interrupted = 1;
}

/* A signal ends the wait; the stream continues. */
static void watch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void print_percent(double percent, bool last)
{
	printf("    (%3.2f/100%%)%c", percent, last ? '\n' : '\r');
	fflush(stdout);
}

static void on_event(void *arg, const char *event, const json_t *data)
{
	const struct stream_options *opts = arg;

	(void)event;
	if (opts->progress)
		print_percent(json_number_value(json_object_get(data, "percent")), false);
}

/*
 * Set *@base (heap) to @name for the server, which has another working directory. Leave a
 * path that only exists relative to the image, as images store it, unchanged. Returns 0 or
 * a negative errno with an error line.
 */
static int base_name(const char *name, char **base, struct error *err)
{
	int ret = blk_name_absolute(name, base, err);

	if (ret)
		error_prefix(err, "--base %s", name);
	if (ret || blk_name_has_protocol(name) || !access(*base, F_OK))
		return ret;
	free(*base);
	*base = strdup(name);
	return *base ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* Return the arguments, or NULL after an error line: without the base, more would be streamed. */
static json_t *make_arguments(const struct stream_options *opts, struct error *err)
{
	json_t *arguments = json_object(), *base = NULL;
	char *name = NULL;

	if (opts->base && base_name(opts->base, &name, err)) {
		json_decref(arguments);
		return NULL;
	}
	if (name)
		base = json_string(name);
	if (name && !base)
		error_set(err, -EILSEQ, "--base %s: the name is not UTF-8", opts->base);
	else if (!arguments || (opts->base && json_object_set(arguments, "base", base)))
		error_set(err, -ENOMEM, "out of memory");
	free(name);
	json_decref(base);
	if (err->code) {
		json_decref(arguments);
		return NULL;
	}
	if (opts->has_speed)
		json_object_set_new(arguments, "speed", json_integer((json_int_t)opts->speed));
	if (opts->wait)
		json_object_set_new(arguments, "wait", json_true());
	return arguments;
}

static void print_answer(const struct stream_options *opts, const json_t *answer)
{
	const char *note = json_get_string(answer, "note", NULL);

	if (opts->progress)
		print_percent(json_number_value(json_object_get(answer, "percent")), true);
	if (opts->json)
		json_print(answer);
	else if (note)
		print_line("%s: nothing to stream: %s", opts->name, note);
}

static int run(const struct stream_options *opts)
{
	struct error err = ERROR_INIT;
	json_t *arguments = make_arguments(opts, &err), *answer = NULL;
	bool cancel = !strcmp(opts->command, "stream-cancel");
	int fd, ret;

	if (!arguments)
		return report_fail(&err);
	ret = fd = device_connect(opts->name, &err);
	if (fd >= 0) {
		if (opts->wait)
			watch_signals();
		ret = client_command_with_events(fd, opts->command, json_incref(arguments),
						 cancel ? CANCEL_TIMEOUT_MS : SILENCE_TIMEOUT_MS,
						 on_event, (void *)opts, &answer, &err);
		close(fd);
		if (ret == -EINTR) {
			error_free(&err);
			error_set(&err, ret,
				  "interrupted: the stream goes on; `qedctl stream %s --cancel` "
				  "ends it",
				  opts->name);
		}
	} else if (fd == -ENOENT || fd == -ECONNREFUSED) {
		error_free(&err);
		error_set(&err, -ENODEV, "no such device, or its server does not run");
	}
	if (!ret)
		print_answer(opts, answer);
	else if (opts->progress)
		printf("\n");
	json_decref(arguments);
	json_decref(answer);
	return ret < 0 ? report_fail(&err) : 0;
}

static int check(const struct stream_options *opts)
{
	struct error err = ERROR_INIT;

	if (device_check_name(opts->name, &err)) {
		error_prefix(&err, "%s", opts->name);
		return fail_usage(&err);
	}
	if (opts->actions > 1)
		return report_usage("only one of --pause, --resume and --cancel");
	if (opts->actions && (opts->base || opts->has_speed || opts->wait))
		return report_usage("--pause, --resume and --cancel take no other option");
	if (opts->base && !opts->base[0])
		return report_usage("--base: an empty file name");
	if (geteuid() != 0)
		return report_error("permission denied: not root");
	return 0;
}

static int take_speed(void *verb, const struct verb_option *option, const char *value)
{
	struct stream_options *opts = verb;

	(void)option;
	opts->has_speed = true;
	if (!strcmp(value, "0"))
		return 0;
	if (parse_printed_size(value, &opts->speed) || opts->speed > INT64_MAX)
		return report_usage("--speed: '%s' is not a number of bytes a second", value);
	return 0;
}

static int take_progress(void *verb, const struct verb_option *option, const char *value)
{
	struct stream_options *opts = verb;

	(void)option, (void)value;
	opts->wait = opts->progress = true;
	return 0;
}

static int take_action(void *verb, const struct verb_option *option, const char *value)
{
	struct stream_options *opts = verb;

	(void)value;
	opts->command = option->what;
	opts->actions++;
	return 0;
}

static const struct verb_option options[] = {
	OPT_TEXT(0, "base", struct stream_options, base),
	OPT_CALL_VALUE(0, "speed", take_speed),
	OPT_SWITCH(0, "wait", struct stream_options, wait),
	OPT_CALL('p', NULL, take_progress),
	OPT(0, "pause", CALL, .call = take_action, .what = "stream-pause"),
	OPT(0, "resume", CALL, .call = take_action, .what = "stream-resume"),
	OPT(0, "cancel", CALL, .call = take_action, .what = "stream-cancel"),
	OPT_SWITCH(0, "json", struct stream_options, json),
	OPT_END,
};

static int run_stream(int argc, char **argv)
{
	struct stream_options opts = { .command = "stream" };

	if (verb_options_parse(argc, argv, options, &opts, verb_getopt))
		return 1;
	if (argc - optind != 1)
		return optind < argc ? report_usage("unexpected argument '%s'", argv[optind + 1]) :
				       report_usage("NAME is needed");
	opts.name = argv[optind];
	report_context("stream %s", opts.name);
	if (check(&opts))
		return 1;
	return run(&opts);
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
