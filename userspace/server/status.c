// SPDX-License-Identifier: GPL-2.0
/* Descriptions of the server, its device and its image. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/sys.h"
#include "aio/timer.h"
#include "device/run_files.h"
#include "populate/populate.h"
#include "server/protocol.h"
#include "server/server.h"
#include "server/status.h"
#include "util/json_text.h"
#include "util/units.h"

/* How long `info` may count clusters before it omits the counts. */
#define COUNT_NS (3 * 1000000000ULL)
/* How long it counts before it yields: commits that writers wait for run on the same loop. */
#define COUNT_TURN_NS 1000000ULL

static json_t *chain_json(const struct blk_node *top)
{
	json_t *chain = json_array();

	for (const struct blk_node *node = top->backing; node; node = node->backing) {
		json_t *entry = json_pack("{s:o, s:s, s:b}", "filename", json_text(node->filename),
					  "format", node->driver->name, "probed", node->probed);

		json_array_append_new(chain, entry);
	}
	return chain;
}

/* Add a warning for the user, which names its file. @text NULL: none. */
static void add_warning(json_t *warnings, const char *filename, const char *text)
{
	char *line;

	if (!text || asprintf(&line, "%s: %s", filename, text) < 0)
		return;
	json_array_append_new(warnings, json_text(line));
	free(line);
}

/* Return the warnings that stay. */
static json_t *warnings_json(const struct device_image *image)
{
	json_t *warnings = json_array();

	for (const struct blk_node *node = image->node; node; node = node->backing)
		add_warning(warnings, node->filename, device_image_probe_warning(image, node));
	return warnings;
}

/* Add those about backing files that changed. */
static void add_backing_warnings(const struct device_image *image, json_t *json)
{
	char *unread = device_image_unread_warning(image);

	add_warning(json_object_get(json, "warnings"), image->path, unread);
	free(unread);
	for (size_t i = 0; i < image->backing.nr; i++) {
		const struct blk_backing *file = &image->backing.files[i];
		char *text = device_image_backing_warning(image, file);

		add_warning(json_object_get(json, "warnings"), file->filename, text);
		free(text);
	}
}

/* Which backing files may be opened. */
static json_t *policy_json(const struct device_options *options)
{
	if (options->no_backing)
		return json_string("none");
	return options->backing_dir ? json_text(options->backing_dir) : json_string("any");
}

static json_int_t count_all_clusters(const struct blk_node *node)
{
	return node->cluster_size ? div_round_up(node->size, node->cluster_size) : 0;
}

json_t *status_describe(struct server *server)
{
	const struct ublk_dev_info *dev = ublk_device_info(server->device);
	const struct blk_node *node = server->image.node;
	char device[UBLK_PATH_LEN];
	json_t *json;

	json = json_pack("{s:s, s:s, s:o, s:s, s:s, s:i, s:I, s:I, s:b, s:b, s:s, s:b, s:i, s:i, "
			 "s:i, s:I, s:o}",
			 "name", server->options->name, "state", SERVER_STATE_LIVE, "image",
			 json_text(server->image.path), "format", node->driver->name, "device",
			 ublk_block_path(device, dev->dev_id), "dev-id", (int)dev->dev_id, "size",
			 (json_int_t)node->size, "cluster-size", (json_int_t)node->cluster_size,
			 "read-only", !(node->flags & BLK_O_RDWR), "copy-on-read",
			 device_image_copies_on_read(&server->image), "cache",
			 device_option_text(server->options, DEVICE_OPTION_cache), "direct",
			 node->file && node->file->direct, "queues", (int)dev->queues, "depth",
			 (int)dev->depth, "pid", (int)getpid(), "uptime", (json_int_t)0,
			 "backing-chain", chain_json(node));
	if (!json)
		return NULL;
	json_object_set_new(json, "backing-dir", policy_json(server->options));
	json_object_set_new(json, "warnings", warnings_json(&server->image));
	json_object_set_new(json, "clusters",
			    json_pack("{s:I, s:n, s:n}", "total", count_all_clusters(node), "data",
				      "zero"));
	json_object_set_new(json, "recovery", json_boolean(dev->flags & UBLK_F_USER_RECOVERY));
	return json;
}

