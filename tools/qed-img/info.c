// SPDX-License-Identifier: GPL-2.0
/* qed-img info: describe an image or a chain of images. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/report.h"
#include "file/name.h"
#include "image/image.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "util/json_text.h"
#include "util/units.h"

struct info {
	const char *format, *output;
	bool json, chain;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
};

/* The facts about an image, which is closed again. */
struct image_facts {
	const char *opened; /* the name that it was opened by; not owned */
	bool by_options; /* that name is one with options */
	char *filename;
	const char *format;
	struct blk_info info; /* the texts of its items are on the heap */
	/* The file's identity; of an image that is not a local file the name. */
	bool is_local;
	uint64_t dev, ino;
	char *backing_name; /* as stored, or NULL */
	char *backing_format; /* as stored, or NULL */
	char *backing_path; /* its name from the current directory, or NULL */
};

struct chain {
	struct image_facts *images; /* the top first */
	size_t count, room;
};

static void free_facts(struct image_facts *facts)
{
	for (unsigned int i = 0; i < facts->info.nr_items; i++)
		if (facts->info.items[i].kind == BLK_INFO_TEXT)
			free((char *)facts->info.items[i].text);
	free(facts->filename);
	free(facts->backing_name);
	free(facts->backing_format);
	free(facts->backing_path);
}

static char *copy_string(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* Make the texts of @info survive the image. */
static int copy_texts(struct blk_info *info)
{
	int ret = 0;

	for (unsigned int i = 0; i < info->nr_items; i++) {
		struct blk_info_item *item = &info->items[i];

		if (item->kind != BLK_INFO_TEXT)
			continue;
		item->text = strdup(item->text);
		if (!item->text)
			ret = -ENOMEM;
	}
	return ret;
}

static int co_look(const char *filename, const char *format, unsigned int source_flags,
		   struct image_facts *facts)
{
	/* BLK_O_CHECK also opens an image that is marked as damaged. */
	unsigned int flags = BLK_O_NO_BACKING | BLK_O_CHECK | BLK_O_NO_IO | source_flags;
	struct blk_node *node = img_co_open(filename, format, flags);
	int ret;

	if (!node)
		return 1;
	*facts = (struct image_facts){
		.opened = filename,
		.by_options = source_flags & IMG_O_IMAGE_OPTS || blk_name_is_json(filename),
		.filename = copy_string(node->filename),
		.format = blk_node_format(node),
		.backing_name = copy_string(node->backing_name),
		.backing_format = copy_string(node->backing_format),
		.is_local = !node->file->protocol,
		.dev = node->file->dev,
		.ino = node->file->ino,
	};
	/* There may be none: an export has no directory. */
	ret = blk_backing_name(node, &facts->backing_path, NULL);
	if (ret == -ENOMEM || !facts->filename || !facts->backing_name != !node->backing_name ||
	    !facts->backing_format != !node->backing_format)
		ret = -ENOMEM;
	else
		ret = blk_co_info(node, &facts->info);
	if (!ret)
		ret = copy_texts(&facts->info);
	else
		facts->info.nr_items = 0;
	blk_co_close(node);
	if (ret == 0)
		return 0;
	free_facts(facts);
	return report_error("%s: %s", filename, strerror(-ret));
}

static void print_backing(const struct image_facts *facts)
{
	const char *name = facts->backing_name, *path = facts->backing_path;

	if (!name)
		return;
	if (!path)
		print_line("backing file: %s (cannot determine actual path)", name);
	else if (strcmp(path, name))
		print_line("backing file: %s (actual path: %s)", name, path);
	else
		print_line("backing file: %s", name);
	if (facts->backing_format)
		print_line("backing file format: %s", facts->backing_format);
}

static void print_human(const struct image_facts *facts)
{
	char virtual_size[32], disk_size[32];

	format_size(virtual_size, sizeof(virtual_size), facts->info.virtual_size);
	if (facts->info.actual_size_unknown)
		snprintf(disk_size, sizeof(disk_size), "unavailable");
	else
		format_size(disk_size, sizeof(disk_size), facts->info.actual_size);
	print_line("image: %s", facts->filename);
	printf("file format: %s\nvirtual size: %s (%" PRIu64 " bytes)\ndisk size: %s\n",
	       facts->format, virtual_size, facts->info.virtual_size, disk_size);
	if (facts->info.encrypted)
		printf("encrypted: yes\n");
	if (facts->info.cluster_size)
		printf("cluster_size: %" PRIu32 "\n", facts->info.cluster_size);
	if (facts->info.dirty)
		printf("cleanly shut down: no\n");
	print_backing(facts);
	image_print_specific(&facts->info);
}

static void set_string(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_text(value));
}

static json_t *item_to_json(const struct blk_info_item *item)
{
	switch (item->kind) {
	case BLK_INFO_BOOL:
		return json_boolean(item->number);
	case BLK_INFO_NUMBER:
		return json_integer((json_int_t)item->number);
	default:
		return json_text(item->text);
	}
}

static void add_specific(json_t *object, const struct image_facts *facts)
{
	json_t *data, *value;
	char group[64];

	if (!facts->info.nr_items)
		return;
	data = json_object();
	for (unsigned int i = 0; i < facts->info.nr_items; i++) {
		const char *name = facts->info.items[i].name, *part = strchr(name, '.');

		value = item_to_json(&facts->info.items[i]);
		snprintf(group, sizeof(group), "%.*s", (int)strcspn(name, "."), name);
		json_object_set_new(data, group,
				    part ? json_pack("{s:o}", part + 1, value) : value);
	}
	json_object_set_new(object, "format-specific",
			    json_pack("{s:s, s:o}", "type", facts->format, "data", data));
}

