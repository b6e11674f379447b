// SPDX-License-Identifier: GPL-2.0
/*
 * Posts from other threads to a loop: a lock-free stack, and an event descriptor
 * that is written to only while the loop sleeps.
 *
 * The stack's head is INBOX_ASLEEP while the loop waits for the kernel.  The
 * thread that replaces that value must write to the event descriptor once; the
 * loop counts these writes and is not destroyed before it has read all of them.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aio/loop_internal.h"
#include "aio/tsan.h"
#include "util/units.h"

static struct aio_post asleep;
#define INBOX_ASLEEP (&asleep)

static void arm_event(struct aio_loop *loop);

static void on_event(struct aio_op *op, int res, uint32_t flags)
{
	struct aio_loop *loop = container_of(op, struct aio_loop, event_op);

	(void)flags;
	TSAN_ACQUIRE(&loop->event_value);
	loop->event_armed = false;
	if (res == (int)sizeof(loop->event_value)) {
		loop->kicks_seen += loop->event_value;
	} else if (res != -EINTR && res != -EAGAIN) {
		loop->failed = res < 0 ? res : -EIO;
		return;
	}
	if (!loop->closing || loop->kicks_seen != loop->kicks_due)
		arm_event(loop);
}

static void arm_event(struct aio_loop *loop)
{
	struct io_uring_sqe *sqe = aio_get_sqe(loop);

	io_uring_prep_read(sqe, loop->event_fd, &loop->event_value, sizeof(loop->event_value), -1);
	aio_sqe_set_op(sqe, &loop->event_op);
	loop->event_armed = true;
}

/*
 * Not through the C library: ThreadSanitizer would report a race between this write
 * and the loop's close() of the descriptor, which follows the read of this kick.
 */
static void kick(struct aio_loop *loop)
{
	static const uint64_t one = 1;
	int fd = loop->event_fd;

	TSAN_RELEASE(&loop->event_value);
	/* Fails only on a signal, or after 2^64 - 2 unread kicks; never short. */
	while (syscall(SYS_write, fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void on_stop(struct aio_post *post)
{
	container_of(post, struct aio_loop, stop_post)->stopping = true;
}

int inbox_create(struct aio_loop *loop)
{
	/* Blocking, since otherwise io_uring's read would not wait. */
	loop->event_fd = eventfd(0, EFD_CLOEXEC);
	if (loop->event_fd < 0)
		return -errno;
	atomic_init(&loop->inbox, NULL);
	atomic_init(&loop->stop_asked, false);
	loop->stop_post.fn = on_stop;
	loop->event_op.done = on_event;
	arm_event(loop);
	return 0;
}

void inbox_destroy(struct aio_loop *loop)
{
	inbox_drain(loop);
	loop->closing = true;
	/* One more, to end the read in flight. */
	loop->kicks_due++;
	kick(loop);
	while (loop->event_armed && !loop->failed)
		loop->failed = loop->engine->turn(loop, true, 0);
	close(loop->event_fd);
}

void inbox_drain(struct aio_loop *loop)
{
	struct aio_post *post, *next, *first = NULL;

	if (!atomic_load_explicit(&loop->inbox, memory_order_relaxed))
		return;
	post = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
	for (; post; post = next) {
		next = post->next;
		post->next = first;
		first = post;
	}
	for (post = first; post; post = next) {
		next = post->next;
		post->fn(post);
	}
}

bool inbox_sleep(struct aio_loop *loop)
{
	struct aio_post *none = NULL;

	return atomic_compare_exchange_strong_explicit(&loop->inbox, &none, INBOX_ASLEEP,
						       memory_order_release, memory_order_relaxed);
}

void inbox_awake(struct aio_loop *loop)
{
	struct aio_post *head = INBOX_ASLEEP;

	if (!atomic_compare_exchange_strong_explicit(&loop->inbox, &head, NULL,
						     memory_order_acquire, memory_order_relaxed))
		loop->kicks_due++;
}

void aio_loop_post(struct aio_loop *loop, struct aio_post *post)
{
	struct aio_post *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

	do {
		post->next = head == INBOX_ASLEEP ? NULL : head;
	} while (!atomic_compare_exchange_weak_explicit(
		&loop->inbox, &head, post, memory_order_release, memory_order_relaxed));
	/* @post may be freed by now; @loop is not, while this kick is due. */
	if (head == INBOX_ASLEEP)
		kick(loop);
}

void aio_loop_stop(struct aio_loop *loop)
{
	if (!atomic_exchange(&loop->stop_asked, true))
		aio_loop_post(loop, &loop->stop_post);
}
