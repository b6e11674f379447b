// SPDX-License-Identifier: GPL-2.0
/*
 * nbdkit-qed-plugin: an image, with its backing chain and copy-on-read, as an NBD
 * export, for kernels without ublk and for remote clients. All connections share one
 * open image. nbdkit calls from many threads of its own concurrently; each call runs
 * on one of the engine's loops while its thread waits.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "block/driver.h"
#include "block/node.h"
#include "file/file.h"
#include "file/name.h"
#include "populate/populate.h"
#include "util/version.h"
#include "nbdkit/requests.h"
#include "util/log.h"
#include "util/units.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* ---- Parameters: the device options that the table has for the plugin ---- */

static struct device_options options;
static char *values[DEVICE_NR_OPTIONS]; /* by id; owns what @options point to */

/* Report an error line to nbdkit. Frees it and returns -1. */
static int fail(struct error *err)
{
	const char *text = error_text(err);

	/* nbdkit's parameters have no dashes. */
	nbdkit_error("%s", strncmp(text, "--", 2) ? text : text + 2);
	error_free(err);
	return -1;
}

/*
 * Return a copy of @value that is valid in any directory, since nbdkit changes its
 * directory later.
 * Returns NULL after an error message.
 */
static char *value_to_keep(const struct device_option *option, const char *value)
{
	struct error err = ERROR_INIT;
	char *copy;

	/* device_option_set() refuses an empty name, with an error line that names the option. */
	if (*value && option->type == DEVICE_DIRECTORY)
		return nbdkit_absolute_path(value);
	if (*value && option == &device_option_table[DEVICE_OPTION_image]) {
		if (blk_name_absolute(value, &copy, &err)) {
			error_prefix(&err, "%s", value);
			(void)fail(&err);
		}
		return copy;
	}
	copy = strdup(value);
	if (!copy)
		nbdkit_error("%s", strerror(ENOMEM));
	return copy;
}

static int set_param(const struct device_option *option, const char *value)
{
	size_t id = option - device_option_table;
	struct error err = ERROR_INIT;

	free(values[id]);
	values[id] = value ? value_to_keep(option, value) : NULL;
	if (value && !values[id])
		return -1;
	return device_option_set(&options, option, values[id], &err) ? fail(&err) : 0;
}

static int plugin_config(const char *key, const char *value)
{
	const struct device_option *option = device_option_find(key, strlen(key), DEVICE_PLUGIN);
	int on;

	if (!option) {
		nbdkit_error("unknown parameter '%s'", key);
		return -1;
	}
	if (option->type != DEVICE_FLAG)
		return set_param(option, value);
	on = nbdkit_parse_bool(value);
	if (on < 0)
		return -1;
	if (!on)
		option = device_option_opposite(option);
	return option ? set_param(option, NULL) : 0;
}

static int plugin_config_complete(void)
{
	struct error err = ERROR_INIT;

	if (!options.image) {
		nbdkit_error("image is needed");
		return -1;
	}
	return device_options_check(&options, &err) ? fail(&err) : 0;
}

static int plugin_get_ready(void)
{
	struct error err = ERROR_INIT;

	return engine_check(&options, &err) ? fail(&err) : 0;
}

static void plugin_load(void)
{
	log_init("nbdkit-qed-plugin", false, LOG_LEVEL_WARNING);
	device_options_init(&options);
}

static void plugin_dump(void)
{
	printf("qed_formats=");
	for (const struct blk_driver *const *driver = blk_drivers; *driver; driver++)
		printf("%s%s", driver == blk_drivers ? "" : " ", (*driver)->name);
	printf("\n");
}

/* ---- Connections ---- */

struct connection {
	bool read_only;
};

static void *plugin_open(int readonly)
{
	struct connection *connection = malloc(sizeof(*connection));
	struct error err = ERROR_INIT;

	if (!connection) {
		nbdkit_error("%s", strerror(ENOMEM));
		return NULL;
	}
	if (engine_open(&options, readonly, &err)) {
		free(connection);
		fail(&err);
		return NULL;
	}
	connection->read_only = readonly || !(engine_node()->flags & BLK_O_RDWR);
	return connection;
}

static void plugin_close(void *handle)
{
	free(handle);
}

static void plugin_cleanup(void)
{
	struct error err = ERROR_INIT;

	if (engine_close(&err))
		fail(&err);
}

static int64_t plugin_get_size(void *handle)
{
	(void)handle;
	return (int64_t)atomic_load(&engine_node()->size);
}

static int plugin_can_write(void *handle)
{
	const struct connection *connection = handle;

	return !connection->read_only;
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

static int no(void *handle)
{
	(void)handle;
	return 0;
}

static int plugin_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

static int plugin_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_NATIVE;
}

static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
			     uint32_t *maximum)
{
	uint64_t cluster = engine_node()->cluster_size;

	(void)handle;
	*minimum = 1;
	*preferred = (uint32_t)max_u64(4096, min_u64(cluster, 32 * MiB));
	*maximum = UINT32_MAX;
	return 0;
}

