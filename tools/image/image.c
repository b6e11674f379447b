// SPDX-License-Identifier: GPL-2.0
/* Opening images for the image tools, with errors in the words of QEMU's tools. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/image_name.h"
#include "cmdline/report.h"
#include "file/name.h"
#include "file/protocol.h"
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

bool image_has_backing(const struct blk_node *node, const char *name)
{
	char *wanted;
	bool is;

	if (blk_name_is_json(name))
		return node->backing_name && !node->backing_options &&
		       !strcmp(name, node->backing_name);
	if (blk_name_beside(node->filename, name, &wanted, NULL))
		return false;
	is = blk_name_same(node->backing->filename, wanted);
	free(wanted);
	return is;
}

int image_new_place(const char *filename, char **place, struct error *err)
{
	int ret = blk_name_place(filename, NULL, place, NULL, err);
	char line[128];

	if (ret || !blk_name_is_url(*place))
		return ret;
	snprintf(line, sizeof(line), "Protocol driver '%s' does not support image creation",
		 blk_protocol_of(*place)->name);
	error_set_detail(err, -ENOTSUP, line, "images cannot be created there");
	free(*place);
	*place = NULL;
	return err->code;
}

int image_check_new(const char *filename, struct error *err)
{
	char *place;
	int ret = image_new_place(filename, &place, err);

	free(place);
	return ret;
}

int image_co_sync_name(const char *filename)
{
	char *place;
	int ret = blk_name_place(filename, NULL, &place, NULL, NULL);

	ret = ret ? ret : blk_co_sync_name(place);
	free(place);
	return ret;
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
	const char *more = question ? strstr(question, "? ") : NULL;
	char *words;

	if (err->code != -EBUSY || !question)
		return false;
	/* The name of that process is more than QEMU says. */
	if (report_as_qemu() || !more)
		more = "?";
	if (asprintf(&words, "%.*s\nIs another process using the image [%.*s]%s",
		     (int)(question - reason - 2), reason + 2, (int)(reason - text), text,
		     more) < 0)
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
	const char *text = error_text(err), *own = error_after_name(err, filename);
	const char *colon = strstr(text, blk_name_is_json(text) ? "}: " : ": ");
	char *words, *reason;

	if (image_reword_lock(err))
		return;
	if (own) {
		reword(err, words_for(text, (int)(own - 2 - text), own, doing, err->code));
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
	const char *own = error_after_name(err, filename);

	if (!image_reword_lock(err) && own)
		reword(err, strdup(own));
}

/* The same for an image opened by @filename (may be NULL) and the options of @opts. */
static void reword_open(const char *filename, const struct blk_open_opts *opts, struct error *err)
{
	const char *doing = opts->flags & BLK_O_RDWR ? "open" : "read";
	struct blk_image_name name;

	/* The error line has the name that the options yield, if they yield one. */
	if (blk_image_name_parse(&name, filename, opts->format, opts->options, NULL) < 0) {
		if (filename)
			image_unname(filename, err);
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
	int ret;

	if (opts->format && !blk_driver_find(opts->format))
		return error_set(err, -EINVAL, "Unknown driver '%s'", opts->format);
	limited.backing_dir = image_backing_dir;
	limited.flags &= ~IMAGE_O_REOPEN;
	ret = blk_co_open(node, filename, &limited, err);
	if (ret < 0) {
		reword_open(filename, opts, err);
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

int image_check_size(const struct blk_node *node, uint64_t size, struct error *err)
{
	/* Of several reasons to refuse QEMU's programs name another one first. */
	if (!report_as_qemu() || size % SECTOR_SIZE || !(node->flags & BLK_O_RDWR))
		return 0;
	if (strcmp(node->driver->name, "qed") || size >= atomic_load(&node->size))
		return 0;
	return error_set(err, -ENOTSUP, "Shrinking images is currently not supported");
}

/* Refuse "host_device:PATH" and the like where there is no device to make the image on. */
static int need_device(const char *filename, struct error *err)
{
	unsigned int flags = 0;
	struct stat st;
	char *place;
	int ret = blk_name_place(filename, NULL, &place, &flags, err);

	if (!ret && flags & (BLK_FILE_HOST_DEVICE | BLK_FILE_HOST_CDROM) &&
	    (stat(place, &st) || !S_ISBLK(st.st_mode)))
		ret = error_set(err, -ENOTBLK,
				"Protocol driver '%.*s' does not support image creation, and "
				"'%s' is no device",
				(int)strcspn(filename, ":"), filename, place);
	free(place);
	return ret;
}

int image_co_create(const struct blk_create_opts *opts, struct error *err)
{
	struct blk_create_opts create = *opts;
	char *place = NULL;
	int ret = need_device(opts->filename, err);

	if (!ret)
		ret = image_new_place(opts->filename, &place, err);
	if (ret)
		return ret;
	create.filename = place;
	ret = blk_co_create(&create, err);
	if (ret < 0)
		reword_for(place, "create", err);
	free(place);
	return ret;
}

static void print_item(const struct blk_info_item *item)
{
	const char *part = strchr(item->name, '.');

	/* No group has a second item. */
	if (part)
		printf("    %.*s:\n    ", (int)(part - item->name), item->name);
	printf("    ");
	for (const char *p = part ? part + 1 : item->name; *p; p++)
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
