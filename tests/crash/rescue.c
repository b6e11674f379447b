// SPDX-License-Identifier: GPL-2.0
/*
 * What survives a server that is killed: the area that the driver keeps in shared memory for its
 * successor.  The killed server's coroutines go on for a while, so the successor gets a copy that
 * is made at the moment of death.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "block/node.h"
#include "crash.h"
#include "format/qed/qed.h"

struct rescue {
	struct blk_rescue opts; /* of the server that runs, or comes next */
	struct qed_image *img; /* NULL: not open */
	int copy; /* what was left, -1: nothing */
};

static int make_area(void)
{
	int fd = memfd_create("qedblk-crash-rescue", MFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static int copy_area(int from)
{
	off_t size = lseek(from, 0, SEEK_END);
	uint8_t *bytes = malloc(size);
	int to = make_area();

	CHECK(bytes && pread(from, bytes, size, 0) == size && write(to, bytes, size) == size);
	free(bytes);
	return to;
}

void rescue_begin(struct record *rec)
{
	struct rescue *rescue = calloc(1, sizeof(*rescue));

	CHECK(rescue);
	rescue->opts.fd = make_area();
	rescue->copy = -1;
	rec->faults.rescue = rescue;
}

void rescue_end(struct record *rec)
{
	struct rescue *rescue = rec->faults.rescue;

	if (!rescue)
		return;
	close(rescue->opts.fd);
	if (rescue->copy >= 0)
		close(rescue->copy);
	free(rescue);
	rec->faults.rescue = NULL;
}

const struct blk_rescue *rescue_before_open(struct record *rec)
{
	struct rescue *rescue = rec->faults.rescue;

	if (!rescue)
		return NULL;
	/* A server that closed its image leaves nothing. */
	close(rescue->opts.fd);
	rescue->opts.replay = rescue->copy >= 0;
	rescue->opts.fd = rescue->opts.replay ? rescue->copy : make_area();
	rescue->copy = -1;
	return &rescue->opts;
}

void rescue_opened(struct record *rec, struct blk_node *node)
{
	if (rec->faults.rescue)
		rec->faults.rescue->img = node->opaque;
}

void rescue_closed(struct record *rec)
{
	if (rec->faults.rescue)
		rec->faults.rescue->img = NULL;
}

/* While it is being opened nothing but the opening changes it, and that is who dies. */
void rescue_freeze(struct record *rec)
{
	struct rescue *rescue = rec->faults.rescue;

	if (rescue && rescue->img)
		pthread_mutex_lock(&rescue->img->meta_lock);
}

void rescue_thaw(struct record *rec)
{
	struct rescue *rescue = rec->faults.rescue;

	if (!rescue)
		return;
	/* Before it has made the area a server has answered nothing. */
	if (lseek(rescue->opts.fd, 0, SEEK_END) > 0)
		rescue->copy = copy_area(rescue->opts.fd);
	if (rescue->img)
		pthread_mutex_unlock(&rescue->img->meta_lock);
}
