// SPDX-License-Identifier: GPL-2.0
/* Opening images for the image tools, with errors in the words of QEMU's tools. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/image_name.h"
#include "cmdline/report.h"
#include "file/protocol.h"
#include "cmdline/report.h"
#include "image/image.h"
#include "util/units.h"

int image_cache_parse(const char *mode, struct image_cache *cache)
{
	static const struct {
		const char *name;
		struct image_cache cache;
	} modes[] = {
		{ "none", { .direct = true } },
		{ "off", { .direct = true } },
		{ "directsync", { .direct = true, .writethrough = true } },
		{ "writeback", { 0 } },
		{ "unsafe", { .no_flush = true } },
		{ "writethrough", { .writethrough = true } },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!strcmp(modes[i].name, mode)) {
			*cache = modes[i].cache;
			return 0;
		}
	}
	return -EINVAL;
}

/* Return "./@path", which is kept until the program ends; NULL without memory. */
static const char *dot_path(const char *path)
{
	static char **kept;
	static size_t count;
	char **more;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(kept[i] + 2, path))
			return kept[i];
	more = reallocarray(kept, count + 1, sizeof(*kept));
	if (!more)
		return NULL;
	kept = more;
	return asprintf(&kept[count], "./%s", path) < 0 ? NULL : kept[count++];
}

const char *image_path(const char *filename, struct error *err)
{
	const char *path = filename;

	if (!blk_name_has_protocol(filename) || blk_name_is_url(filename))
		return filename;
	if (strncmp(filename, "file:", 5)) {
		error_set(err, -EINVAL, "Unknown protocol '%.*s'", (int)strcspn(filename, ":"),
			  filename);
		return NULL;
	}
	path += 5;
	/* What is left must not be taken for another protocol's name. */
	if (blk_name_has_protocol(path))
		path = dot_path(path);
	if (!path)
		error_set_errno(err, -ENOMEM, "%s", filename);
	return path;
}

static bool same_path(const char *a, const char *b)
{
	char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);
	bool same = real_a && real_b && !strcmp(real_a, real_b);

	free(real_a);
	free(real_b);
	return same;
}

bool image_has_backing(const struct blk_node *node, const char *name)
{
	const char *path = node->backing->filename;
	char *wanted = blk_resolve_backing(node->filename, name);
	bool is;

	if (blk_name_is_json(name))
		is = node->backing_name && !node->backing_options &&
		     !strcmp(name, node->backing_name);
	else if (blk_name_is_url(name) || blk_name_is_url(path))
		is = wanted && !strcmp(path, wanted);
	else
		is = wanted && same_path(path, wanted);
	free(wanted);
	return is;
}

const char *image_new_path(const char *filename, struct error *err)
{
	if (!blk_name_is_json(filename))
		return image_path(filename, err);
	error_set(err, -EINVAL, "Unknown protocol 'json'");
	return NULL;
}

/* Replace the text of @err, which is set; keep the code. */
static void reword(struct error *err, char *text)
{
	if (!text)
		return; /* no memory: keep the old text */
	free(err->text);
	err->text = text;
}

/*
 * Return QEMU's message (heap) for "@file: @reason", or NULL without memory. @doing:
 * create, open (for writing), or read.
 */
static char *words_for(const char *file, int file_len, const char *reason, const char *doing,
		       int code)
{
	char *words;

	/* Continue only for a bare errno: open(2) failed. */
	if (strcmp(reason, strerror(-code)))
		return strdup(reason);
	if (code == -EISDIR && !strcmp(doing, "read")) {
		if (asprintf(&words, "'file' driver requires '%.*s' to be a regular file", file_len,
			     file) < 0)
			return NULL;
		return words;
	}
	if (!strcmp(doing, "read"))
		doing = "open";
	if (asprintf(&words, "Could not %s '%.*s': %s", doing, file_len, file, reason) < 0)
		return NULL;
	return words;
}

bool image_reword_lock(struct error *err)
{
	const char *text = error_text(err);
	const char *reason = strstr(text, ": Failed to get ");
	const char *question = reason ? strstr(reason, ": is another process") : NULL;
	char *words;

	if (err->code != -EBUSY || !question)
		return false;
	if (asprintf(&words, "%.*s\nIs another process using the image [%.*s]?",
		     (int)(question - reason - 2), reason + 2, (int)(reason - text), text) < 0)
		words = NULL;
	reword(err, words);
	return true;
}