void status_refresh_size(struct server *server)
{
	const struct blk_node *node = server->image.node;

	json_object_set_new(server->description, "size",
			    json_integer((json_int_t)atomic_load(&node->size)));
	json_object_set_new(json_object_get(server->description, "clusters"), "total",
			    json_integer(count_all_clusters(node)));
}

void status_refresh_chain(struct server *server)
{
	json_object_set_new(server->description, "backing-chain", chain_json(server->image.node));
}

/* Add the state that changes while the image is open. */
static void add_background(const struct server *server, json_t *json)
{
	const struct server_job *job = server->job;

	json_object_set_new(json, "copy-on-read",
			    json_boolean(device_image_copies_on_read(&server->image)));
	json_object_set_new(json, "pending-clusters",
			    json_integer(populate_pending(server->image.node)));
	if (job)
		json_object_set_new(json, job->kind->key, server_job_json(job));
}

/* Add what is known of requests, and a job, that wait for room, and a warning. */
static void add_full(const struct server *server, json_t *json)
{
	unsigned int waiting = atomic_load(&server->target.full.waiting);
	time_t since = waiting ? atomic_load(&server->target.full.since) : 0;
	time_t job = server_job_full_since(server);
	const char *kind = job ? server->job->kind->name : NULL;
	char when[32], waiters[64], line[160];
	struct tm tm;

	json_object_set_new(
		json, "on-full",
		json_string(atomic_load(&server->target.full.wait_s) ?
				    device_option_text(server->options, DEVICE_OPTION_on_full) :
				    "error"));
	if (!since || (job && job < since))
		since = job;
	if (!since || !localtime_r(&since, &tm) ||
	    !strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", &tm))
		return;
	json_object_set_new(json, "full",
			    json_pack("{s:s, s:i, s:s*}", "since", when, "waiting", (int)waiting,
				      "job", kind));
	if (!waiting)
		snprintf(waiters, sizeof(waiters), "the %s waits", kind);
	else
		snprintf(waiters, sizeof(waiters), "%u requests%s%s wait", waiting,
			 kind ? " and the " : "", kind ? kind : "");
	snprintf(line, sizeof(line), "the image's file system is full since %s: %s", when, waiters);
	json_array_append_new(json_object_get(json, "warnings"), json_string(line));
}

json_t *status_json(struct server *server)
{
	json_t *json = json_deep_copy(server->description);

	if (!json)
		return NULL;
	json_object_set_new(json, "state",
			    json_string(server->state == SERVER_LIVE && !server->stop_reason ?
						SERVER_STATE_LIVE :
						SERVER_STATE_STOPPING));
	if (server->quits)
		json_object_set_new(json, "quit-pending", json_true());
	json_object_set_new(
		json, "detect-zeroes",
		json_string(detect_zeroes_name(atomic_load(&server->target.detect_zeroes))));
	json_object_set_new(json, "uptime",
			    json_integer((aio_now() - server->live_since) / 1000000000));
	add_full(server, json);
	add_backing_warnings(&server->image, json);
	/* While the server stops, the image may already be closed. */
	if (server->state == SERVER_LIVE)
		add_background(server, json);
	return json;
}

json_t *stats_json(struct server *server)
{
	const struct blk_stats *stats = &server->image.node->stats;
	const struct blk_driver *driver = server->image.node->driver;
	uint64_t gauges[BLK_GAUGE_COUNT] = { 0 };
	json_t *json = json_object();

	for (int i = 0; i < BLK_STAT_COUNT; i++)
		json_object_set_new(json, blk_stat_name(i), json_integer(blk_stats_get(stats, i)));
	if (driver->gauges) {
		driver->gauges(server->image.node, gauges);
		for (int i = 0; i < BLK_GAUGE_COUNT; i++)
			json_object_set_new(json, blk_gauge_name(i), json_integer(gauges[i]));
	}
	json_object_set_new(json, "in-flight", json_integer(ublk_device_in_flight(server->device)));
	return json;
}

static void add_feature(void *arg, const char *name)
{
	json_array_append_new(arg, json_string(name));
}

static json_t *features_json(const struct ublk_dev_info *dev)
{
	json_t *features = json_array();

	ublk_for_each_feature(dev->flags, add_feature, features);
	return features;
}

/* Return the device's limits, all in bytes. */
static json_t *limits_json(const struct ublk_params_v2 *params)
{
	const struct ublk_param_basic *basic = &params->basic;
	const struct ublk_param_discard *discard = &params->discard;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "logical-block-size",
			 (json_int_t)1 << basic->logical_bs_shift, "physical-block-size",
			 (json_int_t)1 << basic->physical_bs_shift, "io-min",
			 (json_int_t)1 << basic->io_min_shift, "io-opt",
			 (json_int_t)1 << basic->io_opt_shift, "max-io",
			 (json_int_t)basic->max_sectors * SECTOR_SIZE, "discard-granularity",
			 (json_int_t)discard->discard_granularity, "max-discard",
			 (json_int_t)discard->max_discard_sectors * SECTOR_SIZE, "max-write-zeroes",
			 (json_int_t)discard->max_write_zeroes_sectors * SECTOR_SIZE);
}

