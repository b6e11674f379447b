// SPDX-License-Identifier: GPL-2.0
/* The thread of a queue: fetch, pass to the target, commit and fetch again. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "ublk/gate.h"
#include "ublk/queue.h"
#include "ublk/uapi.h"
#include "util/log.h"
#include "util/units.h"

/* /dev/ublkcN in the ring's table of registered files. */
#define CHAR_FILE_INDEX 0

struct ublk_queue {
	struct ublk_queue_opts opts;
	struct aio_loop *loop;
	const struct ublksrv_io_desc *descs; /* written by the kernel, one per tag */
	struct ublk_request *requests;
	char *buffers;
	bool file_registered;
	struct aio_op fetched; /* a nop, submitted after the first fetch of every tag */

	/*
	 * The number of tags whose fetch has not been aborted, and 1 for @fetched. Queue's thread
	 * only.
	 */
	unsigned int live;
	int fetch_error;
	struct ublk_gate_queue gate;
	_Atomic unsigned int in_flight;

	pthread_t thread;
	pthread_mutex_t mutex; /* protects the fields below */
	pthread_cond_t cond;
	bool started; /* or failed to start */
	int start_result;
	bool must_join; /* failed to start, but fetches are in flight */
	struct error start_error;
};

/* ---- The protocol ---- */

static void issue(struct ublk_request *req, uint32_t cmd_op, int result)
{
	struct ublk_queue *queue = req->queue;
	struct io_uring_sqe *sqe = aio_get_sqe(queue->loop);
	struct ublksrv_io_cmd cmd = {
		.q_id = queue->opts.id,
		.tag = req->tag,
		.result = result,
		.addr = (uintptr_t)req->buf,
	};

	if (queue->file_registered) {
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, CHAR_FILE_INDEX, NULL, 0, 0);
		sqe->flags |= IOSQE_FIXED_FILE;
	} else {
		io_uring_prep_rw(IORING_OP_URING_CMD, sqe, queue->opts.char_fd, NULL, 0, 0);
	}
	sqe->cmd_op = cmd_op;
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), &cmd, sizeof(cmd));
	aio_sqe_set_op(sqe, &req->command);
}

void ublk_request_complete(struct ublk_request *req, int result)
{
	struct ublk_queue *queue = req->queue;

	/* Reads and writes return their length; there are no short ones. */
	if (!result && (req->op == UBLK_IO_OP_READ || req->op == UBLK_IO_OP_WRITE))
		result = req->bytes;
	atomic_store_explicit(&queue->in_flight,
			      atomic_load_explicit(&queue->in_flight, memory_order_relaxed) - 1,
			      memory_order_relaxed);
	issue(req, UBLK_U_IO_COMMIT_AND_FETCH_REQ, result);
}

static void one_ended(struct ublk_queue *queue)
{
	if (!--queue->live)
		aio_loop_stop(queue->loop);
}

static void tag_ended(struct ublk_queue *queue, struct ublk_request *req, int res)
{
	static struct log_ratelimit limit;

	if (res != UBLK_IO_RES_ABORT && res != -ECANCELED) {
		if (!queue->fetch_error)
			queue->fetch_error = res;
		if (log_allowed(&limit))
			log_error("ublk queue %u: tag %u is lost: %s", queue->opts.id, req->tag,
				  strerror(-res));
	}
	one_ended(queue);
}

