// SPDX-License-Identifier: GPL-2.0
/*
 * The engine without io_uring: worker threads and epoll.
 *
 * It carries out the SQEs that the loop's callers fill in.  What has an offset, and a flush,
 * may block on a disk, and goes to the workers (worker.c), which make the ordinary system
 * call.  What has none (offset -1, poll, accept) may wait for ever, and waits in epoll; the
 * system call is made by the loop's own thread once the descriptor is ready.
 *
 * An operation is a struct task, from aio_get_sqe() until its callback is called.  The loop's
 * lists hold it while it is prepared, waits for a descriptor, or is done; in between it
 * belongs to the workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "aio/loop_internal.h"
#include "util/units.h"

#define NO_OFFSET UINT64_MAX
/* Descriptors whose events are taken at a time; those of others follow in the next turn. */
#define MAX_EVENTS 64
/* The longest wait in one system call, ms; a longer one takes several turns. */
#define MAX_WAIT_MS 3600000
/* The same while epoll lacks room, and more tasks wait than poll() is asked about. */
#define LACK_MS	      10
#define NSEC_PER_MSEC 1000000
#define CHUNK_TASKS   64

struct task {
	struct io_uring_sqe sqe;
	struct threads *threads;
	struct cds_list_head link; /* in a list of struct threads */
	struct work work;
	struct task *next; /* in threads->finished */
	int res;
};

/* Tasks are allocated in chunks, and freed with the loop. */
struct chunk {
	struct chunk *next;
	struct task tasks[CHUNK_TASKS];
};

struct threads {
	struct aio_loop *loop;
	int epoll_fd;
	struct chunk *chunks;
	struct cds_list_head free;
	struct cds_list_head prepared; /* not begun; the caller may still fill in the last one */
	struct cds_list_head waiting; /* for their descriptors, the oldest first */
	struct cds_list_head done; /* with a result that is not delivered */
	bool lacks_room; /* epoll had none for a descriptor of @waiting: poll() is asked, too */

	/* Written by workers, on a cache line of its own: a stack. */
	_Alignas(CACHE_LINE) _Atomic(struct task *) finished;
	struct aio_post post; /* posted by the worker that finds the stack empty */
};

/* ---- Tasks ---- */

static void move(struct task *task, struct cds_list_head *list)
{
	cds_list_del(&task->link);
	cds_list_add_tail(&task->link, list);
}

static bool add_chunk(struct threads *t)
{
	struct chunk *chunk = malloc(sizeof(*chunk));

	if (!chunk)
		return false;
	chunk->next = t->chunks;
	t->chunks = chunk;
	for (unsigned int i = 0; i < CHUNK_TASKS; i++) {
		chunk->tasks[i].threads = t;
		cds_list_add_tail(&chunk->tasks[i].link, &t->free);
	}
	return true;
}

static struct io_uring_sqe *threads_get_sqe(struct aio_loop *loop)
{
	const struct timespec nap = { .tv_nsec = NSEC_PER_MSEC };
	struct threads *t = loop->threads;
	struct task *task;

	/* Without memory for more than are in flight, wait until the machine has some again. */
	while (cds_list_empty(&t->free) && !add_chunk(t))
		nanosleep(&nap, NULL);
	task = cds_list_first_entry(&t->free, struct task, link);
	move(task, &t->prepared);
	memset(&task->sqe, 0, sizeof(task->sqe));
	return &task->sqe;
}

static void finish(struct task *task, int res)
{
	task->res = res;
	move(task, &task->threads->done);
}

/* Call the callbacks of what is done now; what they begin waits for the next turn. */
static void deliver(struct threads *t)
{
	struct cds_list_head batch;
	struct aio_op *op;
	struct task *task;
	int res;

	CDS_INIT_LIST_HEAD(&batch);
	cds_list_splice(&t->done, &batch);
	CDS_INIT_LIST_HEAD(&t->done);
	while (!cds_list_empty(&batch)) {
		task = cds_list_first_entry(&batch, struct task, link);
		op = (struct aio_op *)(uintptr_t)task->sqe.user_data;
		res = task->res;
		/* Before the callback, which may need one: the hottest. */
		cds_list_move(&task->link, &t->free);
		if (op)
			op->done(op, res, 0);
	}
}

/* ---- By a worker ---- */

static int result(ssize_t ret)
{
	return ret < 0 ? -errno : (int)ret;
}

