/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by powerload and powerjudge: the history of a load, and content that identifies its sector
 * and version.
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

/*
 * Versions of a sector: zeroes, the backing file's bytes, or the data of event N + VERSION_FIRST.
 */
#define VERSION_ZERO	0u
#define VERSION_BACKING 1u
#define VERSION_FIRST	2u
#define VERSION_GARBAGE (UINT32_MAX - 1)

enum kind { NONE, WRITE, WRITE_FUA, ZERO, PUNCH, DISCARD, FLUSH };

/*
 * A request.  Moments are values of one clock, which advances with each reading; 0: not yet.
 * Requests for one sector are sequential.
 */
struct event {
	_Atomic uint32_t kind; /* set last: the event is valid from then on */
	int32_t result; /* 0 or a negative errno */
	uint64_t sector, count; /* 512 bytes */
	uint64_t issue;
	_Atomic uint64_t ack; /* answered */
	_Atomic uint64_t marked; /* flushes: when the mark was in the log */
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

/* Map the history; create it with room for @events, 0: it exists. */
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

/* Return the version of the event's sectors after it. */
static inline uint32_t version_of(const struct history *h, const struct event *event)
{
	uint32_t kind = atomic_load(&event->kind);

	return kind == WRITE || kind == WRITE_FUA ? VERSION_FIRST + (uint32_t)(event - h->events) :
						    VERSION_ZERO;
}

/* Fill 512 bytes: each word depends on the sector and the version. */
static inline void sector_fill(void *buf, uint64_t sector, uint32_t version)
{
	uint64_t *words = buf, key = mix64(sector << 32 | version);

	for (unsigned int i = 0; i < SECTOR_SIZE / 8; i++)
		words[i] = version ? key + i * 0xbf58476d1ce4e5b9ULL : 0;
	if (version)
		words[0] = sector << 32 | version;
}

/* Return the version of 512 bytes, and their sector. */
static inline uint32_t sector_identify(const void *buf, uint64_t *sector)
{
	uint64_t want[SECTOR_SIZE / 8], first;

	memcpy(&first, buf, sizeof(first));
	*sector = first >> 32;
	sector_fill(want, *sector, (uint32_t)first);
	return memcmp(want, buf, SECTOR_SIZE) ? VERSION_GARBAGE : (uint32_t)first;
}

/* Return the version at @sector of a backing file of @bytes: some clusters are zero. */
static inline uint32_t backing_version(uint64_t bytes, uint64_t cluster, uint64_t sector)
{
	if (sector * SECTOR_SIZE >= bytes || mix64(sector * SECTOR_SIZE / cluster) % 4 == 0)
		return VERSION_ZERO;
	return VERSION_BACKING;
}

#endif