void image_hint(struct error *err, const char *fmt, ...)
{
	char *line, *words = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		line = NULL;
	va_end(ap);
	/* What is more than QEMU says goes first: later it would not be at the end. */
	if (line && asprintf(&words, "%s\n%s", report_text(err), line) < 0)
		words = NULL;
	free(line);
	reword(err, words);
}

/*
 * Reword "FILE: reason" of lower layers, where FILE is @filename or a file of its
 * chain, as QEMU's "reason", or "Could not open backing file: reason".
 */
static void reword_for(const char *filename, const char *doing, struct error *err)
{
	const char *text = error_text(err);
	const char *colon = strstr(text, blk_name_is_json(text) ? "}: " : ": ");
	size_t len = strlen(filename);
	char *words, *reason;

	if (image_reword_lock(err))
		return;
	if (!strncmp(text, filename, len) && !strncmp(text + len, ": ", 2)) {
		reword(err, words_for(filename, (int)len, text + len + 2, doing, err->code));
		return;
	}
	if (!colon)
		return;
	if (*colon == '}')
		colon++;
	reason = words_for(text, (int)(colon - text), colon + 2, doing, err->code);
	/* A reason other than a bare errno keeps its file name, which QEMU's tools do not say. */
	if (!reason ||
	    asprintf(&words, "Could not open backing file: %s",
		     !strcmp(reason, colon + 2) && !report_as_qemu() ? text : reason) < 0)
		words = NULL;
	free(reason);
	reword(err, words);
}

void image_unname(const char *filename, struct error *err)
{
	const char *text = error_text(err);
	size_t len = strlen(filename);

	if (!image_reword_lock(err) && !strncmp(text, filename, len) &&
	    !strncmp(text + len, ": ", 2))
		reword(err, strdup(text + len + 2));
}

/* The same for an image opened by @path (may be NULL) and the options of @opts. */
static void reword_open(const char *path, const struct blk_open_opts *opts, struct error *err)
{
	const char *doing = opts->flags & BLK_O_RDWR ? "open" : "read";
	struct blk_image_name name;

	if (path && !opts->options && !blk_name_is_json(path)) {
		reword_for(path, doing, err);
		return;
	}
	/* The error line has the name that the options yield, if they yield one. */
	if (blk_image_name_parse(&name, path, opts->format, opts->options, NULL) < 0) {
		if (path)
			image_unname(path, err);
		return;
	}
	reword_for(name.filename, doing, err);
	blk_image_name_free(&name);
}

const char *image_backing_dir;

int image_co_open(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		  struct error *err)
{
	struct blk_open_opts limited = *opts;
	const char *path;
	int ret;

	if (opts->format && !blk_driver_find(opts->format))
		return error_set(err, -EINVAL, "Unknown driver '%s'", opts->format);
	path = filename ? image_path(filename, err) : NULL;
	if (filename && !path)
		return err->code;
	if (path && !*path)
		return error_set(err, -EINVAL, "The 'file' block driver requires a file name");
	limited.backing_dir = image_backing_dir;
	limited.flags &= ~IMAGE_O_REOPEN;
	ret = blk_co_open(node, path, &limited, err);
	if (ret < 0) {
		reword_open(path, opts, err);
		return ret;
	}
	if ((*node)->probed && (opts->flags & BLK_O_RDWR) && (*node)->driver->is_fallback &&
	    !(opts->flags & IMAGE_O_REOPEN))
		fprintf(stderr,
			"WARNING: Image format was not specified for '%s' and probing "
			"guessed raw.\n"
			"         Automatically detecting the format is dangerous for raw images, "
			"write operations on block 0 will be restricted.\n"
			"         Specify the 'raw' format explicitly to remove the "
			"restrictions.\n",
			(*node)->filename);
	return 0;
}

int image_co_create(const struct blk_create_opts *opts, struct error *err)
{
	int ret = blk_co_create(opts, err);

	if (ret < 0)
		reword_for(opts->filename, "create", err);
	return ret;
}

static void print_item(const struct blk_info_item *item)
{
	printf("    ");
	for (const char *p = item->name; *p; p++)
		putchar(*p == '-' ? ' ' : *p);
	switch (item->kind) {
	case BLK_INFO_BOOL:
		printf(": %s\n", item->number ? "true" : "false");
		break;
	case BLK_INFO_NUMBER:
		printf(": %" PRIu64 "\n", item->number);
		break;
	case BLK_INFO_TEXT:
		print_line(": %s", item->text);
		break;
	}
}

void image_print_specific(const struct blk_info *info)
{
	if (info->nr_items)
		printf("Format specific information:\n");
	for (unsigned int i = 0; i < info->nr_items; i++)
		print_item(&info->items[i]);
}