static int read_file(const struct io_uring_sqe *sqe)
{
	void *buf = (void *)(uintptr_t)sqe->addr;

	if (sqe->off == NO_OFFSET)
		return result(read(sqe->fd, buf, sqe->len));
	return result(pread(sqe->fd, buf, sqe->len, (off_t)sqe->off));
}

static int write_file(const struct io_uring_sqe *sqe)
{
	const void *buf = (const void *)(uintptr_t)sqe->addr;

	if (sqe->off == NO_OFFSET)
		return result(write(sqe->fd, buf, sqe->len));
	return result(pwrite(sqe->fd, buf, sqe->len, (off_t)sqe->off));
}

static int write_vector(const struct io_uring_sqe *sqe)
{
	const struct iovec *iov = (const struct iovec *)(uintptr_t)sqe->addr;

	if (!sqe->rw_flags)
		return result(pwritev(sqe->fd, iov, (int)sqe->len, (off_t)sqe->off));
	return result(pwritev2(sqe->fd, iov, (int)sqe->len, (off_t)sqe->off, sqe->rw_flags));
}

static int file_call(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_READ:
		return read_file(sqe);
	case IORING_OP_WRITE:
		return write_file(sqe);
	case IORING_OP_READV:
		return result(preadv(sqe->fd, (const struct iovec *)(uintptr_t)sqe->addr,
				     (int)sqe->len, (off_t)sqe->off));
	case IORING_OP_WRITEV:
		return write_vector(sqe);
	case IORING_OP_FSYNC:
		return result(sqe->fsync_flags & IORING_FSYNC_DATASYNC ? fdatasync(sqe->fd) :
									 fsync(sqe->fd));
	default: /* IORING_OP_FALLOCATE */
		return result(fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off, (off_t)sqe->addr));
	}
}

/*
 * Push @task on the stack.  Only the post takes from it, so that a worker that has found the stack
 * empty can still use the loop, and one that has not does not touch it any more.  The former reuses
 * the post: after (acquire) all that the loop did with it before it emptied the stack (release).
 */
static void push_finished(struct task *task)
{
	struct threads *t = task->threads;
	struct task *head = atomic_load_explicit(&t->finished, memory_order_relaxed);

	do {
		task->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&t->finished, &head, task, memory_order_acq_rel, memory_order_relaxed));
	if (!head)
		aio_loop_post(t->loop, &t->post);
}

static void run_task(struct work *work)
{
	struct task *task = container_of(work, struct task, work);

	task->res = file_call(&task->sqe);
	push_finished(task);
}

static void on_finished(struct aio_post *post)
{
	struct threads *t = container_of(post, struct threads, post);
	struct task *task = atomic_exchange_explicit(&t->finished, NULL, memory_order_acq_rel);
	struct cds_list_head *newest = t->done.prev;

	/* The stack has the newest first. */
	for (; task; task = task->next)
		cds_list_add(&task->link, newest);
}

static void give_to_worker(struct task *task)
{
	cds_list_del(&task->link);
	task->work.run = run_task;
	/* Without any worker this thread waits for the disk. */
	if (worker_run(&worker_io_pool, &task->work) < 0)
		run_task(&task->work);
}

/* ---- By waiting for a descriptor ---- */

/* The events that the task waits for; EPOLLIN and so on are POLLIN and so on. */
static uint32_t wanted_events(const struct task *task)
{
	switch (task->sqe.opcode) {
	case IORING_OP_POLL_ADD:
		return task->sqe.poll_events | EPOLLERR | EPOLLHUP;
	case IORING_OP_WRITE:
		return EPOLLOUT | EPOLLERR | EPOLLHUP;
	default:
		return EPOLLIN | EPOLLERR | EPOLLHUP;
	}
}

/* Write to what is ready for it, without waiting: to a pipe a page, which then has room. */
static int write_stream(const struct io_uring_sqe *sqe)
{
	const void *buf = (const void *)(uintptr_t)sqe->addr;
	int ret = result(send(sqe->fd, buf, sqe->len, MSG_DONTWAIT | MSG_NOSIGNAL));

	if (ret != -ENOTSOCK)
		return ret;
	return result(write(sqe->fd, buf, min_u64(sqe->len, PIPE_BUF)));
}

/* The result of a task whose descriptor has @events, or -EAGAIN. */
static int try_ready(const struct task *task, uint32_t events)
{
	const struct io_uring_sqe *sqe = &task->sqe;

	events &= wanted_events(task);
	if (!events)
		return -EAGAIN;
	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return (int)events;
	case IORING_OP_ACCEPT:
		return result(accept4(sqe->fd, (struct sockaddr *)(uintptr_t)sqe->addr,
				      (socklen_t *)(uintptr_t)sqe->addr2, (int)sqe->accept_flags));
	case IORING_OP_WRITE:
		return write_stream(sqe);
	default:
		return result(read(sqe->fd, (void *)(uintptr_t)sqe->addr, sqe->len));
	}
}

