// SPDX-License-Identifier: GPL-2.0
/* qed-img check: check the consistency of an image, and repair it on request. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/check_report.h"
#include "cmdline/report.h"
#include "image/image.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

/* Exit statuses, as in qemu-img. */
enum check_status {
	CHECK_OK = 0,
	CHECK_FAILED = 1, /* the check itself failed */
	CHECK_CORRUPT = 2,
	CHECK_LEAKS = 3,
	CHECK_UNSUPPORTED = 63,
};

struct check {
	const char *filename, *format, *output, *cache;
	unsigned int fix; /* enum blk_check_fix */
	bool json, quiet, direct, many_copies;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	struct blk_check_result result;
};

/* blk_check_report_fn */
static void print_finding(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

/* After a repair check again, so that the report shows the current state. */
static int co_check_again(struct check *c, struct blk_node *node, struct error *err)
{
	struct blk_check_result first = c->result;
	int ret;

	if (!first.corruptions_fixed && !first.leaks_fixed)
		return 0;
	if (!c->json && !c->quiet)
		check_print_repaired(&first);
	memset(&c->result, 0, sizeof(c->result));
	ret = blk_co_check(node, 0, NULL, NULL, &c->result, err);
	c->result.corruptions_fixed = first.corruptions_fixed;
	c->result.leaks_fixed = first.leaks_fixed;
	return ret;
}

static int co_check(struct check *c, struct blk_node *node)
{
	struct error err = ERROR_INIT;
	int ret;

	if (!node->driver->co_check) {
		report_error("This image format does not support checks");
		return CHECK_UNSUPPORTED;
	}
	ret = blk_co_check(node, c->fix, node->driver->prints_findings ? print_finding : NULL, NULL,
			   &c->result, &err);
	if (ret == 0 && c->result.copies_refused)
		report_warning("%s: %" PRIu64
			       " more clusters are shared; copies of them would take "
			       "%" PRIu64 " bytes: --many-copies makes them",
			       c->filename, c->result.copies_refused,
			       c->result.copies_refused * node->cluster_size);
	if (ret == 0)
		ret = co_check_again(c, node, &err);
	if (ret < 0) {
		error_set(&err, ret, "%s", strerror(-ret));
		image_unname(node->filename, &err);
		error_prefix(&err, "Check failed");
		return report_fail(&err);
	}
	if (c->json)
		img_json_print(check_json(&c->result, c->filename, node->driver->name));
	else if (!c->quiet)
		check_print(&c->result);
	if (c->result.check_errors) {
		report_error("Check failed");
		return CHECK_FAILED;
	}
	if (c->result.corruptions)
		return CHECK_CORRUPT;
	return c->result.leaks ? CHECK_LEAKS : CHECK_OK;
}

/* Can images of the format be repaired?  Return CHECK_OK, or another status after an error line. */
static int co_check_repair(const struct check *c, unsigned int flags)
{
	struct blk_node *node = img_co_open(c->filename, c->format, flags | BLK_O_NO_BACKING);
	int status = CHECK_OK;

	if (!node)
		return CHECK_FAILED;
	if (node->driver->co_check && !node->driver->co_pwrite) {
		report_error("This image format does not support repairs: %s is read-only here",
			     node->driver->name);
		status = CHECK_UNSUPPORTED;
	}
	blk_co_close(node);
	return status;
}

static int co_run_check(struct check *c)
{
	unsigned int flags = BLK_O_CHECK | BLK_O_METADATA | c->source_flags;
	int status = c->fix ? co_check_repair(c, flags) : CHECK_OK;
	struct blk_node *node;
	int ret;

	if (status)
		return status;
	if (c->fix)
		flags |= BLK_O_RDWR;
	if (c->direct)
		flags |= BLK_O_DIRECT;
	node = img_co_open(c->filename, c->format, flags);
	if (!node)
		return CHECK_FAILED;
	status = co_check(c, node);
	ret = blk_co_close(node);
	if (ret < 0 && status == CHECK_OK)
		return report_error("%s: %s", c->filename, strerror(-ret));
	return status;
}

static int parse_fix(void *verb, const struct verb_option *option, const char *text)
{
	struct check *c = verb;

	(void)option;
	if (!strcmp(text, "leaks"))
		c->fix = BLK_FIX_LEAKS;
	else if (!strcmp(text, "all"))
		c->fix = BLK_FIX_LEAKS | BLK_FIX_ERRORS;
	else
		return img_usage("Unknown option value for -r (expecting 'leaks' or 'all'): %s",
				 text);
	return 0;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct check, source_flags),
	IMG_FORCE_SHARE(struct check, source_flags),
	OPT_TEXT('f', "format", struct check, format),
	OPT_CALL_VALUE('r', "repair", parse_fix),
	OPT_SWITCH(0, "many-copies", struct check, many_copies),
	OPT_TEXT(0, "output", struct check, output),
	OPT_TEXT('T', NULL, struct check, cache),
	OPT_SWITCH('q', NULL, struct check, quiet),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct check c = { .output = "human", .cache = "writeback" };
	struct image_cache mode;

	if (img_parse_options(argc, argv, options, &c))
		return CHECK_FAILED;
	c.filename = img_one_filename(argc, argv);
	if (!c.filename || img_parse_output(c.output, &c.json))
		return CHECK_FAILED;
	if (image_cache_parse(c.cache, &mode) < 0)
		return report_error("Invalid source cache option: %s", c.cache);
	c.direct = mode.direct;
	if (c.many_copies && !(c.fix & BLK_FIX_ERRORS))
		return img_usage("--many-copies needs -r all");
	c.fix |= c.many_copies ? BLK_FIX_MANY_COPIES : 0;
	return co_run_check(&c);
}

const struct verb img_check_verb = {
	.name = "check",
	.synopsis = "[--object OBJECT] [--image-opts] [-q] [-f FMT] [--output=human|json] "
		    "[-r leaks|all] [--many-copies] [-T CACHE] [-U] FILE",
	.summary = "check an image, and repair it with -r",
	.options =
		"  --object OBJECT, --image-opts\n"
		"                          as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -f, --format FMT        format of the image; probed otherwise\n"
		"  -r, --repair leaks|all  repair leaked clusters, or all that can be repaired\n"
		"  --many-copies           also copy shared clusters beyond the file's own size\n"
		"  --output=human|json     text, or a JSON object\n"
		"  -T CACHE                cache mode (writeback)\n"
		"  -q                      print nothing but errors\n"
		"  -U, --force-share       also when another process writes to the image\n",
	.example = "qed-img check -r all vm1.qed",
	.run = run,
};