/* Count clusters. Returns false after a timeout or an error. */
static bool co_count_clusters(struct blk_node *node, uint64_t *data, uint64_t *zero)
{
	uint64_t deadline = aio_now() + COUNT_NS, turn_end = aio_now() + COUNT_TURN_NS;
	uint64_t offset = 0, size = node->size;

	*data = *zero = 0;
	while (offset < size) {
		struct blk_map map;
		uint64_t clusters;

		if (aio_now() > turn_end) {
			aio_co_sleep(0);
			turn_end = aio_now() + COUNT_TURN_NS;
		}
		if (aio_now() > deadline ||
		    node->driver->co_map(node, offset, size - offset, &map) < 0 || !map.bytes)
			return false;
		clusters = div_round_up(map.bytes, node->cluster_size);
		if (map.kind == BLK_MAP_DATA)
			*data += clusters;
		else if (map.kind == BLK_MAP_ZERO)
			*zero += clusters;
		offset += map.bytes;
	}
	return true;
}

static void co_add_cluster_counts(struct blk_node *node, json_t *clusters)
{
	uint64_t data, zero;

	if (!node->cluster_size || !node->driver->co_map || !co_count_clusters(node, &data, &zero))
		return;
	json_object_set_new(clusters, "data", json_integer(data));
	json_object_set_new(clusters, "zero", json_integer(zero));
}

int info_co_json(struct server *server, json_t **info, struct error *err)
{
	struct blk_node *node = server->image.node;
	struct blk_info blk = { 0 };
	json_t *json;
	int ret = blk_co_info(node, &blk);

	if (ret < 0)
		return error_set_errno(err, ret, "%s", server->image.path);
	json = status_json(server);
	if (!json)
		return error_set(err, -ENOMEM, "not enough memory");
	json_object_set_new(json, "image-info",
			    json_pack("{s:I, s:I, s:I, s:I, s:b}", "virtual-size",
				      (json_int_t)blk.virtual_size, "actual-size",
				      (json_int_t)blk.actual_size, "cluster-size",
				      (json_int_t)blk.cluster_size, "table-size",
				      (json_int_t)blk.table_size, "dirty", blk.dirty));
	json_object_set_new(json, "features", features_json(ublk_device_info(server->device)));
	json_object_set_new(json, "limits", limits_json(ublk_device_params(server->device)));
	co_add_cluster_counts(node, json_object_get(json, "clusters"));
	*info = json;
	return 0;
}