/*
 * Make epoll report once the next event that a task waits for on @fd.  A descriptor stays
 * registered, without events, until it is closed.
 */
static int arm(struct threads *t, int fd)
{
	struct epoll_event event = { .events = EPOLLONESHOT, .data.fd = fd };
	struct task *task;

	cds_list_for_each_entry(task, &t->waiting, link) {
		if (task->sqe.fd == fd)
			event.events |= wanted_events(task);
	}
	if (!epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, fd, &event) ||
	    (errno == ENOENT && !epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event)))
		return 0;
	/* A user's watches are limited (fs.epoll.max_user_watches). */
	if (errno != ENOSPC && errno != ENOMEM)
		return -errno;
	t->lacks_room = true;
	return 0;
}

/* Is there a task that waits for all events on its descriptor for which @task would wait, too? */
static bool is_armed(struct threads *t, const struct task *task)
{
	uint32_t wanted = wanted_events(task);
	struct task *other;

	cds_list_for_each_entry(other, &t->waiting, link) {
		if (other->sqe.fd == task->sqe.fd && !(wanted & ~wanted_events(other)))
			return true;
	}
	return false;
}

/* A file without poll(2), such as a regular one, is always ready, but may block on a disk. */
static void finish_unpollable(struct task *task)
{
	if (task->sqe.opcode == IORING_OP_POLL_ADD)
		finish(task,
		       task->sqe.poll_events & (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM));
	else if (task->sqe.opcode == IORING_OP_ACCEPT)
		finish(task, -ENOTSOCK);
	else
		give_to_worker(task);
}

static void wait_for_descriptor(struct task *task)
{
	struct threads *t = task->threads;
	bool armed = is_armed(t, task);
	int ret = 0;

	move(task, &t->waiting);
	if (!armed)
		ret = arm(t, task->sqe.fd);
	if (ret == -EPERM)
		finish_unpollable(task);
	else if (ret < 0)
		finish(task, ret);
}

/* @fd has @events: try what waits for it, and wait on for the rest. */
static void take_event(struct threads *t, int fd, uint32_t events)
{
	struct task *task, *next;
	bool left = false;
	int ret;

	cds_list_for_each_entry_safe(task, next, &t->waiting, link) {
		if (task->sqe.fd != fd)
			continue;
		ret = try_ready(task, events);
		if (ret == -EAGAIN)
			left = true;
		else
			finish(task, ret);
	}
	ret = left ? arm(t, fd) : 0;
	if (!ret)
		return;
	cds_list_for_each_entry_safe(task, next, &t->waiting, link) {
		if (task->sqe.fd == fd)
			finish(task, ret);
	}
}

static void cancel_poll(struct task *remove)
{
	struct threads *t = remove->threads;
	struct task *task;
	int ret = -ENOENT;

	cds_list_for_each_entry(task, &t->waiting, link) {
		if (task->sqe.opcode == IORING_OP_POLL_ADD &&
		    task->sqe.user_data == remove->sqe.addr) {
			finish(task, -ECANCELED);
			ret = 0;
			break;
		}
	}
	finish(remove, ret);
}

/* ---- Turns ---- */

static void begin(struct task *task)
{
	switch (task->sqe.opcode) {
	case IORING_OP_NOP:
		finish(task, 0);
		return;
	case IORING_OP_READ:
	case IORING_OP_WRITE:
		if (task->sqe.off == NO_OFFSET)
			wait_for_descriptor(task);
		else
			give_to_worker(task);
		return;
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
		give_to_worker(task);
		return;
	case IORING_OP_POLL_ADD:
	case IORING_OP_ACCEPT:
		wait_for_descriptor(task);
		return;
	case IORING_OP_POLL_REMOVE:
		cancel_poll(task);
		return;
	default:
		finish(task, -EINVAL);
	}
}

/* Fill @fds with what the oldest tasks wait for, and return their number. */
static unsigned int fill_poll(struct threads *t, struct pollfd fds[MAX_EVENTS])
{
	unsigned int n = 0;
	struct task *task;

	cds_list_for_each_entry(task, &t->waiting, link) {
		if (n == MAX_EVENTS)
			break;
		fds[n++] =
			(struct pollfd){ .fd = task->sqe.fd, .events = (short)wanted_events(task) };
	}
	return n;
}

