// SPDX-License-Identifier: GPL-2.0
/* Options, sizes and image names as typed by the user. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "image/size.h"
#include "qed-img/img.h"
#include "util/getopt.h"
#include "util/json_memory.h"

int img_usage(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", report_name_of_program());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry '%s --help' for more information\n", report_name_of_program());
	return 1;
}

int img_getopt(int argc, char **argv, const char *letters, const struct option *names)
{
	int opt = option_next(argc, argv, letters, names);

	if (opt >= -1)
		return opt;
	if (opt == OPTION_NEEDS_VALUE)
		img_usage("missing argument for option '%s'", option_word(argv));
	else
		img_usage("unrecognized option '%s'", option_word(argv));
	return '?';
}

const char *img_one_filename(int argc, char **argv)
{
	if (optind == argc - 1)
		return argv[optind];
	img_usage("Expecting one image file name");
	return NULL;
}

int img_parse_size(const char *what, const char *text, uint64_t *bytes)
{
	int ret = image_parse_size(text, bytes);

	if (ret == -ERANGE)
		return report_error("Invalid %s specified. Must be between 0 and %" PRId64 ".",
				    what, INT64_MAX);
	if (ret < 0) {
		report_error("Invalid %s specified. You may use k, M, G, T, P or E suffixes for",
			     what);
		return report_error("kilobytes, megabytes, gigabytes, terabytes, petabytes "
				    "and exabytes.");
	}
	return 0;
}

int img_parse_size_option(const char *name, const char *text, uint64_t *bytes, struct error *err)
{
	int ret = image_parse_size(text, bytes);

	if (ret == -ERANGE)
		return error_set(err, ret, "Value '%s' is out of range for parameter '%s'", text,
				 name);
	if (ret < 0)
		return error_set(err, ret,
				 "Parameter '%s' expects a non-negative number below 2^64\n"
				 "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, "
				 "tera-, peta-\nand exabytes, respectively.",
				 name);
	return 0;
}

int img_parse_output(const char *text, bool *json)
{
	*json = !strcmp(text, "json");
	if (*json || !strcmp(text, "human"))
		return 0;
	return report_error("--output must be used with human or json as argument.");
}

static int co_open(struct blk_node **node, const char *filename, const char *format,
		   unsigned int flags, struct error *err)
{
	struct blk_open_opts opts = {
		.format = format,
		.flags = (flags & ~(IMG_O_IMAGE_OPTS | IMG_O_ALONE)) |
			 (flags & IMG_O_ALONE ? 0 : BLK_O_SHARE),
	};
	int ret;

	if ((flags & BLK_O_NO_LOCK) && (flags & BLK_O_RDWR))
		return error_set(err, -EINVAL,
				 "force-share=on can only be used with read-only images");
	if (!(flags & IMG_O_IMAGE_OPTS))
		return image_co_open(node, filename, &opts, err);
	ret = image_opts_parse(&opts.options, filename, "file", IMAGE_OPTS_WARN, err);
	if (ret < 0)
		return ret;
	ret = image_co_open(node, NULL, &opts, err);
	blk_options_free(opts.options);
	return ret;
}

struct blk_node *img_co_open(const char *filename, const char *format, unsigned int flags)
{
	struct error err = ERROR_INIT;
	struct blk_node *node;

	if ((flags & IMG_O_IMAGE_OPTS) && format) {
		report_error("--image-opts and --format are mutually exclusive");
		return NULL;
	}
	if (co_open(&node, filename, format, flags, &err) == 0)
		return node;
	error_prefix(&err, "Could not open '%s'", filename);
	report_fail(&err);
	return NULL;
}

int img_json_print(json_t *value)
{
	/* The program checks at its end for failed writes and incomplete values. */
	if (!json_memory_failures()) {
		json_dumpf(value, stdout, JSON_INDENT(4) | JSON_ENSURE_ASCII);
		putchar('\n');
	}
	json_decref(value);
	return 0;
}