/* Keys in qemu-img's order, since scripts compare the text. */
static json_t *to_json(const struct image_facts *facts)
{
	json_t *object = json_object();

	if (facts->backing_name)
		set_string(object, "backing-filename-format", facts->backing_format);
	json_object_set_new(object, "virtual-size",
			    json_integer((json_int_t)facts->info.virtual_size));
	set_string(object, "filename", facts->filename);
	if (facts->info.cluster_size)
		json_object_set_new(object, "cluster-size", json_integer(facts->info.cluster_size));
	set_string(object, "format", facts->format);
	if (!facts->info.actual_size_unknown)
		json_object_set_new(object, "actual-size",
				    json_integer((json_int_t)facts->info.actual_size));
	add_specific(object, facts);
	if (facts->backing_name)
		set_string(object, "full-backing-filename", facts->backing_path);
	set_string(object, "backing-filename", facts->backing_name);
	if (facts->info.encrypted)
		json_object_set_new(object, "encrypted", json_true());
	if (!facts->info.dirty_unknown)
		json_object_set_new(object, "dirty-flag", json_boolean(facts->info.dirty));
	return object;
}

static void print_all(const struct info *in, const struct chain *chain)
{
	const struct image_facts *images = chain->images;
	json_t *array;
	size_t i;

	if (in->json && !in->chain) {
		img_json_print(to_json(&images[0]));
		return;
	}
	array = json_array();
	for (i = 0; i < chain->count; i++) {
		if (in->json) {
			json_array_append_new(array, to_json(&images[i]));
			continue;
		}
		if (i)
			printf("\n");
		print_human(&images[i]);
	}
	if (in->json)
		img_json_print(array);
	else
		json_decref(array);
}

static bool is_same(const struct image_facts *a, const struct image_facts *b)
{
	/* By options, a part of a file can be an image. */
	if (a->by_options || b->by_options)
		return a->by_options == b->by_options && !strcmp(a->opened, b->opened);
	if (a->is_local && b->is_local)
		return a->dev == b->dev && a->ino == b->ino;
	return a->is_local == b->is_local && !strcmp(a->filename, b->filename);
}

static bool is_loop(const struct chain *chain)
{
	size_t last = chain->count - 1, i = 0;

	while (i < last && !is_same(&chain->images[i], &chain->images[last]))
		i++;
	return i < last;
}

/* Describe one more image. Returns 0, or 1 after an error message. */
static int co_look_at_next(struct chain *chain, const char *filename, const char *format,
			   unsigned int source_flags)
{
	struct image_facts *more;

	if (chain->count == chain->room) {
		chain->room = 2 * chain->room + 1;
		more = reallocarray(chain->images, chain->room, sizeof(*more));
		if (!more)
			return report_error("%s", strerror(ENOMEM));
		chain->images = more;
	}
	if (co_look(filename, format, source_flags, &chain->images[chain->count]))
		return 1;
	chain->count++;
	return is_loop(chain) ?
		       report_error("Backing file '%s' creates an infinite loop.", filename) :
		       0;
}

/* Describe the next image of the chain. Returns 0, or 1 after an error message. */
static int co_look_below(const struct info *in, struct chain *chain)
{
	/* Its strings stay where they are when the array moves. */
	struct image_facts above = chain->images[chain->count - 1];

	if (!above.backing_path)
		return report_error("Could not determine absolute backing file name.");
	/* Files end, or form a loop; a server can make up names for ever. */
	if ((!above.is_local || above.by_options) && chain->count >= BLK_MAX_CHAIN)
		return report_error("'%s': more than %u images in its backing chain",
				    chain->images[0].filename, BLK_MAX_CHAIN);
	return co_look_at_next(chain, above.backing_path, above.backing_format,
			       (in->source_flags & ~IMG_O_IMAGE_OPTS) | BLK_O_BELOW);
}

/* Print nothing if a part of the chain cannot be opened. */
static int co_run_info(const struct info *in, const char *filename)
{
	struct chain chain = { 0 };
	int status = co_look_at_next(&chain, filename, in->format, in->source_flags);

	while (!status && in->chain && chain.images[chain.count - 1].backing_name)
		status = co_look_below(in, &chain);
	if (!status)
		print_all(in, &chain);
	while (chain.count)
		free_facts(&chain.images[--chain.count]);
	free(chain.images);
	return status;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct info, source_flags),
	IMG_FORCE_SHARE(struct info, source_flags),
	OPT_TEXT('f', "format", struct info, format),
	OPT_TEXT(0, "output", struct info, output),
	OPT_SWITCH(0, "backing-chain", struct info, chain),
	IMG_OPTIONS_END,
};

static int run(int argc, char **argv)
{
	struct info in = { .output = "human" };
	const char *filename;

	if (img_parse_options(argc, argv, options, &in))
		return 1;
	filename = img_one_filename(argc, argv);
	if (!filename || img_parse_output(in.output, &in.json))
		return 1;
	return co_run_info(&in, filename);
}

const struct verb img_info_verb = {
	.name = "info",
	.synopsis = "[--object OBJECT] [--image-opts] "
		    "[-f FMT] [--output=human|json] [--backing-chain] [-U] FILE",
	.summary = "tell what an image is",
	.options =
		"  --object OBJECT, --image-opts\n"
		"                       as qed-img(1) says under IMAGES BY OPTIONS\n"
		"  -f, --format FMT     format of the image; probed otherwise\n"
		"  --output=human|json  text, or a JSON object\n"
		"  --backing-chain      also each image of the backing chain; with json an array\n"
		"  -U, --force-share    also when another process writes to the image\n",
	.example = "qed-img info --backing-chain vm1.qed",
	.run = run,
};
