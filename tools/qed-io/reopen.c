// SPDX-License-Identifier: GPL-2.0
/* reopen: reopen the image with other options. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/command.h"
#include "qed-io/text.h"
#include "util/units.h"

struct reopen {
	struct io_open how; /* the new way to open it */
	struct blk_options *changes; /* the options of -o, or NULL */
	struct blk_options *options; /* the changed options that how.options points to */
	bool has_mode, has_cache;
};

static int parse_letter(struct reopen *r, int letter)
{
	switch (letter) {
	case 'c':
		r->has_cache = true;
		return io_parse_cache(optarg, &r->how.cache);
	case 'o':
		return io_parse_options(optarg, &r->changes);
	case 'r':
	case 'w':
		if (r->has_mode) {
			io_error("Only one -r/-w option may be given");
			return -EINVAL;
		}
		r->has_mode = true;
		r->how.read_only = letter == 'r';
		return 0;
	default:
		return 1;
	}
}

static int parse(struct reopen *r, const struct io_call *call)
{
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(call->argc, call->argv, "c:o:rw")) != -1)
		ret = parse_letter(r, opt);
	return ret > 0 || (ret == 0 && optind != call->argc) ? io_usage(call) : ret;
}

/* ---- Options ---- */

/* Take the switches that may change from r->changes. */
static int take_switches(struct reopen *r, struct error *err)
{
	bool direct, no_flush, read_only, ignored;
	int has_direct = blk_options_take_switch(r->changes, "cache.direct", &direct, err);
	int has_no_flush = blk_options_take_switch(r->changes, "cache.no-flush", &no_flush, err);
	int has_mode = blk_options_take_switch(r->changes, "read-only", &read_only, err);

	if (has_direct < 0 || has_no_flush < 0 || has_mode < 0 ||
	    blk_options_take_switch(r->changes, "auto-read-only", &ignored, err) < 0)
		return -EINVAL;
	if (has_mode && r->has_mode)
		return error_set(err, -EINVAL, "Cannot set both -r/-w and 'read-only'");
	if ((has_direct || has_no_flush) && r->has_cache)
		return error_set(err, -EINVAL, "Cannot set both -c and the cache options");
	/* A switch that is not given is off, as in qemu-io. */
	if (has_direct || has_no_flush) {
		r->how.cache.direct = has_direct ? direct : false;
		r->how.cache.no_flush = has_no_flush ? no_flush : false;
	}
	if (has_mode && read_only && !r->how.read_only)
		return error_set(err, -EINVAL,
				 "Read-only block node '%s' cannot support read-write users",
				 r->how.filename ? r->how.filename : "");
	return 0;
}

static int take_words(struct reopen *r, struct error *err)
{
	const char *discard = blk_options_take(r->changes, "discard");
	const char *zeroes = blk_options_take(r->changes, "detect-zeroes");

	if (discard && io_parse_discard(discard, &r->how.discard_ignore) < 0)
		return error_set(err, -EINVAL, "Invalid discard option");
	if (zeroes && strcmp(zeroes, "off") && strcmp(zeroes, "on") && strcmp(zeroes, "unmap"))
		return error_set(err, -EINVAL, "invalid parameter value: %s", zeroes);
	return 0;
}

/* Check options that may be given, but must not change. */
static int check_same(struct reopen *r, const struct blk_node *node, struct error *err)
{
	const struct {
		const char *name, *value;
	} same[] = {
		{ "driver", blk_node_format(node) },
		{ "file.filename", node->filename },
		{ "filename", node->filename },
	};
	static const char *const nodes[] = { "file", "backing" };
	const char *value, *left, *dot;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		value = blk_options_take(r->changes, nodes[i]);
		if (value)
			return error_set(err, -EINVAL, "Cannot find device='' nor node-name='%s'",
					 value);
	}
	for (i = 0; i < ARRAY_SIZE(same); i++) {
		value = blk_options_take(r->changes, same[i].name);
		if (value && strcmp(value, same[i].value))
			return error_set(err, -EINVAL, "Cannot change the option '%s'",
					 strrchr(same[i].name, '.') ?
						 strrchr(same[i].name, '.') + 1 :
						 same[i].name);
	}
	left = blk_options_left(r->changes);
	if (!left)
		return 0;
	/* As in QEMU, the message has the option's name without that of the child. */
	dot = !strncmp(left, "file.", 5) || (node->backing && !strncmp(left, "backing.", 8)) ?
		      strchr(left, '.') :
		      NULL;
	return error_set(err, -EINVAL, "Cannot change the option '%s'", dot ? dot + 1 : left);
}

