// SPDX-License-Identifier: GPL-2.0
/*
 * Faults while a workload runs.
 *
 * A killed server: from some file operation on none of its operations has an effect and the guest
 * gets no completions; its coroutines only run to their end. Operations in flight may still
 * happen, completely or in part. The files stay as the kernel shows them, which differs from the
 * disk.
 *
 * A failing disk: a failed write may happen in part. A failed flush makes nothing durable, and
 * pages of the page cache that it could not write are marked clean nevertheless, so that no later
 * flush writes them. With O_DIRECT only the edges of zeroed ranges are in the page cache; a later
 * read does not find them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

static uint64_t chance(struct record *rec)
{
	return mix64(mix64(rec->jitter++) + 1);
}

void fault_arm(struct record *rec, const struct workload *w, uint64_t ops, uint64_t random)
{
	struct faults *f = &rec->faults;

	f->dead = f->lossy = false;
	f->failing = w->failing;
	f->kill_in = 0;
	if (next_random(&random) % 100 < w->kills)
		f->kill_in = 1 + next_random(&random) % ops;
	f->kill_at_flush = next_random(&random) % 3;
}

void fault_disarm(struct record *rec)
{
	rec->faults.dead = rec->faults.lossy = rec->faults.failing = false;
	rec->faults.kill_in = 0;
}

void fault_count(struct record *rec, bool is_flush)
{
	struct faults *f = &rec->faults;

	bool dies = false;

	pthread_mutex_lock(&rec->lock);
	if (f->kill_in > 1) {
		f->kill_in--;
	} else if (f->kill_in && (is_flush || !f->kill_at_flush)) {
		f->kill_in = 0;
		dies = true;
	}
	pthread_mutex_unlock(&rec->lock);
	if (!dies)
		return;
	rescue_freeze(rec);
	pthread_mutex_lock(&rec->lock);
	f->died = ++rec->position;
	f->dead = true;
	pthread_mutex_unlock(&rec->lock);
	rescue_thaw(rec);
}

/* Was operation @op started after the server died? */
static bool comes_too_late(struct record *rec, size_t op)
{
	bool late;

	pthread_mutex_lock(&rec->lock);
	late = rec->faults.dead && rec->ops[op].start > rec->faults.died;
	pthread_mutex_unlock(&rec->lock);
	return late;
}

size_t fault_write(struct record *rec, size_t op, size_t len, uint32_t unit, int *ret)
{
	uint64_t r = chance(rec);
	bool dead = rec->faults.dead;

	*ret = 0;
	if (!dead && (!rec->faults.failing || (r >> 32) % WRITES_PER_FAILURE))
		return len;
	*ret = -EIO;
	if (comes_too_late(rec, op) || r % 4 == 0)
		return 0;
	return r % 4 == 1 ? len : round_down((r >> 8) % len, unit);
}

int fault_op(struct record *rec, size_t op, unsigned int per_failure)
{
	uint64_t r = chance(rec);

	if (rec->faults.dead)
		return comes_too_late(rec, op) || r % 2 ? -EIO : 0;
	return rec->faults.failing && (r >> 32) % per_failure == 0 ? -EIO : 0;
}

uint8_t *fault_read_old(const char *live, uint64_t offset, uint64_t len)
{
	int fd = open(live, O_RDONLY | O_CLOEXEC);
	uint8_t *old = calloc(1, len);

	CHECK(fd >= 0 && old && pread(fd, old, len, offset) >= 0);
	close(fd);
	return old;
}

static bool overlaps(const struct rec_op *a, const struct rec_op *b)
{
	return a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

/*
 * Restore the old data of an edge beside O_DIRECT, whose page is gone: a read finds
 * what the disk has. With rec->lock held.
 */
static void show_old(const struct record *rec, const struct rec_op *edge, const char *live)
{
	int fd;

	for (size_t i = edge - rec->ops + 1; i < rec->nr_ops; i++)
		if (rec->ops[i].file == edge->file && rec->ops[i].kind != REC_NONE &&
		    rec->ops[i].kind != REC_TRUNCATE && rec->ops[i].kind != REC_FLUSH &&
		    overlaps(&rec->ops[i], edge))
			return;
	fd = open(live, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, edge->old, edge->len, edge->offset) == (ssize_t)edge->len);
	close(fd);
}

/* Is @edge durable by a later durable write over it?  The kernel writes its page back first. */
static bool was_written_back(const struct record *rec, const struct rec_op *edge)
{
	for (size_t i = edge - rec->ops + 1; i < rec->nr_ops; i++)
		if (rec->ops[i].kind == REC_DURABLE_WRITE && rec->ops[i].end != NEVER &&
		    rec->ops[i].file == edge->file && disk_lies_below(edge, &rec->ops[i]))
			return true;
	return false;
}

void fault_lose(struct record *rec, size_t op, const char *live)
{
	uint64_t random = chance(rec);
	const struct rec_op *flush;

	if (rec->faults.dead)
		return;
	pthread_mutex_lock(&rec->lock);
	flush = &rec->ops[op];
	rec->faults.lossy = true;
	for (size_t i = 0; i < rec->nr_ops; i++) {
		struct rec_op *lost = &rec->ops[i];

		if (!lost->cached || lost->kind == REC_NONE || lost->file != flush->file ||
		    lost->end < rec->faults.flushed || lost->end >= flush->start ||
		    lost->lost != NEVER || mix64(random ^ i) % 3 == 0 ||
		    was_written_back(rec, lost))
			continue;
		lost->lost = flush->end;
		rec->faults.losses = true;
		if (lost->old)
			show_old(rec, lost, live);
	}
	pthread_mutex_unlock(&rec->lock);
}

void fault_drop_cache(const struct record *rec, const struct files *files)
{
	for (unsigned int i = 0; i < nr_files(&rec->geo); i++) {
		copy_sparse(files->image[i].start, files->copy);
		disk_replay(rec, i, files->copy);
		copy_sparse(files->copy, files->image[i].live);
	}
}
