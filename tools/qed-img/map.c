// SPDX-License-Identifier: GPL-2.0
/* qed-img map: print where the data of an image lies, in its whole chain. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/io.h"
#include "cmdline/report.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "util/units.h"

/* A range with a uniform status; in bytes. */
struct map_extent {
	uint64_t start, length;
	unsigned int depth;
	bool present, zero, data;
	bool has_offset;
	uint64_t offset; /* in the file */
	const struct blk_file *file; /* the file that @offset is in */
};

struct map {
	const char *filename, *format, *output;
	bool json;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	uint64_t start, max_length;
	bool has_max_length;
	struct map_extent current; /* grows until the status changes */
	bool printed;
};

static int print_human(const struct map_extent *e)
{
	if (!e->data || e->zero)
		return 0;
	if (!e->has_offset)
		return report_error("File contains external, encrypted or compressed clusters.");
	print_line("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s", e->start, e->length,
		   e->offset, e->file->name);
	return 0;
}

/* One extent per line, as in qemu-img, unlike other JSON output. */
static int print_json(struct map *m, const struct map_extent *e)
{
	static const char *const truth[] = { "false", "true" };

	printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, "
	       "\"present\": %s, \"zero\": %s, \"data\": %s",
	       m->printed ? ",\n" : "[", e->start, e->length, e->depth, truth[e->present],
	       truth[e->zero], truth[e->data]);
	if (e->has_offset)
		printf(", \"offset\": %" PRIu64, e->offset);
	printf("}");
	m->printed = true;
	return 0;
}

static int print_extent(struct map *m, const struct map_extent *e)
{
	return m->json ? print_json(m, e) : print_human(e);
}

static struct map_extent to_extent(uint64_t start, const struct blk_status *st)
{
	/* Beyond the end of a backing file no image has data; it is reported at the image above. */
	bool beyond = st->depth && start >= st->node->size;
	bool present = st->kind != BLK_MAP_BACKING && !beyond;

	return (struct map_extent){
		.start = start,
		.length = st->bytes,
		.depth = st->depth - beyond,
		.present = present,
		.zero = st->zero,
		.data = st->kind == BLK_MAP_DATA,
		.has_offset = st->file,
		.offset = st->file_offset,
		.file = st->file,
	};
}

static bool continues(const struct map_extent *a, const struct map_extent *b)
{
	return a->length && a->depth == b->depth && a->present == b->present &&
	       a->zero == b->zero && a->data == b->data && a->has_offset == b->has_offset &&
	       (!a->has_offset || (a->file == b->file && a->offset + a->length == b->offset));
}

static int co_walk(struct map *m, struct blk_node *node)
{
	uint64_t pos = m->start, end = node->size;
	struct blk_status st;
	struct map_extent next;
	int ret;

	if (m->has_max_length && m->start < end)
		end = m->start + min_u64(m->max_length, end - m->start);
	m->current = (struct map_extent){ .start = pos };
	while (pos < end) {
		ret = blk_co_status(node, pos, end - pos, &st);
		if (ret < 0)
			return report_error("Could not read file metadata: %s", strerror(-ret));
		next = to_extent(pos, &st);
		pos += st.bytes;
		if (continues(&m->current, &next)) {
			m->current.length += next.length;
			continue;
		}
		if (m->current.length && print_extent(m, &m->current))
			return 1;
		m->current = next;
	}
	return print_extent(m, &m->current);
}

static int co_run_map(struct map *m)
{
	struct blk_node *node = img_co_open(m->filename, m->format, m->source_flags);
	int status;

	if (!node)
		return 1;
	if (!m->json)
		printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
	status = co_walk(m, node);
	if (m->json && !status)
		printf("]\n");
	blk_co_close(node);
	return status;
}

static int parse_length(void *verb, const struct verb_option *option, const char *value)
{
	struct map *m = verb;

	(void)option;
	m->has_max_length = true;
	return img_parse_size("max length", value, &m->max_length);
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct map, source_flags),
	IMG_FORCE_SHARE(struct map, source_flags),
	OPT_TEXT('f', "format", struct map, format),
	OPT_TEXT(0, "output", struct map, output),
	IMG_SIZE('s', "start-offset", struct map, start, "start offset"),
	OPT_CALL_VALUE('l', "max-length", parse_length),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct map m = { .output = "human" };

	if (img_parse_options(argc, argv, options, &m))
		return 1;
	m.filename = img_one_filename(argc, argv);
	if (!m.filename || img_parse_output(m.output, &m.json))
		return 1;
	return co_run_map(&m);
}

const struct verb img_map_verb = {
	.name = "map",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [--start-offset=OFFSET] [--max-length=LENGTH] "
		    "[--output=human|json] [-U] FILE",
	.summary = "tell where the bytes of an image are",
	.options = "  --object OBJECT, --image-opts\n"
		   "                       as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -f, --format FMT     format of the image; probed otherwise\n"
		   "  -s, --start-offset=OFFSET\n"
		   "                       begin there\n"
		   "  -l, --max-length=LENGTH\n"
		   "                       so many bytes\n"
		   "  --output=human|json  runs of data as text, or every run as JSON\n"
		   "  -U, --force-share    also when another process writes to the image\n",
	.example = "qed-img map --output=json vm1.qed",
	.run = run,
};
