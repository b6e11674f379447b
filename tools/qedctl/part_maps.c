// SPDX-License-Identifier: GPL-2.0
/* Mappings of partitions. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "device/run_files.h"
#include "file/device_users.h"
#include "qedctl/part_maps.h"
#include "qedctl/partition_table.h"
#include "util/json_text.h"
#include "util/units.h"

/* What device-mapper takes. */
#define DM_NAME_MAX 127
#define DM_UUID_MAX 128

/* Where a partition begins is the second parameter of its table. */
struct place {
	struct mapping map;
	uint64_t start; /* bytes */
};

/* ---- Finding ---- */

static bool read_line(const char *dir, const char *name, const char *file, char *buf, size_t len)
{
	char path[512];
	FILE *from;
	bool good;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
	from = fopen(path, "re");
	good = from && fgets(buf, (int)len, from);
	if (from)
		fclose(from);
	if (good)
		buf[strcspn(buf, "\n")] = '\0';
	return good;
}

/* Add the mapping called @entry in @dir, the holders of the device, if it is a partition. */
static int add_holder(const char *dir, const char *entry, const char *server,
		      struct part_maps *maps)
{
	char uuid[160], name[128], sectors[32];
	struct part_map *more;
	unsigned int number;
	int end = 0;

	if (!read_line(dir, entry, "dm/uuid", uuid, sizeof(uuid)) ||
	    sscanf(uuid, "part%u-" DM_UUID_OF_OURS "%n", &number, &end) != 1 || !end ||
	    strcmp(uuid + end, server) || !read_line(dir, entry, "dm/name", name, sizeof(name)) ||
	    !read_line(dir, entry, "size", sectors, sizeof(sectors)))
		return 0;
	more = reallocarray(maps->map, maps->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	maps->map = more;
	more += maps->count++;
	*more = (struct part_map){ .number = number,
				   .size = strtoull(sectors, NULL, 10) * SECTOR_SIZE };
	memcpy(more->name, name, sizeof(name));
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return (int)((const struct part_map *)a)->number -
	       (int)((const struct part_map *)b)->number;
}

void part_maps_free(struct part_maps *maps)
{
	free(maps->map);
	*maps = (struct part_maps){ 0 };
}

/* Fill @maps with the partitions above the mapping of @dev. */
static int find_maps(const struct device *dev, struct part_maps *maps, struct error *err)
{
	char path[80];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	*maps = (struct part_maps){ 0 };
	if (!dev->map.exists)
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", dev->map.major,
		 dev->map.minor);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = add_holder(path, entry->d_name, dev->server, maps);
	if (dir)
		closedir(dir);
	if (ret) {
		part_maps_free(maps);
		return error_set(err, ret, "out of memory");
	}
	if (maps->count)
		qsort(maps->map, maps->count, sizeof(*maps->map), by_number);
	return 0;
}

/* Look the partition up. Returns false if it is gone. */
static bool look(const char *name, struct place *place)
{
	uint64_t start = 0;

	if (mapping_lookup(name, &place->map, NULL) || !place->map.exists)
		return false;
	sscanf(place->map.params, "%*s %" SCNu64, &start);
	place->start = start * SECTOR_SIZE;
	return true;
}

/* Set -EBUSY for the partition, with what uses it. */
static int in_use(const struct mapping *part, const char *effect, struct error *err)
{
	char *users = device_users(makedev(part->major, part->minor), DEVICE_USE_ANY);
	int ret = error_set(err, -EBUSY, "%s is in use%s%s%s", part->name, users ? " by " : "",
			    users ? users : "", effect);

	free(users);
	return ret;
}

/* ---- The description: what the table says of each partition, for `ls` and `info` ---- */

static void description_path(const struct device *dev, char path[512])
{
	snprintf(path, 512, "%s/%s" RUN_PARTITIONS, client_run_dir(), dev->server);
}

static void describe(const struct device *dev, const struct partition *parts, size_t count)
{
	json_t *array = json_array();
	char path[512];
	int fd;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_pack("{s:i, s:s, s:o, s:s}", "number",
						       (int)parts[i].number, "type", parts[i].type,
						       "label", json_text(parts[i].label), "uuid",
						       parts[i].uuid));
	description_path(dev, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || json_dumpfd(array, fd, 0))
		report_warning("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	json_decref(array);
}

static const json_t *described(const json_t *array, unsigned int number)
{
	const json_t *part;
	size_t i;

	json_array_foreach(array, i, part)
		if (json_get_int(part, "number", 0) == number)
			return part;
	return NULL;
}

