// SPDX-License-Identifier: GPL-2.0
/* The jobs of a server, stream and commit: start, control, and follow the progress. */
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
#include "qedctl/job.h"
#include "qedctl/qedctl.h"
#include "util/units.h"

/* A server answers at once, and sends an event every half second while the client waits. */
#define SILENCE_TIMEOUT_MS 10000
/* A cancel is answered when the pieces in work have ended, and their source may be slow. */
#define CANCEL_TIMEOUT_MS 120000

static void on_signal(int sig)
{
	(void)sig;
	client_interrupted = 1;
}

/* A signal ends the wait; the job continues. */
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
	const struct job_options *opts = arg;

	(void)event;
	if (opts->progress)
		print_percent(json_number_value(json_object_get(data, "percent")), false);
}

/*
 * Set *@full (heap) to @name, the value of @option, for the server, which has another working
 * directory. Leave a path that only exists relative to the image, as images store it, unchanged.
 * Returns 0 or a negative errno with an error line.
 */
static int full_name(const char *option, const char *name, char **full, struct error *err)
{
	int ret = blk_name_absolute(name, full, err);

	if (ret)
		error_prefix(err, "--%s %s", option, name);
	if (ret || blk_name_has_protocol(name) || !access(*full, F_OK))
		return ret;
	free(*full);
	*full = strdup(name);
	return *full ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* Add the file @name (NULL: none) as the argument @option. */
static int add_name(json_t *arguments, const char *option, const char *name, struct error *err)
{
	json_t *value;
	char *full;
	int ret;

	if (!name)
		return 0;
	ret = full_name(option, name, &full, err);
	if (ret)
		return ret;
	value = json_string(full);
	free(full);
	if (!value)
		return error_set(err, -EILSEQ, "--%s %s: the name is not UTF-8", option, name);
	if (json_object_set_new(arguments, option, value))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* Return the arguments, or NULL after an error line: without a name, more would be done. */
static json_t *make_arguments(const struct job_options *opts, struct error *err)
{
	json_t *arguments = json_object();

	if (!arguments)
		error_set(err, -ENOMEM, "out of memory");
	else if (add_name(arguments, "top", opts->top, err) ||
		 add_name(arguments, "base", opts->base, err)) {
		json_decref(arguments);
		arguments = NULL;
	}
	if (!arguments)
		return NULL;
	if (opts->has_speed)
		json_object_set_new(arguments, "speed", json_integer((json_int_t)opts->speed));
	if (opts->wait)
		json_object_set_new(arguments, "wait", json_true());
	return arguments;
}

static void print_answer(const struct job_options *opts, const json_t *answer)
{
	const char *note = json_get_string(answer, "note", NULL);

	if (opts->progress)
		print_percent(json_number_value(json_object_get(answer, "percent")), true);
	if (opts->json)
		json_print(answer);
	else if (note)
		print_line("%s: nothing to %s: %s", opts->name, opts->verb, note);
}

/* Fail: say whether the device, whose server cannot be reached, is there. */
static int no_server(const char *name, struct error *err)
{
	struct device dev;
	int ret = device_find(name, &dev, err);

	if (ret)
		return ret;
	ret = device_no_server(&dev, err);
	device_put(&dev);
	return ret;
}

static int run(const struct job_options *opts)
{
	struct error err = ERROR_INIT;
	json_t *arguments = make_arguments(opts, &err), *answer = NULL;
	bool cancel = opts->action && !strcmp(opts->action, "cancel");
	char command[32];
	int fd, ret;

	snprintf(command, sizeof(command), "%s%s%s", opts->verb, opts->action ? "-" : "",
		 opts->action ? opts->action : "");

	if (!arguments)
		return report_fail(&err);
	ret = fd = device_connect(opts->name, &err);
	if (fd >= 0) {
		if (opts->wait)
			watch_signals();
		ret = client_command_with_events(fd, command, json_incref(arguments),
						 cancel ? CANCEL_TIMEOUT_MS : SILENCE_TIMEOUT_MS,
						 on_event, (void *)opts, &answer, &err);
		close(fd);
		if (ret == -EINTR) {
			error_free(&err);
			error_set(&err, ret,
				  "interrupted: the %s goes on; `qedctl %s %s --cancel` ends it",
				  opts->verb, opts->verb, opts->name);
		}
	} else if (fd == -ENOENT || fd == -ECONNREFUSED) {
		error_free(&err);
		ret = no_server(opts->name, &err);
	}
	if (!ret)
		print_answer(opts, answer);
	else if (opts->progress)
		printf("\n");
	json_decref(arguments);
	json_decref(answer);
	return ret < 0 ? report_fail(&err) : 0;
}

static int check(const struct job_options *opts)
{
	struct error err = ERROR_INIT;

	if (device_check_name(opts->name, &err)) {
		error_prefix(&err, "%s", opts->name);
		return fail_usage(&err);
	}
	if (opts->actions > 1)
		return report_usage("only one of --pause, --resume and --cancel");
	if (opts->actions && (opts->top || opts->base || opts->has_speed || opts->wait))
		return report_usage("--pause, --resume and --cancel take no other option");
	if ((opts->base && !opts->base[0]) || (opts->top && !opts->top[0]))
		return report_usage("--%s: an empty file name",
				    opts->base && !opts->base[0] ? "base" : "top");
	if (geteuid() != 0)
		return report_error("permission denied: not root");
	return 0;
}

int job_take_speed(void *verb, const struct verb_option *option, const char *value)
{
	struct job_options *opts = verb;

	(void)option;
	opts->has_speed = true;
	if (!strcmp(value, "0"))
		return 0;
	if (parse_printed_size(value, &opts->speed) || opts->speed > INT64_MAX)
		return report_usage("--speed: '%s' is not a number of bytes a second", value);
	return 0;
}

int job_take_progress(void *verb, const struct verb_option *option, const char *value)
{
	struct job_options *opts = verb;

	(void)option, (void)value;
	opts->wait = opts->progress = true;
	return 0;
}

int job_take_action(void *verb, const struct verb_option *option, const char *value)
{
	struct job_options *opts = verb;

	(void)value;
	opts->action = option->what;
	opts->actions++;
	return 0;
}

int job_run_verb(int argc, char **argv, const struct verb_option *options)
{
	struct job_options opts = { .verb = argv[0] };

	if (verb_options_parse(argc, argv, options, &opts, verb_getopt))
		return 1;
	if (argc - optind != 1)
		return optind < argc ? report_usage("unexpected argument '%s'", argv[optind + 1]) :
				       report_usage("NAME is needed");
	opts.name = argv[optind];
	report_context("%s %s", opts.verb, opts.name);
	if (check(&opts))
		return 1;
	return run(&opts);
}
