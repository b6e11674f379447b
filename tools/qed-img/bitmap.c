// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img bitmap: dirty bitmaps, which no writable format has. The first of several
 * actions fails, as all would.
 */
#include <errno.h>
#include <string.h>

#include "cmdline/report.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

#define MIN_GRANULARITY 512u
#define MAX_GRANULARITY (1u << 31)

struct bitmap {
	const char *filename, *name, *format;
	const char *source, *source_format;
	const char *action; /* the first action */
	bool add, merge; /* among the actions */
	uint64_t granularity; /* bytes; 0: not given */
	unsigned int flags;
};

static int parse_action(void *verb, const struct verb_option *option, const char *value)
{
	struct bitmap *b = verb;

	(void)value;
	if (!b->action)
		b->action = option->name;
	b->add |= !strcmp(option->name, "add");
	b->merge |= !strcmp(option->name, "merge");
	return 0;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct bitmap, flags),
	OPT_CALL(0, "add", parse_action),
	OPT_CALL(0, "remove", parse_action),
	OPT_CALL(0, "clear", parse_action),
	OPT_CALL(0, "enable", parse_action),
	OPT_CALL(0, "disable", parse_action),
	OPT_CALL_VALUE(0, "merge", parse_action),
	IMG_SIZE('g', "granularity", struct bitmap, granularity, "granularity"),
	OPT_TEXT('b', "source-file", struct bitmap, source),
	OPT_TEXT('F', "source-format", struct bitmap, source_format),
	OPT_TEXT('f', NULL, struct bitmap, format),
	IMG_OPTIONS_END,
};

static int check_letters(struct bitmap *b, int argc, char **argv)
{
	if (!b->action)
		return report_error("Need at least one of --add, --remove, --clear, --enable, "
				    "--disable, or --merge");
	if (b->granularity && !b->add)
		return report_error("granularity only supported with --add");
	if (b->source_format && !b->source)
		return report_error("-F only supported with -b");
	if (b->source && !b->merge)
		return report_error("Merge bitmap source file only supported with --merge");
	if (argc - optind != 2)
		return report_error("Expecting filename and bitmap name");
	b->filename = argv[optind];
	b->name = argv[optind + 1];
	return 0;
}

static int report_action(const struct bitmap *b, const struct blk_node *node)
{
	uint64_t size = b->granularity;

	if (strcmp(b->action, "add"))
		return report_error("Operation %s on bitmap %s failed: Dirty bitmap '%s' not found",
				    b->action, b->name, b->name);
	if (!*b->name)
		return report_error("Operation add on bitmap  failed: Bitmap name cannot be empty");
	if (size && (size < MIN_GRANULARITY || size > MAX_GRANULARITY || (size & (size - 1))))
		return report_error("Operation add on bitmap %s failed: Granularity must be "
				    "power of 2 and at least 512",
				    b->name);
	return report_error("Operation add on bitmap %s failed: "
			    "Can't store persistent bitmaps to %s: %s",
			    b->name, node->filename, strerror(ENOTSUP));
}

/* Do not open backing files. */
static int co_bitmap(const struct bitmap *b)
{
	struct blk_node *node, *source = NULL;
	int status = 1;

	node = img_co_open(b->filename, b->format, b->flags | BLK_O_RDWR | BLK_O_NO_BACKING);
	if (!node)
		return 1;
	if (b->source)
		source = img_co_open(b->source, b->source_format, BLK_O_NO_BACKING);
	if (source || !b->source)
		status = report_action(b, node);
	if (source)
		blk_co_close(source);
	blk_co_close(node);
	return status;
}

static int run(int argc, char **argv)
{
	struct bitmap b = { 0 };

	if (img_parse_options(argc, argv, options, &b) || check_letters(&b, argc, argv))
		return 1;
	return co_bitmap(&b);
}

const struct verb img_bitmap_verb = {
	.name = "bitmap",
	.synopsis = "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... "
		    "[-b FILE [-F FMT]] [-g GRANULARITY] [--object OBJECT] [--image-opts | -f FMT] "
		    "FILE BITMAP",
	.summary = "bitmaps of changes, which no format here keeps",
	.options = "  --object OBJECT, --image-opts\n"
		   "                  as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  --add           an error, as with qemu-img and these formats, and so are\n"
		   "  --remove, --clear, --enable, --disable, --merge SOURCE\n"
		   "  -b, --source-file FILE\n"
		   "                  with --merge: the image that has SOURCE\n"
		   "  -F, --source-format FMT\n"
		   "                  its format; probed otherwise\n"
		   "  -g, --granularity GRANULARITY\n"
		   "                  with --add: bytes for a bit, a power of 2 from 512\n"
		   "  -f FMT          format of the image; probed otherwise\n",
	.example = "qed-img bitmap --add vm1.qed changes",
	.run = run,
};
