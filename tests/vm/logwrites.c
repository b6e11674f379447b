// SPDX-License-Identifier: GPL-2.0
/*
 * logwrites: read the log of a dm-log-writes device and rebuild the disk as it was at any point of
 * the log.
 *
 *	logwrites marks LOG
 *		print "ENTRY NAME" for each mark
 *	logwrites plan LOG COUNT SEED
 *		print COUNT points to judge, and the state of dm-log-writes there, a line each:
 *		"TO FLUSHED MARK NEXT SEED" (see plan())
 *	logwrites replay LOG DISK FROM TO [SEED]
 *		write the entries FROM to TO - 1 to DISK; with a SEED other than 0, omit some of
 *		them, or some sectors of one: what a disk may lose that was not flushed
 *		since entry FROM
 *
 * The log is a sector with the super block, then for each entry a sector that describes it (with
 * the name of a mark) and the sectors written; the super block has the sector size.  (Linux:
 * Documentation/admin-guide/device-mapper/log-writes.rst.) A write is logged once it has completed
 * and a flush follows it, in order of completion.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/random.h"
#include "util/units.h"

#define LOG_MAGIC   0x6a736677736872ULL
#define LOG_VERSION 1

#define ENTRY_FLUSH   (1 << 0)
#define ENTRY_FUA     (1 << 1)
#define ENTRY_DISCARD (1 << 2)
#define ENTRY_MARK    (1 << 3)

struct super_block {
	uint64_t magic, version, nr_entries;
	uint32_t sector_size;
} __attribute__((packed));

struct raw_entry {
	uint64_t sector, nr_sectors, flags, data_len;
} __attribute__((packed));

struct entry {
	uint64_t sector, nr_sectors, flags; /* sectors of the log's sector size */
	uint64_t data; /* log offset of the written data, in bytes */
	char name[64]; /* of a mark */
};

struct log {
	int fd;
	uint32_t sector_size;
	uint64_t nr;
	struct entry *entries;
};

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "logwrites: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

static void read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	if (pread(fd, buf, len, offset) != (ssize_t)len)
		die("the log cannot be read at %" PRIu64 ": %s", offset, strerror(errno));
}

static void read_entry(struct log *log, struct entry *entry, uint64_t *pos, uint8_t *sector)
{
	struct raw_entry raw;
	uint64_t name_len;

	read_at(log->fd, sector, log->sector_size, *pos);
	memcpy(&raw, sector, sizeof(raw));
	*pos += log->sector_size;
	entry->sector = le64toh(raw.sector);
	entry->nr_sectors = le64toh(raw.nr_sectors);
	entry->flags = le64toh(raw.flags);
	entry->data = *pos;
	if (entry->flags & ENTRY_MARK) {
		name_len = min_u64(le64toh(raw.data_len), sizeof(entry->name) - 1);
		memcpy(entry->name, sector + sizeof(raw), name_len);
	} else if (!(entry->flags & ENTRY_DISCARD)) {
		*pos += entry->nr_sectors * log->sector_size;
	}
}

static void log_open(struct log *log, const char *path)
{
	struct super_block super;
	uint8_t *sector;
	uint64_t pos;

	log->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (log->fd < 0)
		die("%s: %s", path, strerror(errno));
	read_at(log->fd, &super, sizeof(super), 0);
	if (le64toh(super.magic) != LOG_MAGIC || le64toh(super.version) != LOG_VERSION)
		die("%s: no log of dm-log-writes", path);
	log->sector_size = le32toh(super.sector_size);
	log->nr = le64toh(super.nr_entries);
	if (log->sector_size < SECTOR_SIZE || log->sector_size > 64 * KiB)
		die("%s: sectors of %" PRIu32 " bytes", path, log->sector_size);
	log->entries = calloc(log->nr + 1, sizeof(*log->entries));
	sector = malloc(log->sector_size);
	if (!log->entries || !sector)
		die("no memory");
	pos = log->sector_size;
	for (uint64_t i = 0; i < log->nr; i++)
		read_entry(log, &log->entries[i], &pos, sector);
	free(sector);
}

/* Return whether a user set this mark; dm-log-writes sets one itself at the end. */
static bool is_mark(const struct entry *entry)
{
	return (entry->flags & ENTRY_MARK) && strncmp(entry->name, "dm-log-writes", 13);
}

static void list_marks(const struct log *log)
{
	for (uint64_t i = 0; i < log->nr; i++)
		if (is_mark(&log->entries[i]))
			printf("%" PRIu64 " %s\n", i, log->entries[i].name);
}

/* ---- Points to judge ---- */

struct point {
	uint64_t to; /* the disk has entries 0 to @to - 1 */
	uint64_t flushed; /* earlier entries had been logged when a flush completed */
	const char *mark, *next; /* the last mark before the point, the first after it; "-": none */
};

static int compare_points(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return x->flushed != y->flushed ? (x->flushed < y->flushed ? -1 : 1) :
					  (x->to > y->to) - (x->to < y->to);
}

/* Return what the log says about the disk after @to entries. */
static struct point point_at(const struct log *log, uint64_t to)
{
	struct point point = { .to = to, .mark = "-", .next = "-" };

