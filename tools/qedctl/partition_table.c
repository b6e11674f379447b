// SPDX-License-Identifier: GPL-2.0
/* Partition tables, by libblkid. The table is a guest's: nothing in it is trusted. */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "qedctl/partition_table.h"
#include "util/units.h"

/* libblkid counts in these, whatever the device's logical block size is. */
#define BLKID_SECTOR 512

static const struct {
	const char *type, *name;
} type_names[] = {
	{ "0x7", "NTFS or exFAT" },
	{ "0xb", "FAT32" },
	{ "0xc", "FAT32" },
	{ "0x82", "Linux swap" },
	{ "0x83", "Linux" },
	{ "0x8e", "Linux LVM" },
	{ "0xef", "EFI System" },
	{ "0xfd", "Linux RAID" },
	{ "0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux" },
	{ "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap" },
	{ "21686148-6449-6e6f-744e-656564454649", "BIOS boot" },
	{ "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)" },
	{ "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home" },
	{ "a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID" },
	{ "b921b045-1df0-41c3-af44-4c6f280d3fae", "Linux root (ARM 64)" },
	{ "bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux boot" },
	{ "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI System" },
	{ "e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM" },
	{ "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft data" },
};

const char *partition_type_name(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
		if (!strcmp(type_names[i].type, type))
			return type_names[i].name;
	return type;
}

/* Return why the partition @number, which libblkid has as @par, cannot be used; or NULL. */
static const char *wrong_with(blkid_partition par, uint64_t size)
{
	blkid_loff_t start = blkid_partition_get_start(par), length = blkid_partition_get_size(par);
	uint64_t sectors = size / BLKID_SECTOR;

	if (length <= 0)
		return "it has no length";
	if (start < 0 || (uint64_t)start >= sectors)
		return "it begins beyond the end of the device";
	return (uint64_t)length > sectors - start ? "it ends beyond the end of the device" : NULL;
}

static const struct partition *find_overlap(const struct partition *parts, size_t count,
					    const struct partition *part)
{
	for (size_t i = 0; i < count; i++)
		if (part->start < parts[i].start + parts[i].size &&
		    parts[i].start < part->start + part->size)
			return &parts[i];
	return NULL;
}

static void copy_text(char *buf, size_t len, const char *text)
{
	snprintf(buf, len, "%s", text ? text : "");
}

static void fill(struct partition *part, blkid_partition par)
{
	*part = (struct partition){
		.number = blkid_partition_get_partno(par),
		.start = (uint64_t)blkid_partition_get_start(par) * BLKID_SECTOR,
		.size = (uint64_t)blkid_partition_get_size(par) * BLKID_SECTOR,
	};
	copy_text(part->label, sizeof(part->label), blkid_partition_get_name(par));
	copy_text(part->uuid, sizeof(part->uuid), blkid_partition_get_uuid(par));
	copy_text(part->type, sizeof(part->type), blkid_partition_get_type_string(par));
	if (!part->type[0])
		snprintf(part->type, sizeof(part->type), "0x%x", blkid_partition_get_type(par));
}

/* Add one partition, or leave it out with a warning. There is room for it. */
static void add(blkid_partition par, uint64_t size, struct partition *parts, size_t *count)
{
	const char *wrong = wrong_with(par, size);
	const struct partition *other;
	struct partition part;

	/* Another table may lie in a partition. */
	if (blkid_partition_is_extended(par) ||
	    blkid_parttable_get_parent(blkid_partition_get_table(par)))
		return;
	if (wrong) {
		report_warning("partition %d is left out: %s", blkid_partition_get_partno(par),
			       wrong);
		return;
	}
	fill(&part, par);
	other = find_overlap(parts, *count, &part);
	if (other)
		report_warning("partition %u is left out: it overlaps partition %u", part.number,
			       other->number);
	else if (part.number < 1 || part.number > PARTITION_MAX)
		report_warning("partition %u is left out: only %d are mapped", part.number,
			       PARTITION_MAX);
	else
		parts[(*count)++] = part;
}

static int by_number(const void *a, const void *b)
{
	return (int)((const struct partition *)a)->number -
	       (int)((const struct partition *)b)->number;
}

static int take(blkid_partlist list, uint64_t size, struct partition **parts, size_t *count,
		struct error *err)
{
	int listed = blkid_partlist_numof_partitions(list);

	*parts = calloc(listed > 0 ? listed : 1, sizeof(**parts));
	if (!*parts)
		return error_set(err, -ENOMEM, "out of memory");
	for (int i = 0; i < listed; i++)
		add(blkid_partlist_get_partition(list, i), size, *parts, count);
	qsort(*parts, *count, sizeof(**parts), by_number);
	return 0;
}

/* Probe @fd, and only for the tables that guests' disks have. */
static int probe(blkid_probe pr, int fd, uint64_t size, struct partition **parts, size_t *count,
		 struct error *err)
{
	char gpt[] = "gpt", mbr[] = "dos", *known[] = { gpt, mbr, NULL };
	blkid_partlist list;

	errno = 0;
	if (blkid_probe_set_device(pr, fd, 0, 0) || blkid_probe_enable_superblocks(pr, 0) ||
	    blkid_probe_enable_partitions(pr, 1) ||
	    blkid_probe_filter_partitions_type(pr, BLKID_FLTR_ONLYIN, known) ||
	    blkid_probe_set_partitions_flags(pr, BLKID_PARTS_ENTRY_DETAILS))
		return error_set_errno(err, errno ? -errno : -EIO, "libblkid");
	errno = 0;
	list = blkid_probe_get_partitions(pr);
	if (!list && errno == EIO)
		return error_set_errno(err, -errno, "reading the partition table");
	if (!list || !blkid_partlist_get_table(list))
		return error_set(err, -ENOENT, "it has no partition table (GPT or MBR)");
	return take(list, size, parts, count, err);
}

int partition_table_read(const char *path, uint64_t size, struct partition **parts, size_t *count,
			 struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	blkid_probe pr;

	*parts = NULL;
	*count = 0;
	if (fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	pr = blkid_new_probe();
	ret = pr ? probe(pr, fd, size, parts, count, err) :
		   error_set(err, -ENOMEM, "out of memory");
	blkid_free_probe(pr);
	close(fd);
	return ret;
}
