// SPDX-License-Identifier: GPL-2.0
/* Creating, opening and closing the served image. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/sys.h"
#include "aio/timer.h"
#include "file/name.h"
#include "device/device_image.h"
#include "device/foreign.h"
#include "file/file_note.h"
#include "populate/populate.h"
#include "util/log.h"
#include "util/text.h"
#include "util/units.h"

/* How long to wait for the I/O that a dead server had in flight. */
#define LOCK_PATIENCE_NS (60 * 1000000000ULL)
#define LOCK_NAP_NS	 (10 * 1000000ULL)

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/*
 * Set *@stored (heap) to the name to store for a backing file typed as @typed. Image
 * formats take a relative path as relative to the image; a user types one relative to
 * the current directory, and "file:PATH" is, in an image, too. If both mean the same
 * file, or only the former exists, store the name as typed; if only the latter exists,
 * its absolute path; two different files are an error.
 */
static int backing_name(const char *image_path, const char *typed, char **stored, struct error *err)
{
	bool anywhere = typed[0] == '/' || blk_name_has_protocol(typed);
	char *here, *beside = NULL;
	int ret = blk_name_absolute(typed, &here, err);

	*stored = NULL;
	if (!ret)
		ret = blk_name_beside(image_path, typed, &beside, err);
	if (ret)
		error_prefix(err, "--backing %s", typed);
	else if (!anywhere && (!exists(here) || blk_name_same(here, beside)))
		*stored = strdup(typed);
	else if (anywhere || !exists(beside))
		*stored = strdup(here);
	else
		ret = error_set(err, -EINVAL, "--backing %s: may be %s or %s: give the full path",
				typed, here, beside);
	free(here);
	free(beside);
	if (!ret && !*stored)
		ret = error_set_errno(err, -ENOMEM, "%s", typed);
	return ret;
}

/* ---- Creating ---- */

/* Open the backing file once, to check it and to find its format and size. */
static int co_look_at_backing(const char *image_path, struct blk_create_opts *create,
			      const char *backing_dir, struct error *err)
{
	struct blk_open_opts opts = {
		.format = create->backing_format,
		.flags = BLK_O_BELOW | BLK_O_BACKING,
		.backing_dir = backing_dir,
	};
	struct blk_node *node;
	char *name;
	int ret = blk_name_beside(image_path, create->backing_file, &name, err);

	if (ret)
		return ret;
	ret = blk_co_open(&node, name, &opts, err);
	free(name);
	if (ret < 0)
		return ret;
	/*
	 * Record the probed format in the image, so that later guest data in the backing file
	 * cannot change it.
	 */
	ret = foreign_co_refuse(node, "--backing-format", err);
	create->backing_format = node->driver->name;
	if (!create->size)
		create->size = round_up(node->size, SECTOR_SIZE);
	blk_co_close(node);
	return ret;
}

static int co_create(struct device_image *image, const struct device_options *options,
		     struct error *err)
{
	struct blk_create_opts create = {
		.filename = image->path,
		.format = options->format ? options->format : blk_drivers[0]->name,
		.size = options->size,
		.cluster_size = options->cluster_size,
		.table_size = options->table_size,
		.backing_format = options->backing_format,
		.exclusive = true,
	};
	char *backing = NULL;
	int ret = 0;

	if (options->backing) {
		ret = backing_name(image->path, options->backing, &backing, err);
		if (!ret) {
			create.backing_file = backing;
			ret = co_look_at_backing(image->path, &create, options->backing_dir, err);
		}
	}
	if (!ret) {
		image->creating = true;
		ret = blk_co_create(&create, err);
		image->created = !ret;
		image->creating = false;
	}
	free(backing);
	return ret;
}

/* ---- An existing image ---- */

/* A protocol's name stands for another format, which is stored. */
static bool same_format(const char *wanted, const char *has)
{
	return !strcmp(blk_driver_find(wanted)->name, has);
}

/* Is @name, as an image records it, another than @has, which this image records? */
static bool is_other_backing(const struct blk_node *node, const char *name, const char *has)
{
	/* A json: text has no place of its own, and an option may leave out the backing file. */
	if (blk_name_is_json(name) || !node->backing)
		return strcmp(name, has) != 0;
	return !blk_name_same(node->backing->filename, name);
}

