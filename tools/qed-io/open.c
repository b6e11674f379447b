// SPDX-License-Identifier: GPL-2.0
/* open, close: opening an image in the way that options say, with -s below a temporary overlay. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/name.h"
#include "image/image_opts.h"
#include "populate/populate.h"
#include "qed-io/command.h"
#include "qed-io/text.h"
#include "util/units.h"

/* ---- The temporary overlay that takes the writes ---- */

/* Open the base to find the properties that the overlay needs. */
static int co_look_at_base(const struct io_open *how, struct blk_create_opts *create,
			   struct error *err)
{
	struct blk_open_opts opts = {
		.format = how->format,
		.flags = BLK_O_SHARE | (how->force_share ? BLK_O_NO_LOCK : 0),
		.options = (struct blk_options *)how->options, /* which is not changed */
	};
	struct blk_node *node;
	int ret = image_co_open(&node, how->filename, &opts, err);

	if (ret < 0)
		return ret;
	create->format = blk_drivers[0]->name;
	create->size = round_up(node->size, SECTOR_SIZE);
	create->backing_format = node->driver->name;
	return blk_co_close(node);
}

/* Return the base's name for the overlay, which is in another directory (heap); NULL: see errno. */
static char *base_name(const char *filename)
{
	char *place, *name = NULL;

	if (blk_name_is_json(filename))
		return strdup(filename);
	if (blk_name_place(filename, NULL, &place, NULL, NULL))
		errno = EINVAL;
	else
		name = blk_name_is_url(place) ? strdup(place) : realpath(place, NULL);
	free(place);
	return name;
}

static int co_make_overlay(struct blk_create_opts *create, char *name, struct error *err)
{
	int fd = mkstemp(name);

	if (fd < 0)
		return error_set_errno(err, -errno, "Could not create '%s'", name);
	close(fd);
	create->filename = name;
	return image_co_create(create, err);
}

/* Open the overlay; the options of the image apply to the base. */
static int co_open_overlay(struct blk_node **node, const char *name, const struct io_open *how,
			   unsigned int flags, const struct blk_create_opts *create,
			   struct error *err)
{
	struct blk_open_opts opts = {
		.format = create->format,
		.flags = flags,
		.backing_format = create->backing_format,
	};
	int ret = 0;

	if (how->options) {
		ret = blk_options_new(&opts.options, err);
		if (ret == 0 && blk_options_add_part(opts.options, "backing", how->options) < 0)
			ret = error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	if (ret == 0)
		ret = image_co_open(node, name, &opts, err);
	blk_options_free(opts.options);
	return ret;
}

/* Create and open an overlay on the image of @how; its file is already unlinked. */
static int co_open_snapshot(struct blk_node **node, const struct io_open *how, unsigned int flags,
			    struct error *err)
{
	const char *dir = getenv("TMPDIR");
	struct blk_create_opts create = { 0 };
	char *name = NULL, *base = NULL;
	int ret = co_look_at_base(how, &create, err);

