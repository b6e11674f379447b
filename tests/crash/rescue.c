// SPDX-License-Identifier: GPL-2.0
/*
 * The rescue area, which survives a killed server: the driver keeps it in shared memory for its
 * successor. The killed server's coroutines still run for a while, so the successor gets a copy
 * made at the moment of the kill.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "block/node.h"
#include "crash.h"
#include "format/qed/image.h"

struct rescue {
	struct blk_rescue opts; /* of the running server, or of the next one */
	struct qed_image *img; /* NULL: not open */
	int copy; /* copy of the area of a killed server, -1: none */
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
	/* A server that closed its image leaves no area. */
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

/*
 * While the image is being opened, only the opening coroutine changes the area, and
 * that is the one being killed. The copy is made before any operation fails by the
 * kill: a flush that fails notes it in the area without meta_lock, which a dead server
 * would not do.
 */
void rescue_freeze(struct record *rec)
{
	struct rescue *rescue = rec->faults.rescue;

	if (!rescue)
		return;
	if (rescue->img)
		pthread_mutex_lock(&rescue->img->meta_lock);
	/* Before it has created the area a server has completed no request. */
	if (lseek(rescue->opts.fd, 0, SEEK_END) > 0)
		rescue->copy = copy_area(rescue->opts.fd);
}

void rescue_thaw(struct record *rec)
{
	struct rescue *rescue = rec->faults.rescue;

	if (rescue && rescue->img)
		pthread_mutex_unlock(&rescue->img->meta_lock);
}