static int check_backing(const struct device_image *image, const struct device_options *options,
			 struct error *err)
{
	char *wanted, *has;
	int ret = blk_backing_name(image->node, &has, err);

	if (ret)
		return ret;
	/* The stream finished earlier: the same command line is still valid. */
	if (!has && options->stream)
		return 0;
	if (!has)
		return error_set(err, -EINVAL, "%s: exists, and has no backing file", image->path);
	ret = backing_name(image->path, options->backing, &wanted, err);
	if (!ret) {
		char *name;

		ret = blk_name_beside(image->path, wanted, &name, err);
		if (!ret && is_other_backing(image->node, name, has))
			ret = error_set(err, -EINVAL, "%s: exists, and its backing file is %s",
					image->path, has);
		free(name);
		free(wanted);
	}
	free(has);
	if (!ret && options->backing_format && image->node->backing_format &&
	    !same_format(options->backing_format, image->node->backing_format))
		ret = error_set(err, -EINVAL, "%s: exists, and its backing file's format is %s",
				image->path, image->node->backing_format);
	return ret;
}

/*
 * Options for a new image, given for an existing one, must match it: so the same
 * command can be repeated after a reboot, and a mistaken one fails.
 */
static int co_check_existing(const struct device_image *image, const struct device_options *options,
			     struct error *err)
{
	struct blk_node *node = image->node;
	struct blk_info info;

	if (options->size && options->size != node->size)
		return error_set(err, -EINVAL, "%s: exists, and its size is %" PRIu64 " bytes",
				 image->path, (uint64_t)node->size);
	if (options->cluster_size && options->cluster_size != node->cluster_size)
		return error_set(err, -EINVAL, "%s: exists, and its cluster size is %" PRIu32,
				 image->path, node->cluster_size);
	if (options->table_size) {
		int ret = blk_co_info(node, &info);

		if (ret < 0)
			return error_set_errno(err, ret, "%s", image->path);
		if (info.table_size != options->table_size)
			return error_set(err, -EINVAL, "%s: exists, and its table size is %" PRIu32,
					 image->path, info.table_size);
	}
	return options->backing ? check_backing(image, options, err) : 0;
}

const char *device_image_probe_warning(const struct device_image *image,
				       const struct blk_node *node)
{
	if (!node->probed)
		return NULL;
	if (node != image->node)
		return node->driver->is_fallback ?
			       "format was probed and is raw: a user that can write to "
			       "it can make it look like another; use --backing-format raw" :
			       "format was probed, since no image above says it";
	return node->driver->is_fallback && (node->flags & BLK_O_RDWR) ?
		       "format was probed and is raw: a user that writes to the device can make "
		       "it look like another; use --format raw" :
		       NULL;
}

static void warn(const char *prefix, const char *filename, const char *text)
{
	char shown[1024];

	log_warning("%s: %s", filename, text);
	text_printable(shown, sizeof(shown), filename, "");
	if (prefix)
		fprintf(stderr, "%s: warning: %s: %s\n", prefix, shown, text);
}

char *device_image_backing_warning(const struct device_image *image, const struct blk_backing *file)
{
	char *text;

	if (!file->change || asprintf(&text, "changed since %s was first served over it: %s",
				      image->path, file->change) < 0)
		return NULL;
	return text;
}

char *device_image_unread_warning(const struct device_image *image)
{
	char *text;

	if (!image->backing.unread ||
	    asprintf(&text, "its backing files could not be compared with what is recorded: %s",
		     strerror(-image->backing.unread)) < 0)
		return NULL;
	return text;
}

void device_image_warn(const struct device_image *image, const char *prefix)
{
	const struct blk_node *backing = image->node->backing;
	char *unread = device_image_unread_warning(image);

	if (image->created && backing && backing->size > image->node->size)
		warn(prefix, image->path,
		     "the size is below the backing file's, whose end is cut off");
	for (const struct blk_node *node = image->node; node; node = node->backing) {
		const char *text = device_image_probe_warning(image, node);

		if (!text || !node->driver->is_fallback)
			continue;
		warn(prefix, node->filename, text);
	}
	if (unread)
		warn(prefix, image->path, unread);
	free(unread);
	for (size_t i = 0; i < image->backing.nr; i++) {
		const struct blk_backing *file = &image->backing.files[i];
		char *text = device_image_backing_warning(image, file);

		if (text)
			warn(prefix, file->filename, text);
		free(text);
	}
}