	for (uint64_t i = 0; i < to; i++) {
		if (is_mark(&log->entries[i]))
			point.mark = log->entries[i].name;
		/* A flush with data flushes what precedes it. */
		if (log->entries[i].flags & ENTRY_FLUSH)
			point.flushed = i;
	}
	for (uint64_t i = to; i < log->nr; i++) {
		if (is_mark(&log->entries[i])) {
			point.next = log->entries[i].name;
			break;
		}
	}
	return point;
}

/*
 * Print points, ordered so that one disk can be rolled forward to FLUSHED of each: a third of them
 * at marks, the others anywhere after the first mark. SEED selects what is lost after FLUSHED, 0:
 * nothing is lost.
 */
static void plan(const struct log *log, uint64_t count, uint64_t seed)
{
	struct point *points = calloc(count + 1, sizeof(*points));
	uint64_t *marks = calloc(log->nr + 1, sizeof(*marks)), nr_marks = 0;

	if (!points || !marks)
		die("no memory");
	for (uint64_t i = 0; i < log->nr; i++)
		if (is_mark(&log->entries[i]))
			marks[nr_marks++] = i;
	if (!nr_marks)
		die("there is no mark in the log");
	for (uint64_t i = 0; i < count; i++) {
		uint64_t to = marks[0] + 1 + next_random(&seed) % (log->nr - marks[0]);

		if (i % 3 == 0)
			to = marks[next_random(&seed) % nr_marks] + 1;
		points[i] = point_at(log, to);
	}
	qsort(points, count, sizeof(*points), compare_points);
	for (uint64_t i = 0; i < count; i++)
		printf("%" PRIu64 " %" PRIu64 " %s %s %" PRIu64 "\n", points[i].to,
		       points[i].flushed, points[i].mark, points[i].next,
		       next_random(&seed) % 3 ? next_random(&seed) >> 40 | 1 : 0);
	free(points);
	free(marks);
}

/* ---- Replaying ---- */

static void zero_range(int fd, uint64_t offset, uint64_t len)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len))
		die("zeroing: %s", strerror(errno));
}

static void copy_range(const struct log *log, int disk, uint64_t from, uint64_t to, uint64_t len)
{
	uint8_t *buf = malloc(len);

	if (!buf)
		die("no memory");
	read_at(log->fd, buf, len, from);
	if (pwrite(disk, buf, len, to) != (ssize_t)len)
		die("writing the disk: %s", strerror(errno));
	free(buf);
}

/* Write the entry; of a torn one, write or omit each sector at random. */
static void apply(const struct log *log, const struct entry *entry, int disk, bool torn,
		  uint64_t *random)
{
	uint64_t size = log->sector_size;

	if ((entry->flags & ENTRY_MARK) || !entry->nr_sectors)
		return;
	if (entry->flags & ENTRY_DISCARD) {
		zero_range(disk, entry->sector * size, entry->nr_sectors * size);
		return;
	}
	if (!torn) {
		copy_range(log, disk, entry->data, entry->sector * size, entry->nr_sectors * size);
		return;
	}
	for (uint64_t s = 0; s < entry->nr_sectors; s++)
		if (next_random(random) % 2)
			copy_range(log, disk, entry->data + s * size, (entry->sector + s) * size,
				   size);
}

static void replay(const struct log *log, const char *path, uint64_t from, uint64_t to,
		   uint64_t seed)
{
	int disk = open(path, O_RDWR | O_CLOEXEC);
	uint64_t random = seed, kept = 0;

	if (disk < 0)
		die("%s: %s", path, strerror(errno));
	if (to > log->nr)
		die("the log has %" PRIu64 " entries only", log->nr);
	/*
	 * The share that is kept differs: of ten such points, some lose nearly all, some nearly
	 * nothing.
	 */
	kept = next_random(&random) % 10 + 1;
	for (uint64_t i = from; i < to; i++) {
		const struct entry *entry = &log->entries[i];
		bool safe = !seed || (entry->flags & ENTRY_FUA);

		if (safe)
			apply(log, entry, disk, false, NULL);
		else if (next_random(&random) % 10 < kept)
			apply(log, entry, disk, next_random(&random) % 4 == 0, &random);
	}
	if (close(disk))
		die("%s: %s", path, strerror(errno));
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (!*text || *end)
		die("not a number: %s", text);
	return n;
}

int main(int argc, char **argv)
{
	struct log log;

	if (argc < 3)
		die("usage: logwrites marks|plan|replay LOG ...");
	log_open(&log, argv[2]);
	if (!strcmp(argv[1], "marks") && argc == 3)
		list_marks(&log);
	else if (!strcmp(argv[1], "plan") && argc == 5)
		plan(&log, number(argv[3]), number(argv[4]));
	else if (!strcmp(argv[1], "replay") && (argc == 6 || argc == 7))
		replay(&log, argv[3], number(argv[4]), number(argv[5]),
		       argc == 7 ? number(argv[6]) : 0);
	else
		die("bad arguments");
	free(log.entries);
	close(log.fd);
	return 0;
}
