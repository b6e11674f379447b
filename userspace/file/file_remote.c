// SPDX-License-Identifier: GPL-2.0
/*
 * Image files that are accessed by a protocol and have no descriptor.
 */
#include <errno.h>
#include <string.h>

#include "file/file_internal.h"
#include "file/protocol.h"

int blk_file_co_open_remote(struct blk_file *file, unsigned int flags, struct error *err)
{
	const struct blk_protocol *protocol = blk_protocol_of(file->name);
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