/* ---- Backing files that have changed ---- */

static int refuse_changed(const struct device_image *image, const struct device_options *options,
			  struct error *err)
{
	/* `qedctl recover` starts this server, and has no options. */
	const char *way =
		options->recover ?
			"to take it as it is, remove the image's record (qedctl(8), "
			"CHANGED BACKING FILES)" :
			"--accept-backing takes it as it is (before qedctl recover: remove the "
			"image's record, qedctl(8), CHANGED BACKING FILES)";

	if (image->backing.foreign)
		return error_set(err, -ESTALE,
				 "%s: the record of its backing files is about a file with another "
				 "inode number; --strict-backing refuses it, %s",
				 image->path, way);
	for (size_t i = 0; i < image->backing.nr; i++) {
		const struct blk_backing *file = &image->backing.files[i];
		char *text = device_image_backing_warning(image, file);

		if (text)
			error_set(err, -ESTALE, "%s: %s; --strict-backing refuses it, %s",
				  file->filename, text, way);
		free(text);
		if (file->kind)
			return error_set(err, -ESTALE, "%s: changed", file->filename);
	}
	return 0;
}

/*
 * Compare the backing files with what is recorded in the image, and record those that are not. An
 * image that is only read is not written for that.
 */
static int co_check_backing_files(struct device_image *image, const struct device_options *options,
				  struct error *err)
{
	struct blk_node *node = image->node;
	int ret;

	if (!node->backing)
		return 0;
	ret = blk_backing_co_load(&image->backing, node, options->accept_backing);
	if (ret)
		return error_set_errno(err, ret, "%s: looking at its backing files", image->path);
	ret = image->backing.unread;
	if (options->strict_backing && ret)
		return error_set_errno(err, ret, "%s: comparing its backing files", image->path);
	if (options->strict_backing && refuse_changed(image, options, err))
		return err->code;
	ret = node->flags & BLK_O_RDWR ? blk_backing_co_store(&image->backing, node) : 0;
	if (!ret)
		return 0;
	/* What is in the way of the record (-EEXIST) does not mean that the device is in use. */
	if (options->strict_backing)
		return error_set(err, -EIO, "%s: recording its backing files: %s", image->path,
				 strerror(-ret));
	log_info("%s: its backing files are watched, and cannot be recorded: %s", image->path,
		 strerror(-ret));
	return 0;
}

/* ---- Opening and closing ---- */

/*
 * Open the image. With @wait, retry while it is locked: the I/O of a dead server may
 * be in flight.
 */
static int co_open_unlocked(struct device_image *image, const struct blk_open_opts *opts, bool wait,
			    struct error *err)
{
	uint64_t end = aio_now() + LOCK_PATIENCE_NS;
	int ret;

	for (;;) {
		error_free(err);
		ret = blk_co_open(&image->node, image->path, opts, err);
		if (ret != -EBUSY || !wait || aio_now() > end)
			return ret;
		aio_co_sleep(LOCK_NAP_NS);
	}
}

/* The image is there: a file of its chain is not. */
static void tell_whose(const struct device_image *image, struct error *err)
{
	struct error said = *err;

	*err = ERROR_INIT;
	error_set(err, said.code,
		  "%s: it is in the backing chain of %s; `qed-img rebase -u` records another name",
		  error_text(&said), image->path);
	error_free(&said);
}

/* It failed to open for writing: where it opens for reading, say how. */
static void co_tell_read_only(const struct device_image *image, const struct blk_open_opts *opts,
			      struct error *err)
{
	struct blk_open_opts look = { .format = opts->format,
				      .flags = BLK_O_NO_BACKING | BLK_O_NO_LOCK };
	struct error said = *err;
	struct blk_node *node;

	if (!(opts->flags & BLK_O_RDWR) || blk_co_open(&node, image->path, &look, NULL))
		return;
	(void)blk_co_close(node); /* nothing was written */
	*err = ERROR_INIT;
	error_set(err, said.code, "%s; --read-only serves it for reading", error_text(&said));
	error_free(&said);
}

unsigned int device_image_open_flags(const struct device_options *options)
{
	return (options->read_only ? 0 : BLK_O_RDWR) |
	       (options->cache == DEVICE_CACHE_NONE ? BLK_O_DIRECT : 0) |
	       (options->discard ? 0 : BLK_O_DISCARD_IGNORE) |
	       (options->no_backing ? BLK_O_REFUSE_BACKING : 0);
}

