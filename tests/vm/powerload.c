// SPDX-License-Identifier: GPL-2.0
/*
 * powerload: put load on a block device and record what was acknowledged; powerjudge checks the
 * image after power was lost.
 *
 *	powerload load DEVICE HISTORY THREADS OPS SEED CLUSTER BACKING [DM-DEVICE]
 *		write, zero, discard, read and flush; record each request and its result
 *		in HISTORY; with DM-DEVICE (dm-log-writes) set a mark "mN" after each
 *		acknowledged flush N.  Errors of the device are recorded and counted.
 *		Ends after OPS requests, or at SIGTERM.
 *	powerload backing FILE BYTES CLUSTER
 *		make the backing file that BACKING bytes above stand for
 *	powerload now HISTORY
 *		print the moment: a flush answered before it must be durable
 *
 * HISTORY is a shared mapping of a file: it outlives its writer.
 */
#include <libdevmapper.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "powerload.h"

static volatile sig_atomic_t stopped;

/* ---- The load ---- */

struct worker {
	struct history *h;
	pthread_t thread;
	int fd;
	unsigned int index, ops;
	uint64_t random;
	const char *dm_device;
	uint32_t *current; /* by sector: its version, or UNKNOWN after an error */
	uint8_t *buf; /* MAX_BLOCKS blocks */
};

#define UNKNOWN	   UINT32_MAX
#define MAX_BLOCKS 32u

/*
 * Return the only thread that changes a block: by single blocks in the first half, so that clusters
 * have several owners, by clusters in the second.
 */
static unsigned int owner_of(const struct history *h, uint64_t block)
{
	uint64_t blocks = h->bytes / BLOCK;

	return (block < blocks / 2 ? block : block / (h->cluster / BLOCK)) % h->threads;
}

static void pick(struct worker *w, uint64_t max, uint64_t *block, uint64_t *count)
{
	uint64_t blocks = w->h->bytes / BLOCK;

	*block = next_random(&w->random) % blocks;
	*count = 1;
	while (owner_of(w->h, *block) != w->index)
		*block = (*block + 1) % blocks;
	while (*count < max && *block + *count < blocks &&
	       owner_of(w->h, *block + *count) == w->index)
		++*count;
}

static struct event *issue(struct worker *w, enum kind kind, uint64_t sector, uint64_t count)
{
	uint64_t i = atomic_fetch_add(&w->h->nr_events, 1);
	struct event *event = &w->h->events[i];

	event->sector = sector;
	event->count = count;
	event->issue = atomic_fetch_add(&w->h->clock, 1);
	atomic_store(&event->kind, kind);
	return event;
}

/* Record the result, and the resulting versions of the sectors. */
static void answer(struct worker *w, struct event *event, int result)
{
	event->result = result;
	atomic_store(&event->ack, atomic_fetch_add(&w->h->clock, 1));
	if (result)
		atomic_fetch_add(&w->h->errors, 1);
	for (uint64_t s = event->sector; s < event->sector + event->count; s++)
		w->current[s] = result ? UNKNOWN : version_of(w->h, event);
}

static void do_write(struct worker *w)
{
	bool fua = next_random(&w->random) % 8 == 0;
	uint64_t block, n, sector, count;
	struct event *event;
	struct iovec iov;
	ssize_t done;

	pick(w, 1 + next_random(&w->random) % MAX_BLOCKS, &block, &n);
	sector = block * BLOCK_SECTORS;
	count = n * BLOCK_SECTORS;
	if (next_random(&w->random) % 4 == 0) {
		sector += next_random(&w->random) % BLOCK_SECTORS;
		count -= sector % BLOCK_SECTORS;
	}
	event = issue(w, fua ? WRITE_FUA : WRITE, sector, count);
	for (uint64_t s = 0; s < count; s++)
		sector_fill(w->buf + s * SECTOR_SIZE, sector + s, version_of(w->h, event));
	iov = (struct iovec){ w->buf, count * SECTOR_SIZE };
	done = pwritev2(w->fd, &iov, 1, sector * SECTOR_SIZE, fua ? RWF_DSYNC : 0);
	answer(w, event, done == (ssize_t)iov.iov_len ? 0 : done < 0 ? -errno : -EIO);
}

/* Do a write-zeroes, with or without permission to unmap, or a discard; of whole blocks. */
static void do_clear(struct worker *w, enum kind kind)
{
	uint64_t block, n, range[2];
	struct event *event;
	int ret;

	pick(w, kind == DISCARD ? 64 : 1 + next_random(&w->random) % 64, &block, &n);
	if (kind == DISCARD) {
		/* Partial clusters are left alone: only whole ones have known content. */
		uint64_t end = round_down(block + n, w->h->cluster / BLOCK);

		block = round_up(block, w->h->cluster / BLOCK);
		if (end <= block)
			return;
		n = end - block;
	}
	range[0] = block * BLOCK;
	range[1] = n * BLOCK;
	event = issue(w, kind, block * BLOCK_SECTORS, n * BLOCK_SECTORS);
	if (kind == ZERO)
		ret = ioctl(w->fd, BLKZEROOUT, range);
	else if (kind == DISCARD)
		ret = ioctl(w->fd, BLKDISCARD, range);
	else
		ret = fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range[0],
				range[1]);
	answer(w, event, ret ? -errno : 0);
}