/* A fetch or commit completed: the tag has a request, or has ended. */
static void on_command(struct aio_op *op, int res, uint32_t cqe_flags)
{
	struct ublk_request *req = container_of(op, struct ublk_request, command);
	struct ublk_queue *queue = req->queue;
	const struct ublksrv_io_desc *desc = &queue->descs[req->tag];

	(void)cqe_flags;
	if (res != UBLK_IO_RES_OK) {
		tag_ended(queue, req, res);
		return;
	}
	/* UBLK_IO_F_* are masks of the whole word, so do not shift it. */
	req->op = desc->op_flags & 0xff;
	req->flags = desc->op_flags & ~0xffu;
	req->bytes = desc->nr_sectors * SECTOR_SIZE;
	req->offset = desc->start_sector * SECTOR_SIZE;
	atomic_store_explicit(&queue->in_flight,
			      atomic_load_explicit(&queue->in_flight, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	req->target->submit(req);
}

/* ---- Memory ---- */

static size_t desc_area_bytes(unsigned int depth)
{
	return round_up(depth * sizeof(struct ublksrv_io_desc), sysconf(_SC_PAGESIZE));
}

/* The kernel spaces the descriptors of queues by the maximum depth. */
static off_t desc_area_offset(unsigned int id)
{
	return UBLKSRV_CMD_BUF_OFFSET + (off_t)id * desc_area_bytes(UBLK_MAX_QUEUE_DEPTH);
}

static int map_memory(struct ublk_queue *queue, struct error *err)
{
	const struct ublk_queue_opts *opts = &queue->opts;
	void *map;

	map = mmap(NULL, desc_area_bytes(opts->depth), PROT_READ, MAP_SHARED | MAP_POPULATE,
		   opts->char_fd, desc_area_offset(opts->id));
	if (map == MAP_FAILED)
		return error_set_errno(err, -errno, "ublk queue %u: descriptors", opts->id);
	queue->descs = map;
	/* Pages are populated when a request of that size first touches them, and then kept. */
	map = mmap(NULL, (size_t)opts->depth * opts->max_io_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return error_set_errno(err, -errno, "ublk queue %u: buffers", opts->id);
	queue->buffers = map;
	queue->requests = calloc(opts->depth, sizeof(*queue->requests));
	if (!queue->requests)
		return error_set_errno(err, -ENOMEM, "ublk queue %u", opts->id);
	return 0;
}

static void unmap_memory(struct ublk_queue *queue)
{
	const struct ublk_queue_opts *opts = &queue->opts;

	free(queue->requests);
	if (queue->buffers)
		munmap(queue->buffers, (size_t)opts->depth * opts->max_io_bytes);
	if (queue->descs)
		munmap((void *)queue->descs, desc_area_bytes(opts->depth));
}

/* ---- The thread ---- */

static void tell_started(struct ublk_queue *queue, int result)
{
	pthread_mutex_lock(&queue->mutex);
	queue->started = true;
	queue->start_result = result;
	pthread_cond_signal(&queue->cond);
	pthread_mutex_unlock(&queue->mutex);
}

static void on_fetched(struct aio_op *op, int res, uint32_t cqe_flags)
{
	struct ublk_queue *queue = container_of(op, struct ublk_queue, fetched);

	(void)cqe_flags;
	if (!res)
		res = queue->fetch_error;
	if (res < 0) {
		error_set_errno(&queue->start_error, res, "ublk queue %u: fetching",
				queue->opts.id);
		queue->must_join = true;
	}
	tell_started(queue, res);
	one_ended(queue);
}

static void fetch_all(struct ublk_queue *queue)
{
	struct io_uring_sqe *sqe;

	for (unsigned int tag = 0; tag < queue->opts.depth; tag++) {
		struct ublk_request *req = &queue->requests[tag];

		req->command.done = on_command;
		req->queue = queue;
		req->target = queue->opts.target;
		req->gate = &queue->gate;
		req->tag = tag;
		req->buf = queue->buffers + (size_t)tag * queue->opts.max_io_bytes;
		queue->live++;
		issue(req, UBLK_U_IO_FETCH_REQ, 0);
	}
	/* Fetches that the kernel refuses have completed by the time this nop completes. */
	queue->fetched.done = on_fetched;
	queue->live++;
	sqe = aio_get_sqe(queue->loop);
	io_uring_prep_nop(sqe);
	aio_sqe_set_op(sqe, &queue->fetched);
}

/* Memory reclaim may write back to this disk, so its server must not wait for reclaim. */
static void prepare_thread(struct ublk_queue *queue)
{
	char name[16];

	snprintf(name, sizeof(name), "qedd/q%u", queue->opts.id);
	pthread_setname_np(pthread_self(), name);
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) && errno != EPERM && errno != EINVAL)
		log_warning("%s: PR_SET_IO_FLUSHER: %s", name, strerror(errno));
}

static int prepare_loop(struct ublk_queue *queue)
{
	int ret = aio_loop_create_uring(&queue->loop, max_u64(64, queue->opts.depth),
					&queue->start_error);

	if (ret < 0)
		return ret;
	ret = map_memory(queue, &queue->start_error);
	if (ret < 0) {
		aio_loop_destroy(queue->loop);
		return ret;
	}
	queue->file_registered =
		!io_uring_register_files(aio_loop_ring(queue->loop), &queue->opts.char_fd, 1);
	return 0;
}

static void *queue_thread(void *arg)
{
	struct ublk_queue *queue = arg;
	int ret;

	prepare_thread(queue);
	ret = prepare_loop(queue);
	if (ret < 0) {
		tell_started(queue, ret);
		return NULL;
	}
	ublk_gate_join(queue->opts.target->gate, &queue->gate);
	fetch_all(queue);
	ret = aio_loop_run(queue->loop);
	if (ret < 0) {
		/*
		 * Requests on the ring can be neither completed nor waited for. Crash: images
		 * survive that.
		 */
		log_error("ublk queue %u: io_uring: %s", queue->opts.id, strerror(-ret));
		_exit(1);
	}
	ublk_gate_quit(&queue->gate);
	if (queue->opts.ended)
		queue->opts.ended(queue->opts.ended_arg);
	/* The ring's reference to the character device would hold up its deletion. */
	if (queue->file_registered)
		io_uring_unregister_files(aio_loop_ring(queue->loop));
	aio_loop_destroy(queue->loop);
	return NULL;
}

static void queue_free(struct ublk_queue *queue)
{
	unmap_memory(queue);
	error_free(&queue->start_error);
	pthread_mutex_destroy(&queue->mutex);
	pthread_cond_destroy(&queue->cond);
	free(queue);
}

static int wait_started(struct ublk_queue *queue)
{
	int ret;

	pthread_mutex_lock(&queue->mutex);
	while (!queue->started)
		pthread_cond_wait(&queue->cond, &queue->mutex);
	ret = queue->start_result;
	pthread_mutex_unlock(&queue->mutex);
	return ret;
}

int ublk_queue_start(struct ublk_queue **queue, const struct ublk_queue_opts *opts,
		     struct error *err)
{
	struct ublk_queue *q = calloc(1, sizeof(*q));
	int ret;

	*queue = NULL;
	if (!q)
		return error_set_errno(err, -ENOMEM, "ublk queue %u", opts->id);
	q->opts = *opts;
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->cond, NULL);
	ret = -pthread_create(&q->thread, NULL, queue_thread, q);
	if (ret < 0) {
		queue_free(q);
		return error_set_errno(err, ret, "ublk queue %u: thread", opts->id);
	}
	ret = wait_started(q);
	*queue = q;
	if (ret < 0) {
		error_set(err, ret, "%s", error_text(&q->start_error));
		if (!q->must_join) {
			pthread_join(q->thread, NULL);
			queue_free(q);
			*queue = NULL;
		}
	}
	return ret;
}

int ublk_queue_join(struct ublk_queue *queue, unsigned int seconds)
{
	struct timespec until;
	int ret;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	ret = -pthread_timedjoin_np(queue->thread, NULL, &until);
	if (ret < 0)
		return ret;
	queue_free(queue);
	return 0;
}

unsigned int ublk_queue_in_flight(const struct ublk_queue *queue)
{
	return atomic_load_explicit(&queue->in_flight, memory_order_relaxed);
}