json_t *part_maps_json(const struct device *dev)
{
	json_t *array, *description;
	struct part_maps maps;
	char path[512];

	if (find_maps(dev, &maps, NULL) || !maps.count)
		return NULL;
	description_path(dev, path);
	description = json_load_file(path, 0, NULL);
	array = json_array();
	for (size_t i = 0; i < maps.count; i++) {
		const struct part_map *map = &maps.map[i];
		const json_t *part = described(description, map->number);
		const char *type = json_get_string(part, "type", NULL);

		snprintf(path, sizeof(path), "%s/%s", mapping_node_dir(), map->name);
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:i, s:I, s:s?, s:s?, s:s?, s:s?}", "name",
					 map->name, "device", path, "number", (int)map->number,
					 "size", (json_int_t)map->size, "type", type, "type-name",
					 type ? partition_type_name(type) : NULL, "label",
					 json_get_string(part, "label", NULL), "uuid",
					 json_get_string(part, "uuid", NULL)));
	}
	json_decref(description);
	part_maps_free(&maps);
	return array;
}

/* ---- Removing ---- */

/* Is nothing in use but, with @alone, the device by its partitions? */
static int check_unused(const struct device *dev, const struct part_maps *maps, bool alone,
			struct error *err)
{
	struct mapping map;

	for (size_t i = 0; i < maps->count; i++)
		if (!mapping_lookup(maps->map[i].name, &map, NULL) && map.open_count > 0)
			return in_use(&map, "", err);
	if (alone && maps->count && !mapping_lookup(dev->map.name, &map, NULL) &&
	    map.open_count > (int)maps->count)
		return device_in_use(dev, err);
	return 0;
}

/* The same, with as many tries as mapping_remove() has. */
static int wait_unused(const struct device *dev, const struct part_maps *maps, bool alone,
		       unsigned int flags, struct error *err)
{
	int tries = mapping_remove_tries(flags);

	for (;;) {
		struct error why = ERROR_INIT;
		int ret = check_unused(dev, maps, alone, &why);

		if (ret && --tries <= 0)
			error_set(err, ret, "%s", error_text(&why));
		error_free(&why);
		if (!ret || tries <= 0)
			return ret;
		usleep(MAPPING_REMOVE_NAP_US);
	}
}

/* Map partition @number of @dev. */
static int create(const struct device *dev, unsigned int number, uint64_t start, uint64_t size,
		  struct error *err)
{
	char name[2 * DM_NAME_MAX], uuid[2 * DM_UUID_MAX], params[64];
	const struct mapping_table table = {
		.size = size, .target = "linear", .params = params, .read_only = dev->map.read_only
	};
	int ret;

	snprintf(name, sizeof(name), "%sp%u", dev->map.name, number);
	snprintf(uuid, sizeof(uuid), "part%u-" DM_UUID_OF_OURS "%s", number, dev->server);
	snprintf(params, sizeof(params), "%u:%u %" PRIu64, dev->map.major, dev->map.minor,
		 start / SECTOR_SIZE);
	if (strlen(name) > DM_NAME_MAX || strlen(uuid) > DM_UUID_MAX)
		return error_set(err, -ENAMETOOLONG,
				 "partition %u: the name of the device is too long for it", number);
	ret = mapping_create_as(name, uuid, &table, err);
	if (ret)
		error_prefix(err, "partition %s", name);
	return ret;
}

int part_maps_remove(const struct device *dev, unsigned int flags, bool alone,
		     struct part_maps *removed, struct error *err)
{
	struct part_maps maps;
	int ret = find_maps(dev, &maps, err);
	size_t n = 0;

	if (!ret && !(flags & MAPPING_DEFERRED))
		ret = wait_unused(dev, &maps, alone, flags, err);
	for (; !ret && n < maps.count; n++) {
		struct place place;

		if (!look(maps.map[n].name, &place)) {
			maps.map[n].number = 0; /* nothing to restore */
			continue;
		}
		maps.map[n].start = place.start;
		ret = mapping_remove(maps.map[n].name, flags, err);
		if (ret)
			error_prefix(err, "%s", maps.map[n].name);
		else if (flags & MAPPING_DEFERRED)
			mapping_refresh_node(maps.map[n].name);
	}
	if (ret && n) {
		maps.count = n - 1;
		part_maps_restore(dev, &maps);
	}
	if (removed && !ret)
		*removed = maps;
	else
		part_maps_free(&maps);
	return ret;
}