static int co_open_node(struct device_image *image, const struct device_options *options,
			int rescue_fd, struct error *err)
{
	struct blk_rescue rescue = { .fd = rescue_fd, .replay = options->recover };
	struct blk_open_opts opts = {
		.format = options->format,
		.backing_format = options->backing_format,
		.backing_dir = options->backing_dir,
		.l2_cache_size = options->l2_cache,
		.rescue = rescue_fd < 0 ? NULL : &rescue,
	};
	struct blk_node *node;
	int ret;

	if (image->created && !opts.format)
		opts.format = blk_drivers[0]->name;
	opts.flags = device_image_open_flags(options);

	ret = co_open_unlocked(image, &opts, options->recover, err);
	if (ret == -ENOENT && exists(image->path))
		tell_whose(image, err);
	if (ret == -ENOTSUP || ret == -EROFS || ret == -EACCES)
		co_tell_read_only(image, &opts, err);
	if (ret < 0)
		return ret;
	node = image->node;
	ret = populate_co_attach(node, !options->no_copy_on_read, err);
	if (ret < 0)
		return ret;
	ret = options->recover ? 0 : foreign_co_refuse(node, "--format", err);
	if (ret < 0)
		return ret;
	if (node->size < SECTOR_SIZE)
		return error_set(err, -EINVAL, "%s: too small for a block device", image->path);
	if (!image->created && !options->recover)
		ret = co_check_existing(image, options, err);
	return ret ? ret : co_check_backing_files(image, options, err);
}

/* A chain that is recovered may have no backing file any more, and its folder may be gone. */
static int check_backing_dir(const struct device_options *options, struct error *err)
{
	const char *dir = options->backing_dir;
	struct stat st;

	if (!dir || options->recover)
		return 0;
	if (stat(dir, &st))
		return error_set_errno(err, -errno, "--backing-dir: %s", dir);
	return S_ISDIR(st.st_mode) ? 0 : error_set_errno(err, -ENOTDIR, "--backing-dir: %s", dir);
}

/* An empty file is no image, and can be made one. */
static int check_not_empty(const char *path, const struct device_options *options,
			   struct error *err)
{
	const struct blk_driver *driver = options->format ? blk_driver_find(options->format) : NULL;
	struct stat st;

	if (!driver || !driver->co_create)
		driver = blk_drivers[0];
	if (options->recover || blk_name_is_url(path) || stat(path, &st) || !S_ISREG(st.st_mode) ||
	    st.st_size)
		return 0;
	return error_set(err, -EINVAL,
			 "%s: is an empty file, not an image: `qed-img create -f %s %s SIZE` makes "
			 "it one; or remove it, and give --size or --backing",
			 path, driver->name, path);
}

int device_image_co_open(struct device_image *image, const struct device_options *options,
			 int rescue_fd, struct error *err)
{
	int ret;

	*image = (struct device_image){ 0 };
	/* The server changes its directory later. */
	ret = blk_name_absolute(options->image, &image->path, err);
	if (ret) {
		error_prefix(err, "%s", options->image);
		return ret;
	}
	ret = check_backing_dir(options, err);
	if (!ret)
		ret = check_not_empty(image->path, options, err);
	if (!ret && (options->size || options->backing) && !options->read_only &&
	    !options->recover && !blk_name_is_url(image->path) && !exists(image->path))
		ret = co_create(image, options, err);
	if (!ret)
		ret = co_open_node(image, options, rescue_fd, err);
	if (ret < 0)
		device_image_co_close(image);
	return ret;
}

int device_image_co_close(struct device_image *image)
{
	int ret;

	if (image->created && image->node)
		(void)blk_file_co_set_note(image->node->file, NULL);
	ret = image->node ? blk_co_close(image->node) : 0;
	image->node = NULL;
	device_image_abandon(image);
	return ret;
}

void device_image_abandon(struct device_image *image)
{
	if (image->created && unlink(image->path))
		log_warning("%s: %s", image->path, strerror(errno));
	image->created = false;
}

void device_image_free(struct device_image *image)
{
	free(image->path);
	image->path = NULL;
	blk_backing_free(&image->backing);
}

bool device_image_copies_on_read(const struct device_image *image)
{
	return populate_keeps_reads(image->node);
}