/* As wait_events(), where epoll does not know all descriptors that tasks wait for. */
static int wait_without_room(struct threads *t, struct epoll_event *events, int ms)
{
	struct pollfd fds[MAX_EVENTS];
	unsigned int n = fill_poll(t, fds);
	int count = 0;

	/* With more tasks than that, the younger ones are looked at when older ones are done. */
	if (n == MAX_EVENTS && (ms < 0 || ms > LACK_MS))
		ms = LACK_MS;
	if (poll(fds, n, ms) < 0)
		return errno == EINTR || errno == ENOMEM ? 0 : -errno;
	for (unsigned int i = 0; i < n; i++)
		if (fds[i].revents)
			events[count++] = (struct epoll_event){ .events = (uint32_t)fds[i].revents,
								.data.fd = fds[i].fd };
	if (n < MAX_EVENTS || count)
		return count;
	/* None of those: epoll may know of the others. */
	count = epoll_wait(t->epoll_fd, events, MAX_EVENTS, 0);
	return count < 0 ? 0 : count;
}

/* Wait for events for @ms (-1: without limit), and return their number or a negative errno. */
static int wait_events(struct threads *t, struct epoll_event *events, int ms)
{
	int n;

	if (t->lacks_room)
		return wait_without_room(t, events, ms);
	n = epoll_wait(t->epoll_fd, events, MAX_EVENTS, ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

/* epoll_pwait2() knows nanoseconds, but what denies io_uring may deny it, too. */
static int wait_ms(uint64_t deadline, uint64_t now)
{
	if (!deadline)
		return -1;
	return (int)min_u64(div_round_up(deadline - now, NSEC_PER_MSEC), MAX_WAIT_MS);
}

static int enter(struct aio_loop *loop, bool block, uint64_t deadline, struct epoll_event *events)
{
	struct threads *t = loop->threads;
	uint64_t now = 0;
	int n;

	if (block && deadline) {
		now = aio_now();
		block = deadline > now;
	}
	if (!block || !cds_list_empty(&t->done) || !inbox_sleep(loop)) {
		rcu_loop_quiescent();
		return wait_events(t, events, 0);
	}
	rcu_loop_offline();
	n = wait_events(t, events, wait_ms(deadline, now));
	rcu_loop_online();
	inbox_awake(loop);
	return n;
}

static int threads_turn(struct aio_loop *loop, bool block, uint64_t deadline)
{
	struct epoll_event events[MAX_EVENTS];
	struct threads *t = loop->threads;
	struct task *task;
	int n;

	while (!cds_list_empty(&t->prepared)) {
		task = cds_list_first_entry(&t->prepared, struct task, link);
		begin(task);
	}
	n = enter(loop, block, deadline, events);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		take_event(t, events[i].data.fd, events[i].events);
	deliver(t);
	return loop->failed;
}

/* ---- Life ---- */

static void free_threads(struct threads *t)
{
	struct chunk *chunk;

	while ((chunk = t->chunks)) {
		t->chunks = chunk->next;
		free(chunk);
	}
	free(t);
}

static void threads_destroy(struct aio_loop *loop)
{
	close(loop->threads->epoll_fd);
	free_threads(loop->threads);
}

/* As many tasks as the loop is made for: a lack of memory later only limits it to these. */
static bool add_tasks(struct threads *t, unsigned int entries)
{
	for (unsigned int n = 0; n < entries || !n; n += CHUNK_TASKS) {
		if (!add_chunk(t))
			return false;
	}
	return true;
}

static int threads_create(struct aio_loop *loop, unsigned int entries)
{
	struct threads *t = aligned_alloc(CACHE_LINE, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	memset(t, 0, sizeof(*t));
	t->loop = loop;
	t->post.fn = on_finished;
	CDS_INIT_LIST_HEAD(&t->free);
	CDS_INIT_LIST_HEAD(&t->prepared);
	CDS_INIT_LIST_HEAD(&t->waiting);
	CDS_INIT_LIST_HEAD(&t->done);
	if (!add_tasks(t, entries)) {
		free_threads(t);
		return -ENOMEM;
	}
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll_fd < 0) {
		ret = -errno;
		free_threads(t);
		return ret;
	}
	loop->threads = t;
	loop->sq_entries = entries;
	return 0;
}

const struct aio_engine threads_engine = {
	.create = threads_create,
	.destroy = threads_destroy,
	.turn = threads_turn,
	.get_sqe = threads_get_sqe,
};
