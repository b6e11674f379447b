// SPDX-License-Identifier: GPL-2.0
/*
 * --object and --trace.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/objects.h"
#include "image/image_opts.h"
#include "image/object.h"
#include "cmdline/report.h"
#include "util/units.h"

static int no_value(const char *name, const char *value, struct error *err)
{
	return error_set(err, -EINVAL, "Parameter '%s' does not accept value '%s'", name, value);
}

/* ---- Types ---- */

static int check_secret(struct blk_options *o, struct error *err)
{
	const char *data = blk_options_take(o, "data"), *file = blk_options_take(o, "file");
	const char *format = blk_options_take(o, "format");

	(void)blk_options_take(o, "keyid");
	(void)blk_options_take(o, "iv");
	if (format && strcmp(format, "raw") && strcmp(format, "base64"))
		return no_value("format", format, err);
	if (data && file)
		return error_set(err, -EINVAL, "'file' and 'data' are mutually exclusive");
	if (!data && !file)
		return error_set(err, -EINVAL, "Either 'file' or 'data' must be provided");
	if (file && access(file, R_OK))
		return error_set(err, -errno,
				 "Unable to read %s: Failed to open file \u201c%s\u201d: %s", file,
				 file, strerror(errno));
	return 0;
}

static int check_creds(struct blk_options *o, const char *file, struct error *err)
{
	const char *endpoint = blk_options_take(o, "endpoint"), *dir = blk_options_take(o, "dir");
	bool on;
	char *path;
	int ret = 0;

	/* Ignored: libnbd decides these. */
	(void)blk_options_take(o, "priority");
	(void)blk_options_take(o, "sanity-check");
	if (endpoint && strcmp(endpoint, "client") && strcmp(endpoint, "server"))
		return no_value("endpoint", endpoint, err);
	if (blk_options_take_switch(o, "verify-peer", &on, err) < 0)
		return -EINVAL;
	if (!file)
		return 0;
	if (!dir)
		return error_set(err, -EINVAL, "Missing 'dir' property value");
	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	if (access(path, R_OK))
		ret = error_set(err, -errno, "Unable to access credentials %s: %s", path,
				strerror(errno));
	free(path);
	return ret;
}

static int check_x509(struct blk_options *o, struct error *err)
{
	return check_creds(o, "ca-cert.pem", err);
}

static int check_psk(struct blk_options *o, struct error *err)
{
	(void)blk_options_take(o, "username");
	return check_creds(o, "keys.psk", err);
}

static int check_anon(struct blk_options *o, struct error *err)
{
	return check_creds(o, NULL, err);
}

/* Sorted by name, the order of help. */
static const struct {
	const char *name;
	int (*check)(struct blk_options *o, struct error *err);
	const char *help;
} types[] = {
	{ "secret", check_secret,
	  "  data=<string>\n  file=<string>\n  format=<QCryptoSecretFormat>\n  iv=<string>\n"
	  "  keyid=<string>\n" },
	{ "tls-creds-anon", check_anon,
	  "  dir=<string>\n  endpoint=<QCryptoTLSCredsEndpoint>\n  priority=<string>\n"
	  "  verify-peer=<bool>\n" },
	{ "tls-creds-psk", check_psk,
	  "  dir=<string>\n  endpoint=<QCryptoTLSCredsEndpoint>\n  priority=<string>\n"
	  "  username=<string>\n  verify-peer=<bool>\n" },
	{ "tls-creds-x509", check_x509,
	  "  dir=<string>\n  endpoint=<QCryptoTLSCredsEndpoint>\n  priority=<string>\n"
	  "  sanity-check=<bool>\n  verify-peer=<bool>\n" },
};

/* ---- The option ---- */

/* Return the index of the type, or -1. */
static int find_type(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, type))
			return (int)i;
	return -1;
}

static int check_type(struct blk_options *o, int type, struct error *err)
{
	int ret = types[type].check(o, err);
	const char *left = blk_options_left(o);

	if (left && ret != -ENOMEM) {
		error_free(err);
		ret = error_set(err, -EINVAL, "Parameter '%s' is unexpected", left);
	}
	return ret;
}

static int check_object(struct blk_options *o, struct error *err)
{
	const char *type = blk_options_take(o, "qom-type"), *id = blk_options_take(o, "id");
	int type_index;

	if (!type || !*type)
		return error_set(err, -EINVAL, "Parameter 'qom-type' is missing");
	type_index = find_type(type);
	if (type_index < 0)
		return no_value("qom-type", type, err);
	if (!id)
		return error_set(err, -EINVAL, "Parameter 'id' is missing");
	if (!blk_is_identifier(id))
		return error_set(err, -EINVAL,
				 "Parameter 'id' expects an identifier\n"
				 "Identifiers consist of letters, digits, '-', '.', '_', starting "
				 "with a letter.");
	return check_type(o, type_index, err);
}

static int parse_object(struct blk_options **o, const char *text, struct error *err)
{
	char *json;
	int ret;

	if (*text != '{')
		return image_opts_parse(o, text, "qom-type", IMAGE_OPTS_NO_SWITCHES, err);
	if (asprintf(&json, "json:%s", text) < 0)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	ret = blk_options_parse_json(o, json, err);
	free(json);
	return ret;
}

/* Print the help of the type that @text begins with, else the list of types. */
static void print_help(const char *text)
{
	size_t i, len = image_opts_item_len(text);

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i].name) == len && !strncmp(types[i].name, text, len)) {
			printf("%s options:\n%s", types[i].name, types[i].help);
			return;
		}
	printf("List of user creatable objects:\n");
	for (i = 0; i < ARRAY_SIZE(types); i++)
		printf("  %s\n", types[i].name);
}

int object_option(const char *text)
{
	struct error err = ERROR_INIT;
	struct blk_options *o;

	if (*text != '{' && image_opts_want_help(text)) {
		print_help(text);
		exit(report_flush());
	}
	if (parse_object(&o, text, &err) < 0)
		return report_fail(&err);
	if (check_object(o, &err) == 0 && blk_object_add(o, &err) == 0)
		return 0;
	blk_options_free(o);
	return report_fail(&err);
}

static void warn_of_event(const char *name)
{
	if (!strchr(name, '*'))
		report_warning("trace event '%s' does not exist", name);
}

int trace_option(const char *text)
{
	struct error err = ERROR_INIT;
	const char *event, *events, *left;
	struct blk_options *o;
	int status = 0;

	if (!strcmp(text, "help"))
		exit(0);
	if (image_opts_parse(&o, text, "enable", IMAGE_OPTS_WARN, &err) < 0)
		return report_fail(&err);
	event = blk_options_take(o, "enable");
	events = blk_options_take(o, "events");
	(void)blk_options_take(o, "file");
	left = blk_options_left(o);
	if (left) {
		status = report_error("Invalid parameter '%s'", left);
	} else if (events && access(events, R_OK)) {
		status = report_error("%s: %s", events, strerror(errno));
	} else if (event) {
		warn_of_event(event);
	}
	blk_options_free(o);
	return status;
}