	if (ret < 0)
		return ret;
	if (how->filename) {
		base = base_name(how->filename);
		if (!base)
			return error_set_errno(err, -errno, "Could not make a snapshot");
		create.backing_file = base;
	}
	if (asprintf(&name, "%s/qed-io.XXXXXX", dir ? dir : "/var/tmp") < 0)
		name = NULL;
	ret = name ? co_make_overlay(&create, name, err) :
		     error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	if (ret == 0)
		ret = co_open_overlay(node, name, how, flags, &create, err);
	if (create.filename)
		unlink(name);
	free(name);
	free(base);
	return ret;
}

/* ---- Opening ---- */

static unsigned int open_flags(const struct io_open *how)
{
	return BLK_O_SHARE | (how->read_only ? 0 : BLK_O_RDWR) |
	       (how->cache.direct ? BLK_O_DIRECT : 0) | (how->force_share ? BLK_O_NO_LOCK : 0) |
	       (how->discard_ignore ? BLK_O_DISCARD_IGNORE : 0);
}

static int check_how(const struct io_open *how, struct error *err)
{
	if (how->read_only && how->copy_on_read)
		return error_set(err, -EINVAL, "Can't use copy-on-read on read-only device");
	if (!how->read_only && !how->snapshot && how->force_share)
		return error_set(err, -EINVAL,
				 "force-share=on can only be used with read-only images");
	if (how->native_aio && !how->cache.direct)
		return error_set(err, -EINVAL,
				 "aio=native was specified, but it requires "
				 "cache.direct=on, which was not specified.");
	return 0;
}

static int co_open_node(struct blk_node **node, const struct io_open *how, struct error *err)
{
	struct blk_open_opts opts = {
		.format = how->format,
		.flags = open_flags(how),
		.options = (struct blk_options *)how->options, /* which is not changed */
	};
	int ret;

	opts.flags |= how->reopen ? IMAGE_O_REOPEN : 0;
	if (!how->filename && !how->options)
		return error_set(err, -EINVAL, "Must specify either driver or file");
	if (how->snapshot)
		ret = co_open_snapshot(node, how, opts.flags, err);
	else
		ret = image_co_open(node, how->filename, &opts, err);
	if (ret || !how->copy_on_read)
		return ret;
	ret = populate_co_attach(*node, true, err);
	if (ret)
		(void)blk_co_close(*node); /* nothing was written */
	return ret;
}

/* Is it the error of opening a read-only format or export for writing? */
static bool is_of_what_is_read(int ret, const struct io_open *how)
{
	return ret == -ENOTSUP ||
	       (ret == -EROFS && (!how->filename || blk_name_is_url(how->filename)));
}

/*
 * Open for writing by default. A read-only format or export is then opened read-only,
 * and commands that write fail.
 */
int io_co_open(struct blk_node **node, const struct io_open *how, struct error *err)
{
	struct io_open read_only = *how;
	int ret = check_how(how, err);

	if (ret < 0)
		return ret;
	ret = co_open_node(node, how, err);
	if (!is_of_what_is_read(ret, how) || how->read_only || how->copy_on_read)
		return ret;
	/* The failed open did not check the image itself: open again. */
	error_free(err);
	read_only.read_only = true;
	return co_open_node(node, &read_only, err);
}

/* ---- Options ---- */

int io_parse_cache(const char *text, struct image_cache *cache)
{
	if (image_cache_parse(text, cache) == 0)
		return 0;
	io_error("Invalid cache option: %s", text);
	return -EINVAL;
}

int io_parse_discard(const char *text, bool *ignore)
{
	*ignore = !strcmp(text, "ignore") || !strcmp(text, "off");
	return *ignore || !strcmp(text, "unmap") || !strcmp(text, "on") ? 0 : -EINVAL;
}

int io_parse_options(const char *text, struct blk_options **options)
{
	struct error err = ERROR_INIT;
	struct blk_options *more = NULL;
	int ret = image_opts_parse(&more, text, NULL, IMAGE_OPTS_WARN, &err);

	if (ret == 0 && *options && blk_options_add_missing(more, *options))
		ret = error_set_errno(&err, -ENOMEM, "options");
	if (ret < 0) {
		blk_options_free(more);
		io_error_free(&err);
		return ret;
	}
	blk_options_free(*options);
	*options = more;
	return 0;
}

int io_open_take(void *verb, const struct verb_option *option, const char *value)
{
	struct io_open *how = (struct io_open *)((char *)verb + option->field);

	switch (option->letter) {
	case 'n':
		how->cache = (struct image_cache){ .direct = true };
		return 0;
	case 't':
		return io_parse_cache(value, &how->cache);
	case 'd':
		if (io_parse_discard(value, &how->discard_ignore) == 0)
			return 0;
		io_error("Invalid discard option: %s", value);
		return -EINVAL;
	default: /* -i: the kernel's interface, which has no effect here */
		how->native_aio |= !strcmp(value, "native");
		if (!strcmp(value, "native") || !strcmp(value, "threads") ||
		    !strcmp(value, "io_uring"))
			return 0;
		io_error("Invalid aio option: %s", value);
		return -EINVAL;
	}
}

/* ---- Commands ---- */

struct arguments {
	struct io_open how;
	struct blk_options *options;
};

/* Parse the operand: a path, or with --image-opts options. */
static int parse_operand(const struct io_session *io, struct arguments *args, char *operand)
{
	if (!io->image_opts) {
		args->how.filename = operand; /* or NULL */
		return 0;
	}
	if (args->options) {
		printf("--image-opts and 'open -o' are mutually exclusive\n");
		return -EINVAL;
	}
	return operand ? io_parse_options(operand, &args->options) : 0;
}

static int take_options(void *args, const struct verb_option *option, const char *value)
{
	(void)option;
	return io_parse_options(value, &((struct arguments *)args)->options);
}

/* Commands have no long options. */
static int next_letter(int argc, char **argv, const char *letters, const struct option *names)
{
	(void)names;
	return getopt(argc, argv, letters);
}

static int parse(const struct io_call *call, struct arguments *args)
{
	static const struct verb_option options[] = {
		IO_OPEN_OPTIONS(struct arguments),
		OPT_CALL_VALUE('o', NULL, take_options),
		OPT_END,
	};
	int ret = verb_options_parse(call->argc, call->argv, options, args, next_letter);

	if (ret == 0)
		ret = parse_operand(call->io, args, call->argv[optind]);
	/* An unknown option is a usage error, and so is a second operand. */
	return ret > 0 || (ret == 0 && optind < call->argc - 1) ? io_usage(call) : ret;
}

static int co_open(const struct io_call *call)
{
	struct arguments args = { 0 };
	int ret = parse(call, &args);

	if (ret == 0) {
		args.how.options = args.options;
		ret = io_session_co_open(call->io, &args.how);
	}
	blk_options_free(args.options);
	return ret;
}

const struct io_command io_open_command = {
	.name = "open",
	.altname = "o",
	.args = "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
	.summary = "open the file specified by path",
	.text = " -r   for reading\n"
		" -s   with a temporary image on top, which takes the writes\n"
		" -C   keep what is read from the backing file\n"
		" -n   as -t none\n"
		" -k   as -i native\n"
		" -i   threads, native or io_uring: accepted, without effect\n"
		" -t   cache mode: none, writeback, writethrough, directsync or unsafe\n"
		" -d   discards: ignore or unmap\n"
		" -U   even if another process is writing to it (with -r)\n"
		" -o   options of the format, NAME=VALUE,..., as in --image-opts\n",
	.example = "open -r -o driver=qed vm1.qed",
	.argmin = 1,
	.argmax = -1,
	.flags = IO_NO_FILE,
	.co_run = co_open,
};

static int co_close(const struct io_call *call)
{
	return io_session_co_close(call->io);
}

const struct io_command io_close_command = {
	.name = "close",
	.altname = "c",
	.summary = "close the current open file",
	.co_run = co_close,
};