static void do_read(struct worker *w)
{
	uint64_t block, n, found;

	pick(w, 1 + next_random(&w->random) % MAX_BLOCKS, &block, &n);
	if (pread(w->fd, w->buf, n * BLOCK, block * BLOCK) != (ssize_t)(n * BLOCK)) {
		atomic_fetch_add(&w->h->errors, 1);
		return;
	}
	for (uint64_t s = 0; s < n * BLOCK_SECTORS; s++) {
		uint64_t sector = block * BLOCK_SECTORS + s;
		uint32_t version = sector_identify(w->buf + s * SECTOR_SIZE, &found);

		if (w->current[sector] == UNKNOWN)
			continue;
		if (version != w->current[sector] || (version && found != sector))
			die("powerload: sector %" PRIu64 " reads as version %" PRIu32
			    " of sector %" PRIu64 ", wanted version %" PRIu32,
			    sector, version, found, w->current[sector]);
	}
}

/* libdevmapper is not thread-safe. */
static pthread_mutex_t dm_lock = PTHREAD_MUTEX_INITIALIZER;

static void mark(const char *device, const char *name)
{
	char message[64];
	struct dm_task *task;

	snprintf(message, sizeof(message), "mark %s", name);
	pthread_mutex_lock(&dm_lock);
	task = dm_task_create(DM_DEVICE_TARGET_MSG);
	if (!task || !dm_task_set_name(task, device) || !dm_task_set_sector(task, 0) ||
	    !dm_task_set_message(task, message) || !dm_task_run(task))
		die("%s does not take marks", device);
	dm_task_destroy(task);
	pthread_mutex_unlock(&dm_lock);
}

static void do_flush(struct worker *w)
{
	struct event *event = issue(w, FLUSH, 0, 0);
	char name[32];

	answer(w, event, fsync(w->fd) ? -errno : 0);
	if (event->result || !w->dm_device)
		return;
	snprintf(name, sizeof(name), "m%" PRIu64, (uint64_t)(event - w->h->events));
	mark(w->dm_device, name);
	atomic_store(&event->marked, atomic_fetch_add(&w->h->clock, 1));
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < w->ops && !stopped; i++) {
		unsigned int op = next_random(&w->random) % 100;

		if (atomic_load(&w->h->nr_events) + w->h->threads >= w->h->max_events)
			break;
		if (op < 54)
			do_write(w);
		else if (op < 62)
			do_clear(w, ZERO);
		else if (op < 68)
			do_clear(w, PUNCH);
		else if (op < 78)
			do_clear(w, DISCARD);
		else if (op < 90)
			do_read(w);
		else
			do_flush(w);
	}
	return NULL;
}

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static int load(char **arg, const char *dm_device)
{
	unsigned int threads = number(arg[2]), ops = number(arg[3]);
	int fd = open(arg[0], O_RDWR | O_DIRECT | O_CLOEXEC);
	struct history *h = history_map(arg[1], ops + threads + 1);
	struct worker *workers = calloc(threads, sizeof(*workers));
	uint32_t *current;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &h->bytes))
		die("%s: %s", arg[0], strerror(errno));
	h->threads = threads;
	h->max_events = ops + threads + 1;
	h->cluster = number(arg[5]);
	h->backing = number(arg[6]);
	atomic_store(&h->clock, 1);
	current = malloc(h->bytes / SECTOR_SIZE * sizeof(*current));
	if (!workers || !current)
		die("no memory");
	for (uint64_t s = 0; s < h->bytes / SECTOR_SIZE; s++)
		current[s] = backing_version(h->backing, h->cluster, s);
	signal(SIGTERM, stop);
	for (unsigned int i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .h = h,
					      .fd = fd,
					      .index = i,
					      .ops = ops / threads,
					      .random = number(arg[4]) + i * 0x123456789abcULL,
					      .dm_device = dm_device,
					      .current = current };
		workers[i].buf = aligned_alloc(BLOCK, MAX_BLOCKS * BLOCK);
		if (!workers[i].buf || pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			die("no memory");
	}
	for (unsigned int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		free(workers[i].buf);
	}
	printf("%" PRIu64 " requests, %" PRIu64 " errors\n", atomic_load(&h->nr_events),
	       atomic_load(&h->errors));
	free(workers);
	free(current);
	close(fd);
	return 0;
}

static int make_backing(char **arg)
{
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t bytes = number(arg[1]), cluster = number(arg[2]);
	uint8_t sector[SECTOR_SIZE];

	if (fd < 0 || ftruncate(fd, bytes))
		die("%s: %s", arg[0], strerror(errno));
	for (uint64_t s = 0; s < bytes / SECTOR_SIZE; s++) {
		if (backing_version(bytes, cluster, s) == VERSION_ZERO)
			continue;
		sector_fill(sector, s, VERSION_BACKING);
		if (pwrite(fd, sector, SECTOR_SIZE, s * SECTOR_SIZE) != SECTOR_SIZE)
			die("%s: %s", arg[0], strerror(errno));
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "load") && (argc == 9 || argc == 10))
		return load(argv + 2, argc == 10 ? argv[9] : NULL);
	if (!strcmp(verb, "backing") && argc == 5)
		return make_backing(argv + 2);
	if (!strcmp(verb, "now") && argc == 3) {
		printf("%" PRIu64 "\n", atomic_load(&history_map(argv[2], 0)->clock));
		return 0;
	}
	die("usage: powerload load|backing|now ...");
}
