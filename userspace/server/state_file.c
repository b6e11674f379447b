// SPDX-License-Identifier: GPL-2.0
/* NAME.json: the description of a server, for tools and for its successor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/protocol.h"
#include "server/server.h"
#include "server/state_file.h"
#include "util/json_memory.h"
#include "util/json_text.h"
#include "util/log.h"
#include "util/units.h"

/* Return an argument as a JSON string or, if it is not UTF-8, as {"hex": DIGITS}. */
static json_t *argument_json(const char *arg)
{
	json_t *json = json_string(arg);
	char *hex, *to;

	if (json)
		return json;
	to = hex = malloc(2 * strlen(arg) + 1);
	if (!hex) {
		json_memory_fail();
		return NULL;
	}
	for (*hex = '\0'; *arg; arg++)
		to += sprintf(to, "%02x", (unsigned char)*arg);
	json = json_pack("{s:s}", "hex", hex);
	free(hex);
	return json;
}

/* Append --@name=@value, or --@name when @value is "". */
static void append_option(json_t *options, const char *name, const char *value)
{
	char *arg;

	if (asprintf(&arg, "--%s%s%s", name, *value ? "=" : "", value) < 0) {
		json_memory_fail();
		return;
	}
	json_array_append_new(options, argument_json(arg));
	free(arg);
}

/* Append the options of a stream that is not finished. */
static void append_stream(json_t *options, struct server *server)
{
	const struct stream_wish *wish = &server->wish;
	uint64_t speed;

	if (!wish->stream && !wish->prefetch)
		return;
	if (wish->stream)
		json_array_append_new(options, json_string("--stream"));
	if (wish->base)
		append_option(options, "stream-base", wish->base);
	if (wish->prefetch)
		append_option(options, "prefetch", wish->prefetch);
	if (wish->paused)
		json_array_append_new(options, json_string("--stream-paused"));
	speed = server_job_is_wished(server) ? job_get_speed(server->job->job) :
					       server->options->speed;
	if (speed)
		json_array_append_new(options, json_sprintf("--speed=%" PRIu64, speed));
}

/* Return the value of option @i, as given or as it is now; NULL: none. */
static const char *value_of(const struct server *server, enum device_option_id i)
{
	const char *value = server->options->given[i];
	bool copies = device_image_copies_on_read(&server->image);

	/* The successor must find it after our directory is gone, too. */
	if (i == DEVICE_OPTION_image)
		return server->image.path;
	if (i == DEVICE_OPTION_size && server->resized)
		return NULL;
	if (!server->other_image)
		return value;
	if (i == DEVICE_OPTION_format)
		return server->image.node->driver->name;
	/* Another image may have a backing file where the first had none. */
	if (i == DEVICE_OPTION_copy_on_read)
		return copies ? value : NULL;
	if (i == DEVICE_OPTION_no_copy_on_read)
		return copies ? NULL : "";
	return value;
}

/* Return the options that start a successor of this server. */
static json_t *options_json(struct server *server)
{
	json_t *options = json_array();

	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++) {
		enum device_successor rule = device_option_table[i].successor;
		const char *value = value_of(server, i);

		if (value && rule != SUCCESSOR_LIVE &&
		    !(rule == SUCCESSOR_BACKING && server->backing_changes))
			append_option(options, device_option_table[i].name, value);
	}
	json_array_append_new(options, json_sprintf("--detect-zeroes=%s",
						    detect_zeroes_name(atomic_load(
							    &server->target.detect_zeroes))));
	append_stream(options, server);
	return options;
}

static json_t *state_file_json(struct server *server)
{
	const struct ublk_dev_info *dev = ublk_device_info(server->device);
	char device[UBLK_PATH_LEN];

	return json_pack("{s:s, s:o, s:i, s:s, s:i, s:o, s:o}", "name", server->options->name,
			 "image", json_text(server->image.path), "dev-id", (int)dev->dev_id,
			 "device", ublk_block_path(device, dev->dev_id), "pid", (int)getpid(),
			 "options", options_json(server), "directory",
			 argument_json(server->directory ? server->directory : "/"));
}

int state_file_write(struct server *server, struct error *err)
{
	uint64_t failures = json_memory_failures();
	json_t *json = state_file_json(server);
	int ret;

	/*
	 * Never write an incomplete list: a successor without one of the options could lose data.
	 */
	if (!json || json_memory_failures() != failures)
		ret = error_set(err, -ENOMEM, "not enough memory");
	else
		ret = run_state_describe(&server->run, json, err);
	json_decref(json);
	return ret;
}

void state_file_refresh(struct server *server)
{
	struct error err = ERROR_INIT;

	if (state_file_write(server, &err))
		log_warning("%s: %s", server->options->name, error_text(&err));
	error_free(&err);
}
