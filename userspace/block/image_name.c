// SPDX-License-Identifier: GPL-2.0
/*
 * Parse the names and options of images.
 *
 * The terms are those of QEMU's block layer: an image is a format driver over
 * a child "file", which is a protocol; its options may describe a child "backing".
 * A driver with a protocol's name stands for that protocol's bytes unchanged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/image_name.h"
#include "block/node.h"
#include "file/name.h"
#include "file/protocol.h"
#include "util/units.h"

/* Switches of every driver and every protocol. */
struct common {
	bool read_only, auto_read_only, direct, no_flush, force_share;
	bool has_read_only, has_direct;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
}

/* Returns a negative errno if one of them is invalid. */
static int take_switches(struct blk_options *o, struct common *c, struct error *err)
{
	bool ignored;
	struct {
		const char *name;
		bool *on, *has;
	} switches[] = {
		{ "read-only", &c->read_only, &c->has_read_only },
		{ "auto-read-only", &c->auto_read_only, NULL },
		{ "cache.direct", &c->direct, &c->has_direct },
		{ "cache.no-flush", &c->no_flush, NULL },
		{ "cache.writeback", &ignored, NULL },
		{ "force-share", &c->force_share, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		int ret = blk_options_take_switch(o, switches[i].name, switches[i].on, err);

		if (ret < 0)
			return ret;
		if (switches[i].has)
			*switches[i].has = ret > 0;
	}
	return 0;
}

static int take_words(struct blk_options *o, bool *ignore_discard, struct error *err)
{
	static const char *const detections[] = { "off", "on", "unmap", NULL };
	const char *node_name = blk_options_take(o, "node-name"), *detect;
	const char *given = blk_options_take(o, "discard"), *discard = given ? given : "unmap";

	*ignore_discard = !strcmp(discard, "off") || !strcmp(discard, "ignore");
	if (node_name && !blk_is_identifier(node_name))
		return error_set(err, -EINVAL, "Invalid node-name: '%s'", node_name);
	if (!*ignore_discard && strcmp(discard, "on") && strcmp(discard, "unmap"))
		return error_set(err, -EINVAL, "Invalid discard option");
	if (blk_options_take_word(o, "detect-zeroes", detections, &detect, err))
		return -EINVAL;
	if (detect && !strcmp(detect, "unmap") && (!given || *ignore_discard))
		return error_set(err, -EINVAL,
				 "setting detect-zeroes to unmap is not allowed without setting "
				 "discard operation to unmap");
	return 0;
}

/* Take the options of every node.  Flags go to @name. */
static int take_common(struct blk_image_name *name, struct blk_options *o, struct error *err)
{
	struct common c = { 0 };
	bool ignore_discard;
	int ret = take_switches(o, &c, err);

	if (!ret)
		ret = take_words(o, &ignore_discard, err);
	if (ret)
		return ret;
	if (c.force_share && c.has_read_only && !c.read_only)
		return error_set(err, -EINVAL,
				 "force-share=on can only be used with read-only images");
	name->read_only |= c.read_only;
	name->force_share |= c.force_share;
	if (c.has_direct)
		*(c.direct ? &name->flags_on : &name->flags_off) |= BLK_O_DIRECT;
	if (c.no_flush)
		name->flags_on |= BLK_O_NO_FLUSH;
	if (c.force_share)
		name->flags_on |= BLK_O_NO_LOCK;
	if (ignore_discard)
		name->flags_on |= BLK_O_DISCARD_IGNORE;
	return 0;
}

/* ---- Protocols ---- */

/* Set the file of @name to that of the name @filename, with the driver @driver (NULL: any). */
static int take_filename(struct blk_image_name *name, const char *filename, const char *driver,
			 struct error *err)
{
	const struct blk_protocol *protocol = driver ? blk_protocol_find(driver) : NULL;
	int ret = blk_name_place(filename, protocol, &name->filename, &name->file_flags, err);

	if (ret || *name->filename)
		return ret;
	return error_set(err, -EINVAL, "The '%s' block driver requires a file name",
			 protocol ? protocol->name : BLK_FILE);
}

/*
 * Take the options @o of a protocol: of the child "file", or of an image without a format.
 * @filename: a name that is given beside them, or NULL.
 */
static int take_protocol(struct blk_image_name *name, const char *driver, struct blk_options *o,
			 const char *filename, struct error *err)
{
	const struct blk_protocol *protocol = blk_protocol_find(driver ? driver : BLK_FILE);
	const char *left;
	bool no_lock = false;
	int ret;

	if (!protocol)
		return error_set(err, -EINVAL, "Unknown driver '%s'", driver);
	if (filename && blk_options_has(o, "filename"))
		return error_set(err, -EINVAL,
				 "Can't specify 'file' and 'filename' options at the same time");
	ret = take_common(name, o, err);
	if (!ret && filename)
		ret = take_filename(name, filename, driver, err);
	else if (!ret)
		ret = protocol->name_from(o, &name->filename, err);
	if (!ret && !*name->filename)
		return error_set(err, -EINVAL, "The '%s' block driver requires a file name",
				 protocol->name);
	if (driver && !filename)
		name->file_flags = protocol->file_flags;
	if (!ret && !protocol->co_open)
		ret = blk_file_take_options(o, name->flags_on & BLK_O_DIRECT, &no_lock, err);
	if (ret)
		return ret;
	if (no_lock)
		name->flags_on |= BLK_O_NO_LOCK;
	left = blk_options_left(o);
	if (left)
		return error_set(err, -EINVAL,
				 "Block protocol '%s' doesn't support the option '%s'",
				 protocol->name, left);
	return 0;
}

/* ---- Formats ---- */

/* Take the child "backing": options, null, or a node's name, which is unsupported. */
static int take_backing(struct blk_image_name *name, struct blk_options *o, struct error *err)
{
	bool named = blk_options_has(o, "backing");
	const char *node = blk_options_take(o, "backing");
	int ret = blk_options_take_part(o, "backing", &name->backing, err);

	if (ret)
		return ret;
	name->no_backing = named && (!node || !*node);
	if (named && node && *node)
		return error_set(err, -EINVAL,
				 "Could not open backing file: Cannot find device='%s' nor "
				 "node-name='%s'",
				 node, node);
	if (name->no_backing && name->backing)
		return error_set(err, -EINVAL,
				 "Cannot reference an existing block device while "
				 "giving new options");
	return 0;
}

/* Take the options @o of an image that is in the place of the file of another one. */
static int take_image_below(struct blk_image_name *name, struct blk_options *o,
			    const char *filename, struct error *err)
{
	struct blk_image_name below;
	int ret;

	/* Names come from headers, too. */
	if (blk_options_has_part(o, "file.file.file"))
		return error_set(err, -EINVAL, "too many images lie on top of each other");
	ret = blk_options_new(&name->below, err);
	if (!ret && blk_options_add_missing(name->below, o))
		ret = no_memory(err);
	if (!ret && filename && !(name->below_name = strdup(filename)))
		ret = no_memory(err);
	if (!ret)
		ret = blk_image_name_parse(&below, filename, NULL, o, err);
	if (ret)
		return ret;
	name->filename = below.filename;
	below.filename = NULL;
	blk_image_name_free(&below);
	return 0;
}

/* Take the options @o of the child "file": a protocol, or another image with a format. */
static int take_child(struct blk_image_name *name, struct blk_options *o, const char *filename,
		      struct error *err)
{
	const char *driver = blk_options_take(o, "driver");

	if (driver && blk_driver_find(driver) && !blk_protocol_find(driver))
		return take_image_below(name, o, filename, err);
	return take_protocol(name, driver, o, filename, err);
}

/* Take an image with a format, known or to be probed, over the child "file". */
static int take_format(struct blk_image_name *name, struct blk_options *o, const char *filename,
		       struct error *err)
{
	const char *reference = blk_options_take(o, "file");
	struct blk_options *child;
	int ret = take_common(name, o, err);

	if (!ret && reference)
		ret = error_set(err, -EINVAL, "Cannot find device='%s' nor node-name='%s'",
				reference, reference);
	if (!ret)
		ret = take_backing(name, o, err);
	if (!ret)
		ret = blk_options_take_part(o, "file", &child, err);
	if (ret)
		return ret;
	if (child)
		ret = take_child(name, child, filename, err);
	else if (filename)
		ret = take_filename(name, filename, NULL, err);
	else if (name->format)
		ret = error_set(err, -EINVAL, "A block device must be specified for \"file\"");
	else
		ret = error_set(err, -EINVAL, "Must specify either driver or file");
	blk_options_free(child);
	return ret;
}

static int take_all(struct blk_image_name *name, const char *filename, const char *format,
		    struct error *err)
{
	struct blk_options *o = name->options;
	const char *driver = blk_options_take(o, "driver");

	if (format)
		driver = format;
	name->format = driver ? strdup(driver) : NULL;
	if (driver && !name->format)
		return no_memory(err);
	if (driver && !blk_driver_find(driver))
		return error_set(err, -EINVAL, "Unknown driver '%s'", driver);
	if (!driver || !blk_protocol_find(driver) || blk_options_has(o, "file"))
		return take_format(name, o, filename, err);
	return take_protocol(name, driver, o, filename, err);
}

/* Merge the options of json:{...} with @options, which win.  *@all (heap) is NULL if none. */
static int gather_options(struct blk_options **all, const char *filename,
			  const struct blk_options *options, struct error *err)
{
	bool json = filename && blk_name_is_json(filename);
	struct blk_options *from = NULL;
	int ret;

	*all = NULL;
	if (!json && !options)
		return 0;
	ret = blk_options_new(all, err);
	if (!ret && options && blk_options_add_missing(*all, options))
		ret = no_memory(err);
	if (!ret && json)
		ret = blk_options_parse_json(&from, filename, err);
	if (!ret && json && blk_options_add_missing(*all, from))
		ret = no_memory(err);
	blk_options_free(from);
	return ret;
}

int blk_image_name_parse(struct blk_image_name *name, const char *filename, const char *format,
			 const struct blk_options *options, struct error *err)
{
	int ret;

	*name = (struct blk_image_name){ 0 };
	ret = gather_options(&name->options, filename, options, err);
	if (!ret && name->options) {
		if (filename && blk_name_is_json(filename))
			filename = NULL;
		ret = take_all(name, filename, format, err);
	} else if (!ret) {
		name->format = format ? strdup(format) : NULL;
		ret = format && !name->format ? no_memory(err) :
						take_filename(name, filename, format, err);
	}
	if (ret)
		blk_image_name_free(name);
	return ret;
}

void blk_image_name_free(struct blk_image_name *name)
{
	free(name->filename);
	free(name->format);
	blk_options_free(name->options);
	blk_options_free(name->backing);
	blk_options_free(name->below);
	free(name->below_name);
	*name = (struct blk_image_name){ 0 };
}

bool blk_options_say_file(const struct blk_options *options)
{
	const struct blk_protocol *const *protocol;

	for (protocol = blk_protocols; *protocol; protocol++)
		for (const char *const *name = (*protocol)->address; name && *name; name++)
			if (blk_options_has(options, *name))
				return true;
	return blk_options_has(options, "file") || blk_options_has_part(options, "file");
}

int blk_image_name_check_left(const struct blk_image_name *name, const char *driver,
			      struct error *err)
{
	const char *left = name->options ? blk_options_left(name->options) : NULL;

	if (!left)
		return 0;
	return error_set(err, -EINVAL, "Block format '%s' does not support the option '%s'", driver,
			 left);
}
