// SPDX-License-Identifier: GPL-2.0
/*
 * Objects with an id: a linked list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file/objects.h"

struct object {
	struct object *next;
	struct blk_options *options;
};

static struct object *objects;

struct blk_options *blk_object_find(const char *id)
{
	for (struct object *o = objects; o; o = o->next)
		if (!strcmp(blk_options_take(o->options, "id"), id))
			return o->options;
	return NULL;
}

int blk_object_add(struct blk_options *object, struct error *err)
{
	const char *id = blk_options_take(object, "id");
	struct object *o;

	if (blk_object_find(id))
		return error_set(err, -EEXIST,
				 "attempt to add duplicate property '%s' to object (type "
				 "'container')",
				 id);
	o = malloc(sizeof(*o));
	if (!o)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	*o = (struct object){ .next = objects, .options = object };
	objects = o;
	return 0;
}
