// SPDX-License-Identifier: GPL-2.0
/* qedctl check: check the image of a live device, which goes on, and free what is leaked. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json.h"
#include "cmdline/check_report.h"
#include "cmdline/report.h"
#include "qedctl/device.h"
#include "qedctl/qedctl.h"

/* The server sends an event every half second. */
#define SILENCE_TIMEOUT_MS 10000

static void ignore_event(void *arg, const char *event, const json_t *data)
{
	(void)arg;
	(void)event;
	(void)data;
}

static uint64_t number(const json_t *answer, const char *key)
{
	return (uint64_t)json_get_int(answer, key, 0);
}

static void read_result(const json_t *answer, struct blk_check_result *r)
{
	*r = (struct blk_check_result){
		.corruptions = number(answer, "corruptions"),
		.leaks = number(answer, "leaks"),
		.leaks_fixed = number(answer, "leaks-fixed"),
		.check_errors = number(answer, "check-errors"),
		.total_clusters = number(answer, "total-clusters"),
		.allocated_clusters = number(answer, "allocated-clusters"),
		.fragmented_clusters = number(answer, "fragmented-clusters"),
		.compressed_clusters = number(answer, "compressed-clusters"),
		.image_end = number(answer, "image-end-offset"),
	};
}

/* One check by the server at @fd. */
static int ask(int fd, const char *repair, struct blk_check_result *result, json_t **answer,
	       struct error *err)
{
	json_t *arguments = repair ? json_pack("{s:s}", "repair", repair) : NULL;
	int ret = client_command_with_events(fd, "check", arguments, SILENCE_TIMEOUT_MS,
					     ignore_event, NULL, answer, err);

	if (!ret)
		read_result(*answer, result);
	return ret;
}

/* As qed-img does, check again after a repair, so that the result shows the image as it is. */
static int check(int fd, const struct one_device_args *args, struct blk_check_result *result,
		 json_t **answer, struct error *err)
{
	struct blk_check_result first;
	int ret = ask(fd, args->repair, result, answer, err);

	if (ret || !result->leaks_fixed)
		return ret;
	first = *result;
	if (!args->json)
		check_print_repaired(&first);
	json_decref(*answer);
	*answer = NULL;
	ret = ask(fd, NULL, result, answer, err);
	result->leaks_fixed = first.leaks_fixed;
	return ret;
}

static int print(const struct device *dev, const struct one_device_args *args,
		 const struct blk_check_result *result, const json_t *answer)
{
	json_t *json;

	if (args->json) {
		json = check_json(result, device_image(dev), json_get_string(answer, "format", ""));
		json_print(json);
		json_decref(json);
	} else {
		check_print(result);
	}
	return result->corruptions || result->leaks || result->check_errors;
}

static int run_on(const struct one_device_args *args)
{
	struct error err = ERROR_INIT;
	struct blk_check_result result;
	json_t *answer = NULL;
	struct device dev;
	int fd = -1, status = 0;
	int ret = device_find(args->name, &dev, &err);

	if (ret)
		return report_fail(&err);
	ret = dev.status ? device_connect(args->name, &err) : device_no_server(&dev, &err);
	if (ret >= 0) {
		fd = ret;
		ret = check(fd, args, &result, &answer, &err);
	}
	if (!ret)
		status = print(&dev, args, &result, answer);
	json_decref(answer);
	if (fd >= 0)
		close(fd);
	device_put(&dev);
	return ret ? report_fail(&err) : status;
}

static const struct verb_option options[] = {
	OPT_TEXT(0, "repair", struct one_device_args, repair),
	OPT_SWITCH(0, "json", struct one_device_args, json),
	OPT_END,
};

static int run_check(int argc, char **argv)
{
	struct one_device_args args;

	if (parse_one_device(argc, argv, options, &args))
		return 1;
	if (args.repair && strcmp(args.repair, "leaks"))
		return report_usage("--repair: '%s' is not leaks", args.repair);
	if (geteuid() != 0)
		return report_error("permission denied: not root");
	return run_on(&args);
}

const struct verb ctl_check_verb = {
	.name = "check",
	.synopsis = "[OPTION...] NAME",
	.summary = "check the image of a live device",
	.options = "  --repair leaks  free clusters that are leaked\n"
		   "  --json          one JSON object\n"
		   "\nThe device goes on; the image is checked as one commit left it.\n",
	.example = "qedctl check --repair leaks vm1",
	.run = run_check,
};
