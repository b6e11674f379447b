// SPDX-License-Identifier: GPL-2.0
/* qed-img measure: compute the size of a new image. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image.h"
#include "qed-img/create_options.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "util/units.h"

struct measure {
	const char *filename, *format, *target_format;
	const char *snapshot; /* of -l, or NULL */
	char *options; /* heap, all of -o */
	bool json, has_size;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	uint64_t size;
	struct img_create_options opts;
};

static void set_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void print_result(const struct measure *m, const struct blk_measure *result)
{
	if (m->json) {
		json_t *object = json_object();

		if (result->has_bitmaps)
			set_number(object, "bitmaps", result->bitmaps);
		set_number(object, "required", result->required);
		set_number(object, "fully-allocated", result->fully_allocated);
		img_json_print(object);
		return;
	}
	printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n", result->required,
	       result->fully_allocated);
	if (result->has_bitmaps)
		printf("bitmaps size: %" PRIu64 "\n", result->bitmaps);
}

static int co_measure(struct measure *m, struct blk_node *source)
{
	struct error err = ERROR_INIT;
	struct blk_measure result;

	if (!blk_driver_find(m->target_format))
		return report_error("Unknown file format '%s'", m->target_format);
	if (img_options_parse(&m->opts, m->options, m->target_format, &err) < 0) {
		report_fail(&err);
		/* By our own name an error is one line. */
		if (report_as_qemu())
			report_error("Invalid options for file format '%s'", m->target_format);
		return 1;
	}
	if (source)
		m->size = source->size;
	else if (m->opts.has_size && !m->has_size)
		m->size = m->opts.size;
	m->opts.size = m->size;
	if (img_co_measure(&m->opts, m->target_format, source, &result, &err) < 0)
		return report_fail(&err);
	print_result(m, &result);
	return 0;
}

static int co_run_measure(struct measure *m)
{
	struct blk_node *source = NULL;
	int status;

	if (m->filename) {
		source = img_co_open(m->filename, m->format, m->source_flags);
		if (!source)
			return 1;
	}
	status = m->snapshot ? img_co_load_snapshot(source) : co_measure(m, source);
	if (source)
		blk_co_close(source);
	return status;
}

static int parse_snapshot(void *verb, const struct verb_option *option, const char *value)
{
	struct measure *m = verb;

	(void)option;
	m->snapshot = value;
	return img_check_snapshot_param(value);
}

static int parse_new_size(void *verb, const struct verb_option *option, const char *value)
{
	struct measure *m = verb;

	(void)option;
	m->has_size = true;
	return img_parse_size("image size", value, &m->size);
}

static int parse_output(void *verb, const struct verb_option *option, const char *value)
{
	struct measure *m = verb;

	(void)option;
	return img_parse_output(value, &m->json);
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct measure, source_flags),
	IMG_FORCE_SHARE(struct measure, source_flags),
	OPT_TEXT('f', NULL, struct measure, format),
	OPT_TEXT('O', NULL, struct measure, target_format),
	OPT_CALL_VALUE(0, "output", parse_output),
	OPT_CALL_VALUE('l', NULL, parse_snapshot),
	IMG_LIST('o', NULL, struct measure, options),
	OPT_CALL_VALUE(0, "size", parse_new_size),
	IMG_OPTIONS_END,
};

static int check_letters(struct measure *m, int argc, char **argv)
{
	if (argc - optind > 1)
		return report_error("At most one filename argument is allowed.");
	if (argc - optind == 1)
		m->filename = argv[optind];
	if (!m->filename && (m->format || m->snapshot || (m->source_flags & IMG_O_IMAGE_OPTS)))
		return report_error("--image-opts, -f, and -l require a filename argument.");
	if (!m->filename && !m->has_size)
		return report_error("Either --size N or one filename must be specified.");
	if (m->filename && m->has_size)
		return report_error("--size N cannot be used together with a filename.");
	return 0;
}

static int run(int argc, char **argv)
{
	struct measure m = { .target_format = "raw" };
	int status = 1;

	if (!img_parse_options(argc, argv, options, &m) && !check_letters(&m, argc, argv))
		status = co_run_measure(&m);
	img_options_free(&m.opts);
	free(m.options);
	return status;
}

const struct verb img_measure_verb = {
	.name = "measure",
	.synopsis = "[--object OBJECT] [--image-opts] [-f FMT] [-O FMT] [-o OPTIONS] "
		    "[--output=human|json] [-l SNAPSHOT] [-U] [--size N | FILE]",
	.summary = "tell how much space a new image will take",
	.options = "  --object OBJECT, --image-opts\n"
		   "                       as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -f FMT               format of FILE; probed otherwise\n"
		   "  -O FMT               format of the new image (raw)\n"
		   "  -o OPTIONS           of the new image, as for create\n"
		   "  -l SNAPSHOT          of FILE: an error, as where there is none\n"
		   "  --size N             size of a new image that is empty, in place of FILE\n"
		   "  --output=human|json  text, or a JSON object\n"
		   "  -U, --force-share    also when another process writes to FILE\n",
	.example = "qed-img measure -O qed disk.img",
	.run = run,
};
