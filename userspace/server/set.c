// SPDX-License-Identifier: GPL-2.0
/*
 * The command `set`: options of the live device that the server can change by itself. Each is a row
 * of the table here, an argument of the command, and has "set" in the column `changes` of
 * device/option_table.h.
 *
 * A changed option is changed in server->options, too, so that status and a successor have it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "populate/populate.h"
#include "server/commands.h"
#include "server/job.h"
#include "server/server.h"
#include "server/state_file.h"
#include "util/units.h"

struct setting {
	enum device_option_id id;
	/*
	 * Change the device to @wanted's value of the option. Coroutine of the main loop; may
	 * yield. Returns 0, or a negative errno with an error line and nothing changed.
	 */
	int (*co_change)(struct server *server, const struct device_options *wanted,
			 struct error *err);
};

static int co_set_on_full(struct server *server, const struct device_options *wanted,
			  struct error *err)
{
	(void)err;
	atomic_store(&server->target.full.wait_s, wanted->on_full);
	return 0;
}

/* Of the running stream or commit. Another one has the speed that it is started with. */
static int co_set_speed(struct server *server, const struct device_options *wanted,
			struct error *err)
{
	if (!server_job_runs(server))
		return error_set(err, -ENOENT, "speed: no stream or commit runs");
	server_job_set_speed(server, wanted->speed);
	return 0;
}

static int co_set_copy_on_read(struct server *server, const struct device_options *wanted,
			       struct error *err)
{
	int ret = populate_co_keep_reads(server->image.node, wanted->copy_on_read, err);

	if (ret)
		error_prefix(err, "copy-on-read");
	return ret;
}

static int co_set_pending(struct server *server, const struct device_options *wanted,
			  struct error *err)
{
	(void)err;
	server->finish_pending = wanted->finish_pending;
	return 0;
}

/* Those that may fail come first: then nothing is changed. */
static const struct setting settings[] = {
	{ DEVICE_OPTION_speed, co_set_speed },
	{ DEVICE_OPTION_copy_on_read, co_set_copy_on_read },
	{ DEVICE_OPTION_finish_pending, co_set_pending },
	{ DEVICE_OPTION_on_full, co_set_on_full },
};

/* Note in server->options that option @id has @value (copied) from now on. */
static int note_option(struct server *server, enum device_option_id id, const char *value,
		       struct error *err)
{
	char *copy = strdup(value);
	int ret;

	if (!copy)
		return error_set(err, -ENOMEM, "not enough memory");
	ret = device_option_change(&server->live_options, &device_option_table[id], copy, err);
	if (ret) {
		free(copy);
		return ret;
	}
	free(server->live_values[id]);
	server->live_values[id] = copy;
	return 0;
}

/* Check all of @arguments before one is changed: their values are set in @wanted. */
static int parse(const json_t *arguments, struct device_options *wanted, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !ret; i++) {
		const struct device_option *option = &device_option_table[settings[i].id];
		const char *value = json_string_value(json_object_get(arguments, option->name));

		if (value)
			ret = device_option_change(wanted, option, value, err);
	}
	return ret;
}

int command_co_set(struct server *server, json_t *arguments, const struct event_sink *sink,
		   json_t **result, struct error *err)
{
	struct device_options wanted = server->live_options;
	int ret = parse(arguments, &wanted, err);

	(void)sink;
	(void)result;
	for (size_t i = 0; i < ARRAY_SIZE(settings) && !ret; i++) {
		enum device_option_id id = settings[i].id;
		json_t *value = json_object_get(arguments, device_option_table[id].name);

		if (!value)
			continue;
		ret = settings[i].co_change(server, &wanted, err);
		if (!ret)
			ret = note_option(server, id, json_string_value(value), err);
	}
	state_file_refresh(server);
	return ret;
}
