// SPDX-License-Identifier: GPL-2.0
/* qed-img create: create an image. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "file/name.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

struct create {
	const char *format, *filename;
	const char *backing_file, *backing_fmt; /* of -b and -F */
	char *options; /* heap, all of -o */
	bool quiet, unsafe;
	struct img_create_options opts;
};

static const struct verb_option options[] = {
	IMG_OBJECT,
	OPT_TEXT('F', NULL, struct create, backing_fmt),
	OPT_TEXT('b', NULL, struct create, backing_file),
	OPT_TEXT('f', NULL, struct create, format),
	IMG_LIST('o', NULL, struct create, options),
	OPT_SWITCH('q', NULL, struct create, quiet),
	OPT_SWITCH('u', NULL, struct create, unsafe),
	IMG_OPTIONS_END,
};

static int parse_operands(struct create *c, int argc, char **argv)
{
	if (optind >= argc)
		return img_usage("Expecting image file name");
	c->filename = argv[optind++];
	if (optind < argc) {
		if (img_parse_size("image size", argv[optind++], &c->opts.size))
			return 1;
		c->opts.has_size = true;
	}
	if (optind != argc)
		return img_usage("Unexpected argument: %s", argv[optind]);
	return 0;
}

/* Merge options: -b FILE means -o backing_file=FILE, and so on; then parse them all. */
static int merge_options(struct create *c, struct error *err)
{
	bool has_operand = c->opts.has_size;
	uint64_t operand = c->opts.size;

	if (!img_new_driver(c->format, err) || image_check_new(c->filename, err))
		return err->code;
	c->opts.has_size = false;
	if (img_options_parse(&c->opts, c->options, c->format, err) < 0)
		return err->code;
	if (has_operand && c->opts.has_size)
		return error_set(err, -EINVAL, "The image size must be specified only once");
	if (has_operand) {
		c->opts.size = operand;
		c->opts.has_size = true;
	}
	return img_options_set_backing(&c->opts, c->format, c->backing_file, c->backing_fmt, err);
}

static int same_name(struct error *err)
{
	return error_set(
		err, -EINVAL,
		"Error: Trying to create an image with the same filename as the backing file");
}

static bool is_in_chain(const char *place, const struct blk_node *node)
{
	while (node && !blk_name_same(node->filename, place))
		node = node->backing;
	return node;
}

/* Open the backing file of the image at @place. */
static int co_open_backing(struct create *c, const char *place, struct blk_node **node,
			   struct error *err)
{
	struct blk_open_opts open = { .format = c->opts.backing_fmt, .flags = BLK_O_NO_LOCK };
	char *name;
	int ret = blk_name_beside(place, c->opts.backing_file, &name, err);

	if (ret)
		return ret;
	ret = image_co_open(node, name, &open, err);
	free(name);
	if (ret)
		image_hint(err, "Could not open backing image.");
	return ret;
}

/* Look at the backing file: it must exist, and gives its size if none was given. */
static int co_look_at_backing(struct create *c, struct error *err)
{
	struct blk_node *node = NULL;
	char *place;
	int ret = image_new_place(c->filename, &place, err);

	if (!ret)
		ret = co_open_backing(c, place, &node, err);
	/* What an image shows must not be lost in making it. */
	if (!ret && is_in_chain(place, node))
		ret = same_name(err);
	free(place);
	if (!node)
		return ret;
	if (!ret && !c->opts.backing_fmt) {
		ret = error_set(err, -EINVAL, "Backing file specified without backing format");
		image_hint(err, "Detected format of %s.", node->driver->name);
	}
	if (!c->opts.has_size)
		c->opts.size = node->size;
	c->opts.has_size = true;
	blk_co_close(node);
	return ret;
}

static int check_backing(struct create *c, struct error *err)
{
	const char *backing = c->opts.backing_file;

	if (!backing)
		return 0;
	if (!*backing)
		return error_set(err, -EINVAL, "Expected backing file name, got empty string");
	if (!strcmp(backing, c->filename))
		return same_name(err);
	if (!c->unsafe)
		return co_look_at_backing(c, err);
	if (!c->opts.backing_fmt)
		return error_set(err, -EINVAL, "Backing file specified without backing format");
	return 0;
}

static int make(struct create *c)
{
	struct error err = ERROR_INIT;

	if (merge_options(c, &err) == 0 && check_backing(c, &err) == 0) {
		if (!c->opts.has_size)
			error_set(&err, -EINVAL, "Image creation needs a size parameter");
		else if (!c->quiet)
			img_options_print(&c->opts, c->filename, c->format);
	}
	if (!err.code && img_co_make(&c->opts, c->filename, c->format, &err) == -EFBIG) {
		error_free(&err);
		error_set(&err, -EFBIG, "The image size is too large for file format '%s'",
			  c->format);
	}
	if (!err.code)
		return 0;
	error_prefix(&err, "%s", c->filename);
	return report_fail(&err);
}

static int run(int argc, char **argv)
{
	struct create c = { .format = "raw" };
	int status;

	status = img_parse_options(argc, argv, options, &c) ? 1 : 0;
	if (!status && image_opts_want_help(c.options))
		status = img_options_help(c.format, optind < argc);
	else if (!status && parse_operands(&c, argc, argv) == 0)
		status = make(&c);
	else
		status = 1;
	img_options_free(&c.opts);
	free(c.options);
	return status;
}

const struct verb img_create_verb = {
	.name = "create",
	.synopsis = "[--object OBJECT] "
		    "[-q] [-f FMT] [-b BACKING [-F BACKING_FMT]] [-u] [-o OPTIONS] FILE [SIZE]",
	.summary = "make an image",
	.options = "  --object OBJECT  as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -f FMT           format (raw)\n"
		   "  -b BACKING       backing file, also its size if none is said; a relative\n"
		   "                   name counts from the image's directory\n"
		   "  -F BACKING_FMT   format of the backing file; needed with -b\n"
		   "  -u               do not open the backing file; SIZE is needed then\n"
		   "  -o OPTIONS       of the format, NAME=VALUE,...; help lists them\n"
		   "  -q               print nothing but errors\n",
	.example = "qed-img create -f qed -b golden.img -F raw vm2.qed",
	.run = run,
};
