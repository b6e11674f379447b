// SPDX-License-Identifier: GPL-2.0
/*
 * Convert the options of an NBD export, with QEMU's names, to a URI.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/objects.h"
#include "file/nbd/options.h"
#include "util/units.h"

struct parts {
	const char *host, *port, *path, *export, *reconnect_delay;
	struct blk_options *creds; /* of TLS, or NULL */
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
}

static int missing(const char *name, struct error *err)
{
	return error_set(err, -EINVAL, "Parameter '%s' is missing", name);
}

/* Take the address as options of the part "server": server.type and those of that type. */
static int take_server(struct blk_options *o, struct parts *p, struct error *err)
{
	/* Ignored: libnbd decides how to make a socket. */
	static const char *const ignored[] = {
		"server.to",	  "server.ipv4",       "server.ipv6",
		"server.numeric", "server.keep-alive", "server.mptcp"
	};
	const char *type = blk_options_take(o, "server.type");

	p->host = blk_options_take(o, "server.host");
	p->port = blk_options_take(o, "server.port");
	p->path = blk_options_take(o, "server.path");
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)blk_options_take(o, ignored[i]);
	if (!type)
		return missing("type", err);
	if (!strcmp(type, "unix")) {
		p->host = NULL;
		return p->path ? 0 : missing("path", err);
	}
	if (!strcmp(type, "vsock") || !strcmp(type, "fd"))
		return error_set(err, -ENOTSUP, "NBD over %s is not supported", type);
	if (strcmp(type, "inet"))
		return error_set(err, -EINVAL, "Parameter 'type' does not accept value '%s'", type);
	p->path = NULL;
	if (!p->host)
		return missing("host", err);
	return p->port ? 0 : missing("port", err);
}

static int take_address(struct blk_options *o, struct parts *p, struct error *err)
{
	if (blk_options_has_part(o, "server"))
		return take_server(o, p, err);
	p->host = blk_options_take(o, "host");
	p->port = blk_options_take(o, "port");
	p->path = blk_options_take(o, "path");
	if (p->host && p->path)
		return error_set(err, -EINVAL, "path and host may not be used at the same time");
	if (!p->host && !p->path)
		return error_set(err, -EINVAL, "NBD server address missing");
	if (!p->host && p->port)
		return error_set(err, -EINVAL, "port may not be used without host");
	return 0;
}

static int take_creds(struct blk_options *o, struct parts *p, struct error *err)
{
	const char *id = blk_options_take(o, "tls-creds");
	const char *type, *endpoint;

	if (!id)
		return 0;
	p->creds = blk_object_find(id);
	if (!p->creds)
		return error_set(err, -EINVAL, "No TLS credentials with id '%s'", id);
	type = blk_options_take(p->creds, "qom-type");
	if (strncmp(type, "tls-creds-", strlen("tls-creds-")))
		return error_set(err, -EINVAL, "Object with id '%s' is not TLS credentials", id);
	endpoint = blk_options_take(p->creds, "endpoint");
	if (endpoint && strcmp(endpoint, "client"))
		return error_set(err, -EINVAL, "Expecting TLS credentials with a client endpoint");
	return 0;
}

/* ---- The URI ---- */

struct uri {
	FILE *out;
	char separator; /* of the next parameter */
};

static void put_quoted(struct uri *uri, const char *text)
{
	for (; *text; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~/", *text))
			fputc(*text, uri->out);
		else
			fprintf(uri->out, "%%%02X", (unsigned char)*text);
	}
}

/* Write NAME=VALUE; @leaf is a file in the folder @value, or "". */
static void put_param(struct uri *uri, const char *name, const char *value, const char *leaf)
{
	if (!value)
		return;
	fprintf(uri->out, "%c%s=", uri->separator, name);
	put_quoted(uri, value);
	put_quoted(uri, leaf);
	uri->separator = '&';
}

static void put_creds(struct uri *uri, struct blk_options *creds)
{
	const char *dir = blk_options_take(creds, "dir");
	const char *verify = blk_options_take(creds, "verify-peer");

	if (!strcmp(blk_options_take(creds, "qom-type"), "tls-creds-psk"))
		put_param(uri, "tls-psk-file", dir, "/keys.psk");
	else
		put_param(uri, "tls-certificates", dir, "");
	if (verify && !strcmp(verify, "off"))
		put_param(uri, "tls-verify-peer", "false", "");
}

static void put_all(struct uri *uri, const struct parts *p)
{
	const char *user = p->creds ? blk_options_take(p->creds, "username") : NULL;

	fprintf(uri->out, "nbd%s%s://", p->creds ? "s" : "", p->path ? "+unix" : "");
	if (user) {
		put_quoted(uri, user);
		fputc('@', uri->out);
	}
	if (!p->path) {
		fprintf(uri->out, strchr(p->host, ':') ? "[%s]" : "%s", p->host);
		if (p->port)
			fprintf(uri->out, ":%s", p->port);
	}
	fputc('/', uri->out);
	if (p->export)
		put_quoted(uri, p->export);
	put_param(uri, "socket", p->path, "");
	put_param(uri, "reconnect-delay", p->reconnect_delay, "");
	if (p->creds)
		put_creds(uri, p->creds);
}

int nbd_name_from(struct blk_options *options, char **name, struct error *err)
{
	struct uri uri = { .separator = '?' };
	struct parts p = { 0 };
	size_t len;
	int ret = take_address(options, &p, err);

	if (!ret)
		ret = take_creds(options, &p, err);
	if (ret)
		return ret;
	p.export = blk_options_take(options, "export");
	p.reconnect_delay = blk_options_take(options, "reconnect-delay");
	/* Ignored: open tries to connect once. */
	(void)blk_options_take(options, "open-timeout");
	uri.out = open_memstream(name, &len);
	if (!uri.out)
		return no_memory(err);
	put_all(&uri, &p);
	if (!fclose(uri.out))
		return 0;
	free(*name);
	*name = NULL;
	return no_memory(err);
}