/* ---- Requests ---- */

/* Execute @call and translate its result: 0, or -1 with nbdkit's error set. */
static int do_call(struct engine_call *call, const char *what)
{
	int ret = engine_call(call);

	if (!ret)
		return 0;
	nbdkit_error("%s of %llu bytes at %llu: %s", what, (unsigned long long)call->bytes,
		     (unsigned long long)call->offset, strerror(-ret));
	nbdkit_set_error(-ret);
	return -1;
}

static unsigned int request_flags(uint32_t flags)
{
	return (flags & NBDKIT_FLAG_FUA ? BLK_REQ_FUA : 0) |
	       (flags & NBDKIT_FLAG_MAY_TRIM ? BLK_REQ_MAY_UNMAP : 0);
}

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct engine_call call = {
		.co_fn = request_co_pread,
		.offset = offset,
		.bytes = count,
		.buf = buf,
	};

	(void)handle;
	(void)flags;
	return do_call(&call, "read");
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			 uint32_t flags)
{
	struct engine_call call = {
		.co_fn = request_co_pwrite,
		.offset = offset,
		.bytes = count,
		.buf = (void *)buf,
		.flags = request_flags(flags),
	};

	(void)handle;
	return do_call(&call, "write");
}

static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct engine_call call = {
		.co_fn = request_co_zero,
		.offset = offset,
		.bytes = count,
		.flags = request_flags(flags),
	};

	(void)handle;
	if ((flags & NBDKIT_FLAG_FAST_ZERO) &&
	    !request_is_fast_zero(engine_node(), offset, count, flags & NBDKIT_FLAG_MAY_TRIM)) {
		/* A regular reply, not a failure: do not log it. */
		nbdkit_set_error(EOPNOTSUPP);
		return -1;
	}
	return do_call(&call, "writing zeroes");
}

static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct engine_call call = {
		.co_fn = request_co_trim,
		.offset = offset,
		.bytes = count,
		.flags = request_flags(flags),
	};

	(void)handle;
	return do_call(&call, "discard");
}

static int plugin_flush(void *handle, uint32_t flags)
{
	struct engine_call call = { .co_fn = request_co_flush };

	(void)handle;
	(void)flags;
	return do_call(&call, "flush");
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			  struct nbdkit_extents *extents)
{
	struct extent found[MAX_EXTENTS];
	struct engine_call call = {
		.co_fn = request_co_extents,
		.offset = offset,
		.bytes = count,
		.extents = found,
		.nr_extents = flags & NBDKIT_FLAG_REQ_ONE ? 1 : MAX_EXTENTS,
	};

	(void)handle;
	if (do_call(&call, "look-up"))
		return -1;
	for (unsigned int i = 0; i < call.nr_extents; i++) {
		uint32_t type = found[i].zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;

		if (nbdkit_add_extent(extents, offset, found[i].bytes, type))
			return -1;
		offset += found[i].bytes;
	}
	return 0;
}

static int plugin_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct engine_call call = {
		.co_fn = request_co_cache,
		.offset = offset,
		.bytes = count,
		.buf = malloc(CACHE_PIECE),
	};
	int ret;

	(void)handle;
	(void)flags;
	if (!call.buf) {
		nbdkit_set_error(ENOMEM);
		return -1;
	}
	ret = do_call(&call, "read ahead");
	free(call.buf);
	return ret;
}

static struct nbdkit_plugin plugin = {
	.name = "qed",
	.longname = "qedblk images",
	.version = QEDBLK_VERSION,
	.description = "Disk images with backing files and copy-on-read (QED, raw, qcow2)",
	.load = plugin_load,
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.magic_config_key = "image",
	.dump_plugin = plugin_dump,
	.get_ready = plugin_get_ready,
	.cleanup = plugin_cleanup,
	.open = plugin_open,
	.close = plugin_close,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_write = plugin_can_write,
	.can_flush = yes,
	.is_rotational = no,
	.can_trim = plugin_can_write,
	.can_zero = plugin_can_write,
	.can_fast_zero = plugin_can_write,
	.can_fua = plugin_can_fua,
	.can_multi_conn = yes,
	.can_extents = yes,
	.can_cache = plugin_can_cache,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.trim = plugin_trim,
	.zero = plugin_zero,
	.extents = plugin_extents,
	.cache = plugin_cache,
};

/* nbdkit copies the structure before it calls anything here. */
__attribute__((constructor)) static void describe_params(void)
{
	static char *help;
	size_t len;
	FILE *to = open_memstream(&help, &len);

	if (!to)
		return;
	device_options_print_help(to, DEVICE_PLUGIN);
	if (!fclose(to))
		plugin.config_help = help;
}

NBDKIT_REGISTER_PLUGIN(plugin)
