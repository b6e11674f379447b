// SPDX-License-Identifier: GPL-2.0
/* Reading lines from standard input while asynchronous requests run. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aio/sys.h"
#include "qed-io/io.h"

static struct {
	char *data; /* heap */
	size_t len, capacity;
	bool ended;
} input;

/* Remove the first @len bytes and the line's end from the buffer; return the line (heap). */
static char *take(size_t len)
{
	char *line = strndup(input.data ? input.data : "", len);
	size_t used = len < input.len ? len + 1 : len;

	input.len -= used;
	if (input.len)
		memmove(input.data, input.data + used, input.len);
	return line;
}

static bool make_room(void)
{
	size_t capacity = input.capacity ? 2 * input.capacity : 4096;
	char *data;

	if (input.len < input.capacity)
		return true;
	data = realloc(input.data, capacity);
	if (!data)
		return false;
	input.data = data;
	input.capacity = capacity;
	return true;
}

/* Read more without blocking the loop: poll first; a file is always readable. */
static void co_fill(void)
{
	ssize_t n = -ENOMEM;

	if (make_room()) {
		aio_co_poll(STDIN_FILENO, POLLIN);
		n = read(STDIN_FILENO, input.data + input.len, input.capacity - input.len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
	}
	if (n > 0)
		input.len += (size_t)n;
	else
		input.ended = true;
}

char *io_co_read_line(void)
{
	size_t seen = 0;
	char *newline;

	/* Even if a line is in the buffer: runnable coroutines run before the next command. */
	io_co_yield();
	for (;;) {
		newline = input.len > seen ? memchr(input.data + seen, '\n', input.len - seen) :
					     NULL;
		if (newline)
			return take((size_t)(newline - input.data));
		if (input.ended)
			return input.len ? take(input.len) : NULL;
		seen = input.len;
		co_fill();
	}
}
