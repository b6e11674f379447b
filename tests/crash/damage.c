// SPDX-License-Identifier: GPL-2.0
/*
 * Images of a writer that crashed and left NEED_CHECK, as QEMU does, with possible damage:
 * entries that point beyond the end of the file, leaked clusters, and clusters that are
 * referenced twice. The driver repairs all but the last when it opens the image; a check repairs
 * those, too. Wherever power is lost, the image either still needs a check, which gives the same
 * content, or is good.
 */
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "crash.h"
#include "format/qed/format.h"

struct damage {
	const struct geometry *geo;
	struct qed_header header;
	int fd;
	uint64_t file_size;
};

static uint64_t clusters_of(const struct geometry *geo)
{
	return div_round_up(geo->size, geo->cluster_size);
}

/* Return the file offset of the entry of guest cluster @c; 0: none. */
static uint64_t entry_offset(const struct damage *d, uint64_t c)
{
	uint64_t entries = (uint64_t)d->header.table_size * d->header.cluster_size / 8, table;

	CHECK(pread(d->fd, &table, 8, d->header.l1_table_offset + c / entries * 8) == 8);
	return table ? le64toh(table) + c % entries * 8 : 0;
}

static uint64_t read_entry(const struct damage *d, uint64_t c)
{
	uint64_t offset = entry_offset(d, c), entry = 0;

	if (offset)
		CHECK(pread(d->fd, &entry, 8, offset) == 8);
	return le64toh(entry);
}

static void write_entry(const struct damage *d, uint64_t c, uint64_t entry)
{
	uint64_t disk = htole64(entry);

	CHECK(pwrite(d->fd, &disk, 8, entry_offset(d, c)) == 8);
}

/*
 * Fill a cluster that is referenced twice: the content has only the sector's place in
 * the cluster.
 */
static void fill_shared(const struct damage *d, uint64_t offset)
{
	uint64_t words[SECTOR_SIZE / 8];

	for (uint64_t s = 0; s < d->header.cluster_size / SECTOR_SIZE; s++) {
		sector_fill(words, s, VERSION_SHARED);
		CHECK(pwrite(d->fd, words, SECTOR_SIZE, offset + s * SECTOR_SIZE) == SECTOR_SIZE);
	}
}

/*
 * For an entry with a cluster: leave it, point it beyond the end, or reference the
 * cluster again. In every other image nothing may leak, and entries without a cluster
 * point beyond the end.
 */
static void damage_entry(const struct damage *d, uint64_t c, uint64_t random)
{
	uint64_t entry = read_entry(d, c), other = random % clusters_of(d->geo);
	bool leaks = d->geo->seed & 2;

	if (!entry_offset(d, c) || leaks != (entry > QED_L2_ZERO))
		return;
	if ((random >> 32) % 4 == 0) {
		write_entry(d, c, d->file_size + (random >> 40) % 4096 * d->header.cluster_size);
	} else if (entry <= QED_L2_ZERO) {
		return;
	} else if ((random >> 32) % 4 == 1 && damage_names_twice(d->geo) && other > c &&
		   entry_offset(d, other)) {
		/* This leaks the other entry's cluster. */
		write_entry(d, other, entry);
		fill_shared(d, entry);
	}
}

static void damage_file(const struct geometry *geo, const char *path)
{
	struct damage d = { .geo = geo, .fd = open(path, O_RDWR | O_CLOEXEC) };
	uint64_t random = mix64(geo->seed + 7), clusters = clusters_of(geo);
	uint8_t disk[QED_HEADER_BYTES];

	CHECK(d.fd >= 0 && pread(d.fd, disk, sizeof(disk), 0) == sizeof(disk));
	qed_header_decode(&d.header, disk);
	d.header.features |= QED_F_NEED_CHECK;
	qed_header_encode(&d.header, disk);
	CHECK(pwrite(d.fd, disk, sizeof(disk), 0) == sizeof(disk));
	d.file_size = lseek(d.fd, 0, SEEK_END);
	for (uint64_t c = 0; c < clusters; c++) {
		/* An entry changed already points beyond the end, or is shared. */
		uint64_t entry = read_entry(&d, c);

		if (entry < d.file_size)
			damage_entry(&d, c, next_random(&random));
	}
	close(d.fd);
}

bool damage_co_check(const char *path)
{
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR | BLK_O_CHECK };
	struct error err = ERROR_INIT;
	struct blk_check_result result;
	struct blk_node *node;
	int ret = blk_co_open(&node, path, &opts, &err);

	if (!ret) {
		ret = blk_co_check(node, BLK_FIX_ERRORS | BLK_FIX_LEAKS, NULL, NULL, &result, &err);
		if (!ret && (result.corruptions || result.check_errors))
			ret = error_set(&err, -1, "%s: a check cannot mend it", path);
		if (blk_co_close(node) && !ret)
			ret = error_set(&err, -1, "%s: closing", path);
	}
	if (ret)
		printf("# check: %s\n", error_text(&err));
	error_free(&err);
	return !ret;
}

void damage_co_make(const struct record *rec, const struct files *files)
{
	const char *live = files->image[FILE_TOP].live;

	chain_co_fill(&rec->geo, live);
	damage_file(&rec->geo, live);
	copy_sparse(live, files->copy);
	CHECK(damage_co_check(files->copy));
}

bool damage_is_dirty(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t disk[QED_HEADER_BYTES];
	struct qed_header header;

	CHECK(fd >= 0 && pread(fd, disk, sizeof(disk), 0) == sizeof(disk));
	close(fd);
	qed_header_decode(&header, disk);
	return header.features & QED_F_NEED_CHECK;
}
