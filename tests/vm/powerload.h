/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What powerload and powerjudge share: the history of a load, and content that
 * tells where it belongs.
 */
#ifndef QEDBLK_TESTS_VM_POWERLOAD_H
#define QEDBLK_TESTS_VM_POWERLOAD_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/random.h"
#include "util/units.h"

#define BLOCK	      4096u
#define BLOCK_SECTORS (BLOCK / SECTOR_SIZE)

/* What a sector holds: zeroes, the backing file's bytes, or those of event N + VERSION_FIRST. */
#define VERSION_ZERO	0u
#define VERSION_BACKING 1u
#define VERSION_FIRST	2u
#define VERSION_GARBAGE (UINT32_MAX - 1)

enum kind { NONE, WRITE, WRITE_FUA, ZERO, PUNCH, DISCARD, FLUSH };

/*
 * A request.  Moments are readings of one clock, which moves with each of them;
 * 0: not yet.  Requests for one sector follow one another.
 */
struct event {
	_Atomic uint32_t kind; /* set last: from then on it counts */
	int32_t result; /* 0 or a negative errno */
	uint64_t sector, count; /* 512 bytes */
	uint64_t issue;
	_Atomic uint64_t ack; /* answered */
	_Atomic uint64_t marked; /* flushes: the log has its mark */
};

struct history {
	uint64_t bytes, cluster; /* of the device */
	uint64_t backing; /* bytes of the backing file; 0: none */
	uint64_t threads, max_events;
	_Atomic uint64_t clock, nr_events, errors;
	struct event events[];
};

static inline __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

static inline uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (!*text || *end)
		die("not a number: %s", text);
	return n;
}

/* @events: make it anew, for so many; 0: it is there. */
static inline struct history *history_map(const char *path, uint64_t events)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | (events ? O_CREAT | O_TRUNC : 0), 0600);
	off_t bytes = sizeof(struct history) + events * sizeof(struct event);
	struct history *h;

	if (fd < 0 || (events && ftruncate(fd, bytes)))
		die("%s: %s", path, strerror(errno));
	if (!events)
		bytes = lseek(fd, 0, SEEK_END);
	if (bytes < (off_t)sizeof(*h))
		die("%s: no history", path);
	h = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return h;
}

/* The version that the event leaves in its sectors. */
static inline uint32_t version_of(const struct history *h, const struct event *event)
{
	uint32_t kind = atomic_load(&event->kind);

	return kind == WRITE || kind == WRITE_FUA ? VERSION_FIRST + (uint32_t)(event - h->events) :
						    VERSION_ZERO;
}

/* 512 bytes of content: each word depends on the sector and the version. */
static inline void sector_fill(void *buf, uint64_t sector, uint32_t version)
{
	uint64_t *words = buf, key = mix64(sector << 32 | version);

	for (unsigned int i = 0; i < SECTOR_SIZE / 8; i++)
		words[i] = version ? key + i * 0xbf58476d1ce4e5b9ULL : 0;
	if (version)
		words[0] = sector << 32 | version;
}

/* Which version, and of which sector, 512 bytes hold. */
static inline uint32_t sector_identify(const void *buf, uint64_t *sector)
{
	uint64_t want[SECTOR_SIZE / 8], first;

	memcpy(&first, buf, sizeof(first));
	*sector = first >> 32;
	sector_fill(want, *sector, (uint32_t)first);
	return memcmp(want, buf, SECTOR_SIZE) ? VERSION_GARBAGE : (uint32_t)first;
}

/* What a backing file of @bytes has at @sector: whole clusters of zeroes here and there. */
static inline uint32_t backing_version(uint64_t bytes, uint64_t cluster, uint64_t sector)
{
	if (sector * SECTOR_SIZE >= bytes || mix64(sector * SECTOR_SIZE / cluster) % 4 == 0)
		return VERSION_ZERO;
	return VERSION_BACKING;
}

#endif
