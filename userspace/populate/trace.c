// SPDX-License-Identifier: GPL-2.0
/*
 * Record and read traces.
 *
 * Readers add clusters to a set, and those that are new in it to a list of fixed
 * size under a mutex, held for a few instructions.  trace_co_write(), called
 * periodically, swaps the list and writes it to the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/sys.h"
#include "block/io.h"
#include "populate/internal.h"
#include "populate/trace.h"
#include "util/units.h"

#define TRACE_MAGIC "qedblk-trace 1"
/* Clusters between two calls of trace_co_write(): at 64 KiB each, 4 GiB that are read first. */
#define LIST_ROOM 65536u

struct trace {
	uint64_t cluster_size;
	FILE *file;
	char *path;
	struct pending_set seen;

	pthread_mutex_t mutex; /* protects the next three */
	uint64_t *list; /* clusters, LIST_ROOM at most */
	size_t nr;
	uint64_t lost; /* number of clusters for which there was no room */

	/* For trace_co_write() and trace_co_stop() only. */
	uint64_t *writing;
	size_t nr_writing;
	uint64_t run_start, run_end; /* clusters: the last run, not written since it may grow */
	int error; /* of the first write that failed: the file lacks something */
};

/* ---- Recording ---- */

static void note(struct trace *trace, uint64_t offset, uint64_t bytes)
{
	uint64_t end = div_round_up(offset + bytes, trace->cluster_size);

	for (uint64_t c = offset / trace->cluster_size; c < end; c++) {
		if (pending_has(&trace->seen, c) || !pending_add(&trace->seen, c))
			continue;
		pthread_mutex_lock(&trace->mutex);
		if (trace->nr < LIST_ROOM)
			trace->list[trace->nr++] = c;
		else
			trace->lost++;
		pthread_mutex_unlock(&trace->mutex);
	}
}

/*
 * The caller is in node->inflight, and trace_co_stop() frees a trace only after all requests that
 * were in flight are over.
 */
void trace_seen(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	struct trace *trace = populate_of(node)->trace;

	if (trace)
		note(trace, offset, bytes);
}

const char *trace_path(struct blk_node *node)
{
	struct populate *p = populate_of(node);
	struct trace *trace = p ? p->trace : NULL;

	return trace ? trace->path : NULL;
}

static int write_error(void)
{
	return errno ? -errno : -EIO;
}

static int write_run(struct trace *trace)
{
	int n = 0;

	if (trace->run_end > trace->run_start)
		n = fprintf(trace->file, "%" PRIu64 " %" PRIu64 "\n",
			    trace->run_start * trace->cluster_size,
			    (trace->run_end - trace->run_start) * trace->cluster_size);
	trace->run_start = trace->run_end = 0;
	return n < 0 ? write_error() : 0;
}

/* On a worker thread. */
static int write_list(void *arg)
{
	struct trace *trace = arg;
	int ret = 0;

	for (size_t i = 0; !ret && i < trace->nr_writing; i++) {
		uint64_t c = trace->writing[i];

		if (trace->run_end != c || trace->run_end == trace->run_start) {
			ret = write_run(trace);
			trace->run_start = c;
		}
		trace->run_end = c + 1;
	}
	trace->nr_writing = 0;
	if (!ret && fflush(trace->file))
		ret = write_error();
	return ret;
}

int trace_co_write(struct blk_node *node, struct error *err)
{
	struct populate *p = populate_of(node);
	struct trace *trace = p ? p->trace : NULL;
	uint64_t *list;
	int ret;

	if (!trace)
		return 0;
	pthread_mutex_lock(&trace->mutex);
	list = trace->list;
	trace->list = trace->writing;
	trace->writing = list;
	trace->nr_writing = trace->nr;
	trace->nr = 0;
	pthread_mutex_unlock(&trace->mutex);
	ret = aio_co_call(write_list, trace);
	if (!trace->error)
		trace->error = ret;
	return ret ? error_set_errno(err, ret, "%s", trace->path) : 0;
}

static void trace_free(struct trace *trace)
{
	if (trace->file)
		(void)fclose(trace->file);
	pending_destroy(&trace->seen);
	pthread_mutex_destroy(&trace->mutex);
	free(trace->list);
	free(trace->writing);
	free(trace->path);
	free(trace);
}

/* On a worker thread. */
static int open_file(void *arg)
{
	struct trace *trace = arg;

	trace->file = fopen(trace->path, "wxe");
	if (!trace->file)
		return -errno;
	return fprintf(trace->file, TRACE_MAGIC "\n") < 0 ? -EIO : 0;
}

