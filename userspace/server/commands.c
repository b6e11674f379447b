// SPDX-License-Identifier: GPL-2.0
/* The commands that clients of the control socket can execute. */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "server/commands.h"
#include "server/image_files.h"
#include "server/protocol.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "util/json_memory.h"
#include "util/units.h"

struct command {
	const char *name;
	command_fn *co_run;
	const char *arguments; /* see protocol_check_arguments() */
	/*
	 * Needs the image: refused once the server is stopping; the stop waits for a running one.
	 */
	bool uses_image;
	enum server_slot slot; /* the slot of what it changes, if it uses the image; see server.h */
};

static int co_status(struct server *server, json_t *arguments, const struct event_sink *sink,
		     json_t **result, struct error *err)
{
	struct image_files *files = image_files_co_look(server);

	(void)arguments;
	(void)sink;
	*result = status_json(server);
	image_files_tell(server, files, *result);
	return *result ? 0 : error_set(err, -ENOMEM, "not enough memory");
}

static int co_stats(struct server *server, json_t *arguments, const struct event_sink *sink,
		    json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	*result = stats_json(server);
	return *result ? 0 : error_set(err, -ENOMEM, "not enough memory");
}

static int co_info(struct server *server, json_t *arguments, const struct event_sink *sink,
		   json_t **result, struct error *err)
{
	struct image_files *files = image_files_co_look(server);
	int ret = info_co_json(server, result, err);

	(void)arguments;
	(void)sink;
	image_files_tell(server, files, *result);
	return ret;
}

static int co_flush(struct server *server, json_t *arguments, const struct event_sink *sink,
		    json_t **result, struct error *err)
{
	int ret = blk_co_sync(server->image.node);

	(void)arguments;
	(void)sink;
	(void)result;
	return ret < 0 ? error_set_errno(err, ret, "flush") : 0;
}

static int co_detect_zeroes(struct server *server, json_t *arguments, const struct event_sink *sink,
			    json_t **result, struct error *err)
{
	const char *name = json_string_value(json_object_get(arguments, "mode"));
	enum detect_zeroes mode = name ? detect_zeroes_mode(name) : DETECT_ZEROES_MODES;

	(void)sink;
	(void)result;
	if (mode == DETECT_ZEROES_MODES)
		return error_set(err, -EINVAL, "detect-zeroes: mode is off, on or unmap");
	atomic_store(&server->target.detect_zeroes, mode);
	state_file_refresh(server);
	return 0;
}

/* Before a change of the mapping that would wait for them, and for a device that is to go. */
static int co_fail_full(struct server *server, json_t *arguments, const struct event_sink *sink,
			json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	(void)result;
	(void)err;
	atomic_store(&server->target.full.wait_s, 0);
	return 0;
}

static int co_commands(struct server *server, json_t *arguments, const struct event_sink *sink,
		       json_t **result, struct error *err);

static const struct command commands[] = {
	{ "status", co_status, "", false, SLOT_NONE },
	{ "stats", co_stats, "", true, SLOT_NONE },
	{ "info", co_info, "", true, SLOT_NONE },
	{ "flush", co_flush, "", true, SLOT_NONE },
	/*
	 * These take the slot themselves, and release it before the client waits for the end of the
	 * job.
	 */
	{ "stream", command_co_stream, "base:s speed:i wait:b", false, SLOT_NONE },
	{ "commit", command_co_commit, "top:s base:s speed:i wait:b", false, SLOT_NONE },
	{ "stream-pause", command_co_stream_pause, "", true, SLOT_STREAM },
	{ "stream-resume", command_co_stream_resume, "", true, SLOT_STREAM },
	{ "stream-cancel", command_co_stream_cancel, "", true, SLOT_STREAM },
	{ "commit-pause", command_co_commit_pause, "", true, SLOT_STREAM },
	{ "commit-resume", command_co_commit_resume, "", true, SLOT_STREAM },
	{ "commit-cancel", command_co_commit_cancel, "", true, SLOT_STREAM },
	{ "trace-start", command_co_trace_start, "file:s", true, SLOT_TRACE },
	{ "trace-stop", command_co_trace_stop, "file:s", true, SLOT_TRACE },
	{ "fail-full", co_fail_full, "", true, SLOT_NONE },
	{ "set", command_co_set, "speed:s copy-on-read:s pending:s on-full:s", true, SLOT_STREAM },
	/* Takes the slot itself, while the client waits. */
	{ "check", command_co_check, "repair:s", false, SLOT_NONE },
	{ "resize", command_co_resize, "size:i shrink:b check:b", true, SLOT_STREAM },
	/* Takes two slots itself. */
	{ "snapshot", command_co_snapshot, "file:s format:s", false, SLOT_NONE },
	{ "quit", command_co_quit, "force:b finish:b pid:i", false, SLOT_NONE },
	{ "commands", co_commands, "arguments:b", false, SLOT_NONE },
	{ "detect-zeroes", co_detect_zeroes, "mode:s", true, SLOT_NONE },
};

static int co_commands(struct server *server, json_t *arguments, const struct event_sink *sink,
		       json_t **result, struct error *err)
{
	bool tell_arguments = json_is_true(json_object_get(arguments, "arguments"));

	(void)server;
	(void)sink;
	*result = tell_arguments ? json_object() : json_array();
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *command = &commands[i];

		if (tell_arguments ? json_object_set_new(*result, command->name,
							 json_string(command->arguments)) :
				     json_array_append_new(*result, json_string(command->name)))
			return error_set(err, -ENOMEM, "not enough memory");
	}
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int co_execute(struct server *server, const struct protocol_request *request,
		      const struct event_sink *sink, json_t **result, struct error *err)
{
	const struct command *command = find_command(request->execute);
	int ret;

	if (!command)
		return error_set(err, -ENOSYS, "no such command: %s", request->execute);
	ret = protocol_check_arguments(request->arguments, command->arguments, err);
	if (ret)
		return ret;
	if (!command->uses_image)
		return command->co_run(server, request->arguments, sink, result, err);
	ret = server_co_enter(server, command->slot, err);
	if (ret)
		return ret;
	ret = command->co_run(server, request->arguments, sink, result, err);
	server_leave(server, command->slot);
	return ret;
}

char *commands_co_answer(struct server *server, const char *line, size_t len,
			 const struct event_sink *sink)
{
	struct protocol_request request;
	struct error err = ERROR_INIT;
	uint64_t failures = json_memory_failures();
	json_t *result = NULL;
	char *answer;
	int ret;

	ret = protocol_parse(&request, line, len, &err);
	if (!ret)
		ret = co_execute(server, &request, sink, &result, &err);
	if (!ret && json_memory_failures() != failures)
		ret = error_set(&err, -ENOMEM, "not enough memory for the answer");
	if (ret < 0) {
		json_decref(result);
		answer = protocol_error(&err, request.id);
	} else {
		answer = protocol_return(result, request.id);
	}
	error_free(&err);
	protocol_request_free(&request);
	return answer;
}
