/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mappings of a device's partitions: NAMEp1, NAMEp2, ..., above the device's own mapping. They
 * are those that kpartx would make, by their uuids, "partN-" and the device's; those that kpartx
 * made count as well.
 */
#ifndef QEDBLK_QEDCTL_PART_MAPS_H
#define QEDBLK_QEDCTL_PART_MAPS_H

#include <jansson.h>

#include "qedctl/device.h"

struct part_map {
	unsigned int number;
	char name[128];
	uint64_t size; /* bytes */
	uint64_t start; /* bytes; only of one that was removed, or kept */
	bool kept; /* in use, and in another place than the table has it */
};

/* Those above a device, as sysfs shows them. */
struct part_maps {
	struct part_map *map; /* by number */
	size_t count;
};

void part_maps_free(struct part_maps *maps);

/*
 * Map the partitions that the table of the live device @dev has now: add, resize, and remove what
 * it does not have any more. One that is in use and would be removed, moved or cut stays; each
 * is reported by an error line, and *@kept is set. -ENOENT, with nothing changed, without a table.
 */
int part_maps_update(const struct device *dev, bool *kept, struct error *err);

/*
 * Remove the partitions of @dev. @flags are MAPPING_*. Without MAPPING_DEFERRED all or none:
 * -EBUSY with nothing changed while one is in use, or with @alone, while anything but its
 * partitions uses the device. Fills @removed for part_maps_restore() unless that is NULL.
 */
int part_maps_remove(const struct device *dev, unsigned int flags, bool alone,
		     struct part_maps *removed, struct error *err);

/* Map again what part_maps_remove() removed, as far as that is possible. */
void part_maps_restore(const struct device *dev, const struct part_maps *removed);

/* Return an array with number, name, size, type, label of each (a new reference); NULL: none. */
json_t *part_maps_json(const struct device *dev);

#endif
