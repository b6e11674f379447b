// SPDX-License-Identifier: GPL-2.0
/*
 * Names of images, by QEMU's rules.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file/name.h"
#include "file/protocol.h"
#include "util/path.h"
#include "util/units.h"

/* The most characters of a protocol in an error line, as in QEMU's. */
#define MAX_PROTOCOL 127

const struct blk_protocol *blk_protocol_of(const char *name)
{
	for (const struct blk_protocol *const *protocol = blk_protocols; *protocol; protocol++)
		if ((*protocol)->matches && (*protocol)->matches(name))
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

bool blk_name_is_json(const char *name)
{
	return !strncmp(name, "json:", strlen("json:"));
}

bool blk_name_has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

bool blk_name_is_url(const char *name)
{
	return blk_name_is_json(name) || blk_protocol_of(name);
}

static int set(char **to, bool dot, const char *text, struct error *err)
{
	if (asprintf(to, "%s%s", dot ? "./" : "", text) >= 0)
		return 0;
	*to = NULL;
	return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
}

int blk_name_of_path(const char *path, char **place, struct error *err)
{
	return set(place, blk_name_is_url(path), path, err);
}

/* Return the path of "DRIVER:PATH", where @driver is one of local files, or NULL. */
static const char *path_of(const char *name, const struct blk_protocol *driver)
{
	size_t len = strlen(driver->name);

	return !driver->co_open && !strncmp(name, driver->name, len) && name[len] == ':' ?
		       name + len + 1 :
		       NULL;
}

static int unknown_protocol(const char *name, struct error *err)
{
	char line[160];

	snprintf(line, sizeof(line), "Unknown protocol '%.*s'",
		 (int)min_u64(strcspn(name, ":"), MAX_PROTOCOL), name);
	return error_set_detail(err, -EINVAL, line, "a file of this name is ./%s", name);
}

/* Return the driver of local files that @name begins with, or NULL. */
static const struct blk_protocol *local_of(const char *name)
{
	const struct blk_protocol *const *protocol = blk_protocols;

	while (*protocol && !path_of(name, *protocol))
		protocol++;
	return *protocol;
}

int blk_name_place(const char *name, const struct blk_protocol *driver, char **place,
		   unsigned int *flags, struct error *err)
{
	const char *path;

	*place = NULL;
	if (!driver && blk_name_has_protocol(name) && !blk_protocol_of(name)) {
		driver = local_of(name);
		if (!driver)
			return unknown_protocol(name, err);
	}
	if (driver && flags)
		*flags |= driver->file_flags;
	path = driver ? path_of(name, driver) : NULL;
	/* The rest must not be taken for another protocol's name. */
	if (path)
		return set(place, blk_name_has_protocol(path), path, err);
	return driver && !driver->co_open ? blk_name_of_path(name, place, err) :
					    set(place, false, name, err);
}

int blk_name_beside(const char *place, const char *backing, char **name, struct error *err)
{
	const char *slash = strrchr(place, '/');

	if (*backing == '/' || blk_name_has_protocol(backing))
		return set(name, false, backing, err);
	*name = NULL;
	if (blk_name_is_url(place))
		return error_set(err, -EINVAL, "Cannot use relative backing file names for '%s'",
				 place);
	if (!slash)
		return set(name, false, backing, err);
	if (asprintf(name, "%.*s%s", (int)(slash + 1 - place), place, backing) >= 0)
		return 0;
	*name = NULL;
	return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
}

int blk_name_absolute(const char *name, char **place, struct error *err)
{
	char *here;
	int ret;

	if (blk_name_is_json(name))
		return set(place, false, name, err);
	ret = blk_name_place(name, NULL, &here, NULL, err);
	*place = here;
	if (ret || blk_name_is_url(here))
		return ret;
	*place = path_absolute(here);
	ret = *place ? 0 : error_set_errno(err, -errno, "%s", name);
	free(here);
	return ret;
}

bool blk_name_same(const char *place, const char *name)
{
	struct stat x, y;
	char *other;
	bool same;

	if (blk_name_place(name, NULL, &other, NULL, NULL))
		return false;
	same = !strcmp(place, other) ||
	       (!blk_name_is_url(place) && !blk_name_is_url(other) && !stat(place, &x) &&
		!stat(other, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
	free(other);
	return same;
}