int trace_co_start(struct blk_node *node, const char *path, struct error *err)
{
	uint64_t size = atomic_load(&node->size);
	uint32_t cluster = node->cluster_size ? node->cluster_size : 64 * KiB;
	struct populate *p = populate_of(node);
	struct trace *trace = p ? p->trace : NULL;
	int ret;

	if (!p)
		return error_set(err, -ENOTSUP, "%s: its reads cannot be traced", node->filename);
	if (trace)
		return error_set(err, -EBUSY, "a trace is recorded already, to %s", trace->path);
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return error_set_errno(err, -ENOMEM, "%s", path);
	pthread_mutex_init(&trace->mutex, NULL);
	trace->cluster_size = cluster;
	trace->path = strdup(path);
	trace->list = calloc(LIST_ROOM, sizeof(*trace->list));
	trace->writing = calloc(LIST_ROOM, sizeof(*trace->writing));
	if (!trace->path || !trace->list || !trace->writing ||
	    pending_init(&trace->seen, div_round_up(size, cluster)))
		ret = -ENOMEM;
	else
		ret = aio_co_call(open_file, trace);
	if (ret) {
		trace_free(trace);
		return error_set_errno(err, ret, "%s", path);
	}
	p->trace = trace;
	/* Last: a reader that sees this sees the trace. */
	atomic_store_explicit(&p->filter.watches, true, memory_order_release);
	return 0;
}

static int write_rest(void *arg)
{
	struct trace *trace = arg;
	int ret = write_run(trace), closed = fclose(trace->file) ? -errno : 0;

	trace->file = NULL;
	return ret ? ret : closed;
}

int trace_co_stop(struct blk_node *node, uint64_t *lost, struct error *err)
{
	struct populate *p = populate_of(node);
	struct trace *trace = p ? p->trace : NULL;
	int ret, rest;

	*lost = 0;
	if (!trace)
		return error_set(err, -ENOENT, "no trace is recorded");
	(void)trace_co_write(node, NULL);
	p->filter.watches = false;
	p->trace = NULL;
	/* A reader that has loaded the pointer is in flight. */
	blk_co_wait_requests(node);
	trace->nr_writing = trace->nr;
	memcpy(trace->writing, trace->list, trace->nr * sizeof(*trace->list));
	rest = aio_co_call(write_list, trace);
	if (!rest)
		rest = aio_co_call(write_rest, trace);
	ret = trace->error ? trace->error : rest;
	if (ret)
		error_set_errno(err, ret, "%s", trace->path);
	*lost = trace->lost;
	trace_free(trace);
	return ret;
}

void trace_abandon(struct populate *p)
{
	if (p->trace)
		trace_free(p->trace);
	p->trace = NULL;
}

/* ---- Reading ---- */

/* Parse a line.  A comment or an empty line returns 0 with @range->bytes 0. */
static int parse_line(const char *line, struct trace_range *range)
{
	char *end;

	*range = (struct trace_range){ 0 };
	line += strspn(line, " \t");
	if (!*line || *line == '#' || *line == '\n')
		return 0;
	if (*line < '0' || *line > '9')
		return -EINVAL;
	errno = 0;
	range->offset = strtoull(line, &end, 10);
	end += strspn(end, " \t");
	if (errno || *end < '0' || *end > '9')
		return -EINVAL;
	range->bytes = strtoull(end, &end, 10);
	end += strspn(end, " \t\r\n");
	if (errno || *end || range->bytes > UINT64_MAX - range->offset)
		return -EINVAL;
	return 0;
}

struct range_list {
	struct trace_range *ranges;
	size_t nr, room;
};

static int add_range(struct range_list *list, const struct trace_range *range)
{
	if (list->nr == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct trace_range *more = reallocarray(list->ranges, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->ranges = more;
		list->room = room;
	}
	list->ranges[list->nr++] = *range;
	return 0;
}

static int read_lines(FILE *file, const char *path, struct range_list *list, struct error *err)
{
	char line[256];
	struct trace_range range;
	unsigned long number = 1;
	int ret;

	if (!fgets(line, sizeof(line), file) || strcmp(line, TRACE_MAGIC "\n"))
		return error_set(err, -EINVAL, "%s: not a trace: its first line is not '%s'", path,
				 TRACE_MAGIC);
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (parse_line(line, &range))
			return error_set(err, -EINVAL,
					 "%s: line %lu: not an offset and a length in bytes", path,
					 number);
		ret = range.bytes ? add_range(list, &range) : 0;
		if (ret)
			return error_set_errno(err, ret, "%s", path);
	}
	return ferror(file) ? error_set_errno(err, -EIO, "%s", path) : 0;
}

int trace_read(const char *path, struct trace_range **ranges, size_t *nr, struct error *err)
{
	/* O_NONBLOCK: opening a FIFO would wait for a writer, maybe for ever. */
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct range_list list = { 0 };
	struct stat st;
	FILE *file;

	if (fd < 0 || fstat(fd, &st))
		ret = error_set_errno(err, -errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		ret = error_set(err, -EINVAL, "%s: not a regular file", path);
	else
		ret = 0;
	file = ret ? NULL : fdopen(fd, "r");
	if (!ret && !file)
		ret = error_set_errno(err, -errno, "%s", path);
	if (ret) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
	ret = read_lines(file, path, &list, err);
	(void)fclose(file);
	if (ret) {
		free(list.ranges);
		return ret;
	}
	*ranges = list.ranges;
	*nr = list.nr;
	return 0;
}
