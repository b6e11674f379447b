// SPDX-License-Identifier: GPL-2.0
/* The record of a backing chain: reading and writing it, and comparing files with it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/backing_record.h"
#include "block/node_internal.h"
#include "file/file_note.h"

#define MAGIC "qedblk-backing 1\n"

/* ---- Comparing ---- */

static bool same_time(const struct blk_file_identity *a, const struct blk_file_identity *b)
{
	return a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

static bool same_head(const struct blk_file_identity *a, const struct blk_file_identity *b)
{
	return a->has_head && b->has_head && a->head == b->head;
}

static void print_time(char *text, size_t size, const struct blk_file_identity *id)
{
	time_t seconds = id->seconds;
	struct tm tm = { 0 };
	size_t len;

	localtime_r(&seconds, &tm);
	len = strftime(text, size, "%F %T", &tm);
	snprintf(text + len, size - len, ".%09" PRIu32, id->nanoseconds);
}

/*
 * Set @file->kind and ->change to how @is differs from what is recorded.  Another inode alone is a
 * copy that has kept everything else, as one that was restored or moved to another disk.
 */
static void compare(struct blk_backing *file, const struct blk_file_identity *is)
{
	const struct blk_file_identity *was = &file->recorded;
	char before[64], now[64];
	int ret = 0;

	free(file->change);
	file->change = NULL;
	file->kind = BLK_BACKING_SAME;
	if (was->size != is->size) {
		file->kind = BLK_BACKING_SIZE;
		ret = asprintf(&file->change, "its size was %" PRIu64 " bytes, and is %" PRIu64,
			       was->size, is->size);
	} else if (was->inode && is->inode && !same_time(was, is)) {
		file->kind = BLK_BACKING_TIME;
		print_time(before, sizeof(before), was);
		print_time(now, sizeof(now), is);
		ret = asprintf(&file->change, "%s was last modified at %s, and %s at %s%s",
			       was->inode == is->inode ? "it" : "the file that was there", before,
			       was->inode == is->inode ? "now" : "this one", now,
			       same_head(was, is) ? " (with the same first 4 KiB)" : "");
	} else if (was->has_head && is->has_head && !same_head(was, is)) {
		file->kind = BLK_BACKING_HEAD;
		ret = asprintf(&file->change, "its first 4 KiB are others");
	} else if (was->tag != is->tag) {
		file->kind = BLK_BACKING_TAG;
		ret = asprintf(&file->change, "its server describes it in other words");
	} else if (is->unnamed) {
		file->kind = BLK_BACKING_UNNAMED;
		ret = asprintf(&file->change, "it was deleted or replaced, and is used as it was");
	}
	if (ret < 0)
		file->change = NULL;
}

/* ---- The text ---- */

static uint32_t name_of(const struct blk_node *above)
{
	return blk_file_tag(above->backing_name ? above->backing_name : "");
}

static void print_crc(FILE *to, bool has, uint32_t crc)
{
	if (has)
		fprintf(to, " %08" PRIx32, crc);
	else
		fputs(" -", to);
}

/* Return the text of @record (heap), or NULL without memory. */
static char *to_text(const struct blk_backing_record *record)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs(MAGIC, to);
	for (size_t i = 0; i < record->nr; i++) {
		const struct blk_file_identity *id = &record->files[i].recorded;

		fprintf(to, "%08" PRIx32 " %" PRIu64 " %" PRId64 ".%09" PRIu32 " %" PRIu64,
			record->files[i].name, id->size, id->seconds, id->nanoseconds, id->inode);
		print_crc(to, id->has_head, id->head);
		print_crc(to, id->tag, id->tag);
		fputc('\n', to);
	}
	if (fclose(to)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Parse the line at *@text and move *@text behind it.  Returns false if it is none. */
static bool parse_line(const char **text, uint32_t *name, struct blk_file_identity *id)
{
	char head[9], tag[9];
	int len = 0;

	*id = (struct blk_file_identity){ 0 };
	if (sscanf(*text, "%8" SCNx32 " %" SCNu64 " %" SCNd64 ".%9" SCNu32 " %" SCNu64 " %8s %8s%n",
		   name, &id->size, &id->seconds, &id->nanoseconds, &id->inode, head, tag,
		   &len) != 7 ||
	    (*text)[len] != '\n')
		return false;
	id->has_head = *head != '-';
	id->head = (uint32_t)strtoul(head, NULL, 16);
	id->tag = (uint32_t)strtoul(tag, NULL, 16);
	*text += len + 1;
	return true;
}

/* Compare the files with the record @text.  Those that it is not about make it stale. */
static void take_text(struct blk_backing_record *record, const char *text)
{
	record->stale = true;
	if (strncmp(text, MAGIC, strlen(MAGIC)))
		return;
	text += strlen(MAGIC);
	for (size_t i = 0; i < record->nr; i++) {
		struct blk_backing *file = &record->files[i];
		struct blk_file_identity was;
		uint32_t name;

		if (!parse_line(&text, &name, &was) || name != file->name)
			return;
		file->recorded = was;
		compare(file, &file->seen);
	}
	record->stale = *text != '\0';
}

/* ---- The files below an image ---- */

/* Is called for the backing file @node of @above; another value than 0 ends the walk. */
typedef int visit_fn(void *arg, const struct blk_node *above, struct blk_node *node);

/*
 * Visit the backing files of @top, from the top down: of a format over a format the lower image,
 * which has a chain of its own, comes first.  Returns what ended the walk, or 0.
 */
static int visit(const struct blk_node *top, visit_fn *fn, void *arg)
{
	int ret = 0;

	for (const struct blk_node *node = top; node && !ret;) {
		const struct blk_node *nested = blk_nested_node(node->file);
		struct blk_node *below = node->backing;

		if (nested)
			ret = visit(nested, fn, arg);
		if (!ret && below)
			ret = fn(arg, node, below);
		node = below;
	}
	return ret;
}

/* ---- The record ---- */

static int co_add(void *arg, const struct blk_node *above, struct blk_node *node)
{
	struct blk_backing_record *record = arg;
	struct blk_backing *more = reallocarray(record->files, record->nr + 1, sizeof(*more));
	struct blk_backing *file;
	int ret;

	if (!more)
		return -ENOMEM;
	record->files = more;
	file = &more[record->nr];
	*file = (struct blk_backing){
		.node = node,
		.name = name_of(above),
		.filename = strdup(node->filename),
	};
	if (!file->filename)
		return -ENOMEM;
	record->nr++;
	ret = blk_file_co_identify(node->file, true, &file->seen);
	file->recorded = file->seen;
	return ret;
}

int blk_backing_co_load(struct blk_backing_record *record, struct blk_node *top, bool accept)
{
	char *text = NULL;
	int ret;

	*record = (struct blk_backing_record){ 0 };
	ret = visit(top, co_add, record);
	if (!ret && record->nr) {
		ret = accept ? -ENODATA : blk_file_co_get_note(top->file, &text);
		record->foreign = ret == -ESTALE;
		if (!ret || ret == -ENODATA || ret == -ESTALE || ret == -EOPNOTSUPP) {
			take_text(record, ret ? "" : text);
			ret = 0;
		}
		free(text);
	}
	record->unread = ret;
	return ret == -ENOMEM ? ret : 0;
}

static void free_file(struct blk_backing *file)
{
	free(file->filename);
	free(file->change);
}

void blk_backing_free(struct blk_backing_record *record)
{
	for (size_t i = 0; i < record->nr; i++)
		free_file(&record->files[i]);
	free(record->files);
	*record = (struct blk_backing_record){ 0 };
}

int blk_backing_co_store(struct blk_backing_record *record, struct blk_node *top)
{
	char *text = NULL;
	int ret;

	if (!record->stale)
		return 0;
	if (record->nr) {
		text = to_text(record);
		if (!text)
			return -ENOMEM;
	}
	record->stale = false;
	ret = blk_file_co_set_note(top->file, text);
	free(text);
	return ret;
}

static struct blk_backing *find(struct blk_backing_record *record, const struct blk_node *node)
{
	for (size_t i = 0; i < record->nr; i++)
		if (record->files[i].node == node)
			return &record->files[i];
	return NULL;
}

struct look {
	struct blk_backing_record *record;
	void (*changed)(void *arg, const struct blk_backing *file);
	void *arg;
};

static int co_look_at(void *arg, const struct blk_node *above, struct blk_node *node)
{
	const struct look *look = arg;
	struct blk_file_identity now;
	enum blk_backing_kind kind;
	struct blk_backing *file;
	int ret = blk_file_co_identify(node->file, false, &now);

	(void)above;
	file = find(look->record, node);
	if (ret || !file)
		return 0;
	now.has_head = file->seen.has_head;
	now.head = file->seen.head;
	file->seen = now;
	kind = file->kind;
	compare(file, &now);
	if (kind != file->kind)
		look->changed(look->arg, file);
	return 0;
}

void blk_backing_co_look(struct blk_backing_record *record, struct blk_node *top,
			 void (*changed)(void *arg, const struct blk_backing *file), void *arg)
{
	struct look look = { record, changed, arg };
	/* Images that leave the chain are not closed before this ends. */
	unsigned int token = inflight_begin(&top->inflight);

	(void)visit(top, co_look_at, &look);
	inflight_end(&top->inflight, token);
}

static int is_node(void *arg, const struct blk_node *above, struct blk_node *node)
{
	(void)above;
	return node == arg;
}

void blk_backing_follow(struct blk_backing_record *record, const struct blk_node *top)
{
	const struct blk_node *below = top->backing;
	struct blk_backing *first;
	size_t nr = 0;

	for (size_t i = 0; i < record->nr; i++) {
		if (visit(top, is_node, (void *)record->files[i].node))
			record->files[nr++] = record->files[i];
		else
			free_file(&record->files[i]);
	}
	record->nr = nr;
	first = below ? find(record, below) : NULL;
	if (first)
		first->name = name_of(top);
	record->stale = true;
	record->unread = 0; /* it is replaced */
}

/* Move what @from knows of the files of @to there. */
static void keep_known(struct blk_backing_record *to, struct blk_backing_record *from)
{
	for (size_t i = 0; i < to->nr; i++) {
		struct blk_backing *file = &to->files[i];
		struct blk_backing *known = find(from, file->node);

		if (!known)
			continue;
		file->recorded = known->recorded;
		file->seen = known->seen;
		file->kind = known->kind;
		file->change = known->change;
		known->change = NULL;
	}
}

int blk_backing_co_renew(struct blk_backing_record *record, struct blk_node *top)
{
	struct blk_backing_record now = { .stale = true };
	unsigned int token;
	int ret = record->unread;

	/* What is recorded is not known, and not replaced by what the files are now. */
	if (ret)
		return ret;
	/* As in blk_backing_co_look(). */
	token = inflight_begin(&top->inflight);
	ret = visit(top, co_add, &now);
	inflight_end(&top->inflight, token);
	if (ret) {
		blk_backing_free(&now);
		return ret;
	}
	keep_known(&now, record);
	blk_backing_free(record);
	*record = now;
	return 0;
}