/* Make the options that the image was opened with agree with @r. */
static int overrule_options(struct reopen *r, struct error *err)
{
	if (!r->how.options)
		return 0;
	if (blk_options_new(&r->options, err) < 0)
		return -ENOMEM;
	if (blk_options_set(r->options, "cache.direct", r->how.cache.direct ? "on" : "off") < 0 ||
	    blk_options_set(r->options, "read-only", r->how.read_only ? "on" : "off") < 0 ||
	    blk_options_set(r->options, "discard", r->how.discard_ignore ? "ignore" : "unmap") <
		    0 ||
	    blk_options_add_missing(r->options, r->how.options) < 0)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	r->how.options = r->options;
	return 0;
}

/* Check @r. Requests complete and their results are printed before the check of what can change. */
static int co_check(struct reopen *r, struct io_session *io, struct error *err)
{
	const struct blk_node *node = io->node;
	int ret = 0;

	if (r->changes)
		ret = take_switches(r, err);
	if (ret == 0 && r->changes)
		ret = take_words(r, err);
	if (ret == 0)
		io_session_co_drain(io);
	if (ret == 0 && r->changes)
		ret = check_same(r, node, err);
	if (ret == 0 && r->how.read_only && r->how.copy_on_read)
		ret = error_set(err, -EINVAL,
				"Can't set node '%s' to r/o with copy-on-read enabled",
				r->how.filename ? r->how.filename : "");
	/* A snapshot's file is unlinked, so it cannot be opened differently. */
	if (ret == 0 && r->how.snapshot &&
	    (r->how.read_only != io->open.read_only ||
	     r->how.cache.direct != io->open.cache.direct))
		ret = error_set(err, -ENOENT, "Could not open '%s': %s", node->filename,
				strerror(ENOENT));
	return ret ? ret : overrule_options(r, err);
}

/* ---- Reopening ---- */

/* Can the node stay open? The other fields of struct io_open matter only to the session. */
static bool same_node(const struct io_open *a, const struct io_open *b)
{
	return a->read_only == b->read_only && a->cache.direct == b->cache.direct &&
	       a->discard_ignore == b->discard_ignore;
}

/*
 * Close the image first, to free its lock, then open it in the new way; if that fails,
 * open it as before.
 */
static int co_change(struct io_session *io, struct io_open *how)
{
	struct io_open before = io->open;
	int ret;

	if (before.snapshot || same_node(&before, how)) {
		io->open.cache = how->cache;
		return 0;
	}
	ret = io_session_co_close(io);
	if (ret < 0)
		return ret;
	how->reopen = before.reopen = true;
	ret = io_session_co_open(io, how);
	if (ret < 0)
		io_session_co_open(io, &before);
	return ret;
}

static int co_reopen(const struct io_call *call)
{
	struct io_session *io = call->io;
	struct reopen r = { .how = io->open };
	struct error err = ERROR_INIT;
	int ret = parse(&r, call);

	if (ret == 0) {
		ret = co_check(&r, io, &err);
		if (ret < 0)
			io_error_free(&err);
	}
	if (ret == 0)
		ret = co_change(io, &r.how);
	blk_options_free(r.changes);
	blk_options_free(r.options);
	return ret;
}

const struct io_command io_reopen_command = {
	.name = "reopen",
	.args = "[(-r|-w)] [-c cache] [-o options]",
	.summary = "reopens an image with new options",
	.text = " -r   for reading\n"
		" -w   for reading and writing\n"
		" -c   cache mode: none, writeback, writethrough, directsync or unsafe\n"
		" -o   read-only, cache.direct, cache.no-flush (on or off), discard (ignore\n"
		"      or unmap); others must be as they are\n",
	.example = "reopen -r -c none",
	.argmax = -1,
	.co_run = co_reopen,
};
