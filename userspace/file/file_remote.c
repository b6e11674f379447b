// SPDX-License-Identifier: GPL-2.0
/*
 * Image files that are accessed by a protocol and have no descriptor.
 */
#include <errno.h>
#include <string.h>

#include "file/file_internal.h"
#include "file/protocol.h"

/* Return the protocol that matches @filename, or NULL. */
static const struct blk_protocol *protocol_of(const char *filename)
{
	for (const struct blk_protocol *const *protocol = blk_protocols; *protocol; protocol++)
		if ((*protocol)->matches && (*protocol)->matches(filename))
			return *protocol;
	return NULL;
}

const struct blk_protocol *blk_protocol_find(const char *name)
{
	for (const struct blk_protocol *const *protocol = blk_protocols; *protocol; protocol++)
		if (!strcmp((*protocol)->name, name))
			return *protocol;
	return NULL;
}

bool blk_name_is_url(const char *name)
{
	return blk_name_is_json(name) || protocol_of(name);
}

bool blk_name_has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

int blk_file_co_open_remote(struct blk_file *file, unsigned int flags, struct error *err)
{
	const struct blk_protocol *protocol = protocol_of(file->name);
	int ret;

	if (!protocol)
		ret = error_set(err, -EINVAL, "Unknown protocol '%.*s'",
				(int)strcspn(file->name, ":"), file->name);
	else if (flags & BLK_FILE_CREATE)
		ret = error_set(err, -ENOTSUP, "images cannot be created there");
	else if (file->writable && protocol->read_only)
		ret = error_set(err, -EROFS, "network images can only be read");
	else
		ret = protocol->co_open(file, err);
	if (ret) {
		error_set_errno(err, ret, "cannot open it");
		error_prefix(err, "%s", file->name);
		return ret;
	}
	file->protocol = protocol;
	file->keeps_nothing = protocol->keeps_nothing;
	return 0;
}

bool blk_file_is_same(const struct blk_file *a, const struct blk_file *b)
{
	if (a->protocol || b->protocol)
		return a->protocol == b->protocol && !strcmp(a->name, b->name);
	return a->dev == b->dev && a->ino == b->ino;
}
