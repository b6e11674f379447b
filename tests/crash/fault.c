// SPDX-License-Identifier: GPL-2.0
/*
 * What goes wrong while a workload runs.
 *
 * The server is killed: from a file operation on nothing that it does reaches a file, and the
 * guest gets no answer; its coroutines only come to their end.  What was in flight may still be
 * done, or a part of it.  The files stay as the kernel shows them, which is not what the disk has.
 *
 * The disk fails: a write that fails may be there in part; a flush that fails is no flush, and the
 * pages of the page cache that it could not write are clean all the same, so that no later flush
 * writes them.  With O_DIRECT those are only the edges of zeroes, which a read then does not find.
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

/* Was operation @op called when the server was dead already? */
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

/* Under the lock.  A page beside O_DIRECT is gone: a read finds what the disk has. */
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
		    lost->lost != NEVER || mix64(random ^ i) % 3 == 0)
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
