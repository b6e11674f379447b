// SPDX-License-Identifier: GPL-2.0
/*
 * Names of backing files: relative ones are relative to the image's directory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/node.h"

char *blk_resolve_backing(const char *filename, const char *backing)
{
	const char *slash = strrchr(filename, '/');
	char *path;

	if (*backing == '/' || !slash || blk_name_is_url(backing))
		return strdup(backing);
	if (asprintf(&path, "%.*s%s", (int)(slash + 1 - filename), filename, backing) < 0)
		return NULL;
	return path;
}

char *blk_backing_path(const struct blk_node *node)
{
	if (!node->backing_name)
		return NULL;
	return blk_resolve_backing(node->filename, node->backing_name);
}