void part_maps_restore(const struct device *dev, const struct part_maps *removed)
{
	struct device now = *dev;

	/* The device's own mapping may have been made again, too. */
	if (!removed->count || mapping_lookup(dev->map.name, &now.map, NULL) || !now.map.exists)
		return;
	for (size_t i = 0; i < removed->count; i++) {
		const struct part_map *map = &removed->map[i];
		struct error err = ERROR_INIT;

		if (map->number && create(&now, map->number, map->start, map->size, &err))
			report_warning("%s", error_text(&err));
		error_free(&err);
	}
}

/* ---- Following the table ---- */

static const struct partition *wanted(const struct partition *parts, size_t count,
				      unsigned int number)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i].number == number)
			return &parts[i];
	return NULL;
}

static int resize(const struct device *dev, const struct place *place, uint64_t size,
		  struct error *err)
{
	char params[64];
	const struct mapping_table table = { .size = size,
					     .target = "linear",
					     .params = params,
					     .read_only = place->map.read_only };

	snprintf(params, sizeof(params), "%u:%u %" PRIu64, dev->map.major, dev->map.minor,
		 place->start / SECTOR_SIZE);
	return mapping_reload(place->map.name, &table, err);
}

/* Remove the partition @map unless it is in use, or is what the table has, @part. */
static int remove_stale(struct part_map *map, const struct partition *part, struct error *err)
{
	struct error why = ERROR_INIT;
	struct place place;
	int ret;

	if (!look(map->name, &place))
		return 0;
	if (part && place.start == part->start &&
	    (place.map.size <= part->size || !place.map.open_count))
		return 0;
	ret = mapping_remove(map->name, 0, &why);
	if (ret == -EBUSY) {
		error_free(&why);
		in_use(&place.map,
		       part ? ": it stays, though the table has another place for it" :
			      ": it stays, though the table does not have it any more",
		       &why);
		report_error("%s", error_text(&why));
		*map = (struct part_map){ map->number, "", place.map.size, place.start, true };
		memcpy(map->name, place.map.name, sizeof(map->name));
		ret = 0;
	} else if (ret) {
		error_set(err, ret, "%s: %s", map->name, error_text(&why));
	}
	error_free(&why);
	return ret;
}

/* Return the mapping that stays although the table has something else where @part lies, or NULL. */
static const struct part_map *kept_over(const struct part_maps *maps, const struct partition *part)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct part_map *map = &maps->map[i];

		if (map->kept && map->start < part->start + part->size &&
		    part->start < map->start + map->size)
			return map;
	}
	return NULL;
}

static struct part_map *mapped(const struct part_maps *maps, unsigned int number)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->map[i].number == number)
			return &maps->map[i];
	return NULL;
}

/* Map a partition of the table, or make its mapping as large as it is. */
static int map_one(const struct device *dev, const struct partition *part,
		   const struct part_maps *maps, struct error *err)
{
	const struct part_map *map = mapped(maps, part->number), *over = kept_over(maps, part);
	struct place place;

	if (map && map->kept)
		return 0; /* it was reported */
	if (over) {
		report_error("partition %u is left out: it overlaps %s, which stays", part->number,
			     over->name);
		return 0;
	}
	if (!map || !look(map->name, &place))
		return create(dev, part->number, part->start, part->size, err);
	return place.map.size == part->size ? 0 : resize(dev, &place, part->size, err);
}

int part_maps_update(const struct device *dev, bool *kept, struct error *err)
{
	struct partition *parts;
	struct part_maps maps;
	char path[512];
	size_t count;
	int ret;

	*kept = false;
	ret = partition_table_read(device_path(dev, path, sizeof(path)), dev->map.size, &parts,
				   &count, err);
	if (ret)
		return ret;
	ret = find_maps(dev, &maps, err);
	for (size_t i = 0; !ret && i < maps.count; i++)
		ret = remove_stale(&maps.map[i], wanted(parts, count, maps.map[i].number), err);
	/* First those that are there: a new one may lie where one was cut. */
	for (size_t i = 0; !ret && i < count; i++)
		if (mapped(&maps, parts[i].number))
			ret = map_one(dev, &parts[i], &maps, err);
	for (size_t i = 0; !ret && i < count; i++)
		if (!mapped(&maps, parts[i].number))
			ret = map_one(dev, &parts[i], &maps, err);
	for (size_t i = 0; i < maps.count; i++)
		*kept |= maps.map[i].kept;
	if (!ret)
		describe(dev, parts, count);
	part_maps_free(&maps);
	free(parts);
	return ret;
}
