// SPDX-License-Identifier: GPL-2.0
/*
 * Find the driver of an image: by name, or from the image's first bytes.
 */
#include <errno.h>
#include <string.h>

#include "block/node_internal.h"
#include "file/protocol.h"
#include "util/units.h"

/* Formats that are recognized but unsupported, unless there is a driver of that name. */
static const struct foreign_format {
	const char *name;
	unsigned int offset; /* of the magic, bytes */
	unsigned int len;
	const char *magic;
} foreign_formats[] = {
	{ "vmdk", 0, 4, "KDMV" },
	{ "vmdk", 0, 4, "COWD" },
	{ "vmdk", 0, 21, "# Disk DescriptorFile" },
	{ "vhdx", 0, 8, "vhdxfile" },
	{ "vpc", 0, 8, "conectix" },
	{ "vdi", 0x40, 4, "\x7f\x10\xda\xbe" },
	{ "parallels", 0, 16, "WithoutFreeSpace" },
	{ "parallels", 0, 16, "WithouFreSpacExt" },
	{ "luks", 0, 6, "LUKS\xba\xbe" },
};

/* Other names that QEMU knows as a format, and that an image may so give to its backing file. */
static const char *const foreign_names[] = { "blkdebug",
					     "blklogwrites",
					     "blkreplay",
					     "blkverify",
					     "bochs",
					     "cloop",
					     "compress",
					     "copy-before-write",
					     "copy-on-read",
					     "dmg",
					     "ftp",
					     "ftps",
					     "gluster",
					     "http",
					     "https",
					     "iscsi",
					     "nfs",
					     "null-aio",
					     "nvme",
					     "preallocate",
					     "qcow",
					     "quorum",
					     "rbd",
					     "replication",
					     "snapshot-access",
					     "ssh",
					     "throttle",
					     "vvfat" };

const struct blk_driver *blk_driver_fallback(void)
{
	const struct blk_driver *const *driver = blk_drivers;

	while (!(*driver)->is_fallback)
		driver++;
	return *driver;
}

void blk_print_formats(FILE *to)
{
	for (const struct blk_driver *const *driver = blk_drivers; *driver; driver++)
		fprintf(to, " %s", (*driver)->name);
	for (const struct blk_protocol *const *protocol = blk_protocols; *protocol; protocol++)
		if ((*protocol)->matches && !(*protocol)->keeps_nothing)
			fprintf(to, " %s", (*protocol)->name);
}

const struct blk_driver *blk_driver_find(const char *name)
{
	for (const struct blk_driver *const *driver = blk_drivers; *driver; driver++)
		if (!strcmp((*driver)->name, name))
			return *driver;
	/* A protocol's bytes unchanged. */
	return blk_protocol_find(name) ? blk_driver_fallback() : NULL;
}

bool blk_format_is_known(const char *name)
{
	if (blk_driver_find(name))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(foreign_formats); i++)
		if (!strcmp(foreign_formats[i].name, name))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(foreign_names); i++)
		if (!strcmp(foreign_names[i], name))
			return true;
	return false;
}

int blk_driver_get(const char *name, const struct blk_driver **driver, struct error *err)
{
	*driver = blk_driver_find(name);
	if (*driver)
		return 0;
	if (blk_format_is_known(name))
		return error_set(err, -ENOTSUP, "format %s is not supported", name);
	return error_set(err, -EINVAL, "Unknown driver '%s'", name);
}

static const char *find_foreign(const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign_formats); i++) {
		const struct foreign_format *f = &foreign_formats[i];

		if (f->offset + f->len <= len && !memcmp(buf + f->offset, f->magic, f->len) &&
		    !blk_driver_find(f->name))
			return f->name;
	}
	return NULL;
}

static const struct blk_driver *find_surest(const uint8_t *buf, size_t len)
{
	const struct blk_driver *best = NULL;
	int best_score = 0;

	for (const struct blk_driver *const *driver = blk_drivers; *driver; driver++) {
		int score = (*driver)->probe ? (*driver)->probe(buf, len) : 0;

		if (score > best_score) {
			best = *driver;
			best_score = score;
		}
	}
	return best;
}

const char *blk_probe_buffer(const uint8_t *buf, size_t len)
{
	const char *foreign = find_foreign(buf, len);
	const struct blk_driver *driver = find_surest(buf, len);

	if (foreign)
		return foreign;
	return driver ? driver->name : blk_driver_fallback()->name;
}

int blk_co_probe(struct blk_file *file, const struct blk_driver **driver, struct error *err)
{
	uint8_t buf[BLK_PROBE_BYTES];
	size_t len = min_u64(sizeof(buf), atomic_load(&file->size));
	const char *foreign;
	int ret;

	ret = blk_file_co_pread(file, buf, len, 0);
	if (ret)
		return error_set_errno(err, ret, "cannot read the first bytes");
	foreign = find_foreign(buf, len);
	if (foreign)
		return error_set(err, -ENOTSUP, "format %s is not supported", foreign);
	*driver = find_surest(buf, len);
	if (!*driver)
		return error_set(err, -EINVAL, "format not recognized");
	return 0;
}
