/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the commands of qed-io share: the image that is open, the row that a
 * command is, and how arguments are read and results printed.
 */
#ifndef QEDBLK_QED_IO_IO_H
#define QEDBLK_QED_IO_IO_H

#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "aio/lock.h"
#include "aio/loop.h"
#include "block/node.h"
#include "common/image.h"

/* The longest request, in bytes. */
#define IO_MAX_REQUEST UINT64_C(2147483136)

/* Which image is, or is to be, opened, and how. */
struct io_open {
	const char *filename; /* NULL: the options say it */
	const char *format; /* NULL: probe */
	const struct blk_options *options; /* what else is said of it, or NULL */
	bool read_only, snapshot, copy_on_read, force_share, discard_ignore;
	bool native_aio; /* asked for, which QEMU takes with O_DIRECT only */
	struct image_cache cache;
};

struct io_request_kind; /* request.h */

/* A request that waits to be told of; on its coroutine's stack. */
struct io_done {
	struct co *co;
	struct io_done *next;
};

struct io_session {
	struct blk_node *node; /* NULL: none is open */
	/* How it was opened, or the last one was.  What it points to is what follows (heap). */
	struct io_open open;
	char *filename, *format;
	struct blk_options *options;

	struct co_mutex changing; /* held while @node is opened or closed */
	pthread_mutex_t mutex; /* of what follows */
	unsigned int in_flight; /* asynchronous requests */
	struct co_queue idle; /* waiting for them all */

	/*
	 * Requests that are done, but not told of yet: nothing is told while a command runs
	 * that does no I/O in qemu-io.  The last one is told of first, as there.
	 */
	struct io_done *done;
	bool holding; /* such a command runs */
	bool written; /* since the last flush */

	bool running; /* a command that uses @node */
	bool image_opts; /* open takes options in the place of a path */
	bool misalign; /* buffers are, as far as memory may be for direct I/O */
	bool quit;
};

enum io_command_flags {
	IO_NO_FILE = 1 << 0, /* needs no open image */
	IO_WRITE = 1 << 1, /* needs one that is open for writing */
	IO_LOOKS = 1 << 2, /* tells what is in the image */
	IO_HOLDS = 1 << 3, /* does no I/O in qemu-io: see io_session.holding */
};

struct io_command {
	const char *name, *altname; /* the latter may be NULL */
	const char *args; /* for help; NULL: none */
	const char *summary; /* one line */
	const char *text; /* more help, lines each ending in '\n', or NULL */
	const char *example; /* or NULL */
	int argmin, argmax; /* of arguments after the name; argmax -1: no limit */
	unsigned int flags;
	const struct io_request_kind *request; /* it is a read or a write of that kind, or NULL */
	/* Otherwise this runs, in a coroutine.  Returns 0, or -errno after a complaint. */
	int (*co_run)(struct io_session *io, int argc, char **argv);
};

/* The rows stand in the files of their commands; commands.c lists them. */
extern const struct io_command io_abort_command;
extern const struct io_command io_aio_flush_command;
extern const struct io_command io_aio_read_command;
extern const struct io_command io_aio_write_command;
extern const struct io_command io_alloc_command;
extern const struct io_command io_break_command;
extern const struct io_command io_close_command;
extern const struct io_command io_discard_command;
extern const struct io_command io_flush_command;
extern const struct io_command io_help_command;
extern const struct io_command io_info_command;
extern const struct io_command io_length_command;
extern const struct io_command io_map_command;
extern const struct io_command io_open_command;
extern const struct io_command io_quit_command;
extern const struct io_command io_read_command;
extern const struct io_command io_readv_command;
extern const struct io_command io_remove_break_command;
extern const struct io_command io_reopen_command;
extern const struct io_command io_resume_command;
extern const struct io_command io_sigraise_command;
extern const struct io_command io_sleep_command;
extern const struct io_command io_truncate_command;
extern const struct io_command io_wait_break_command;
extern const struct io_command io_write_command;
extern const struct io_command io_writev_command;

/* commands.c */

/* The @index'th command in order of their names, or NULL. */
const struct io_command *io_command_get(size_t index);
const struct io_command *io_command_find(const char *name);
/* Print its line of help, as a command called @name. */
void io_print_synopsis(const struct io_command *command, const char *name);
/* The same; returns -EINVAL, for `return io_usage(...)`. */
int io_usage(const struct io_command *command);
/* Run one line.  Returns 0, or a negative errno after a complaint.  @line is taken apart. */
int io_co_run_line(struct io_session *io, char *line);

/* request.c */

/*
 * Run a read or a write.  Returns 0, or a negative errno after a complaint; of an
 * asynchronous one, whether it could be started.  Coroutine.
 */
int io_request_co_run(struct io_session *io, const struct io_command *command, int argc,
		      char **argv);

/* session.c */

void io_session_init(struct io_session *io);
void io_session_destroy(struct io_session *io);
/* Open an image; -EEXIST after a complaint when there is one open. */
int io_session_co_open(struct io_session *io, const struct io_open *how);
/* Wait for what is in flight, then close it.  Without one, nothing. */
int io_session_co_close(struct io_session *io);
/*
 * Make what was written so far outlive the process: close the image, or where a command is at
 * work on it flush it.  No command begins any more.  For another coroutine than that of the
 * commands; waits for an open or a close that is under way.
 */
void io_session_co_save(struct io_session *io);
/* Count an asynchronous request; wait for all. */
void io_session_begin(struct io_session *io);
void io_session_end(struct io_session *io);
void io_session_co_drain(struct io_session *io);
/* Of a request that is done: park until it may be told of.  @returned: its command is over. */
void io_session_co_wait_told(struct io_session *io, bool returned);
/* From now on they may, or (@holding) not. */
void io_session_tell(struct io_session *io, bool holding);
/* Flags that every write of this session has. */
unsigned int io_session_write_flags(const struct io_session *io);
/* Flush, unless the cache mode leaves flushes out. */
int io_session_co_flush(struct io_session *io);

/* snapshot.c */

/*
 * Make and open a temporary image on top of the one that @how names; it goes away with its
 * last user.  @flags: BLK_O_*.  Coroutine.
 */
int io_snapshot_co_open(struct blk_node **node, const struct io_open *how, unsigned int flags,
			struct error *err);

/* args.c: each returns 0, or -EINVAL after a complaint. */

/* A size or offset in bytes. */
int io_parse_bytes(const char *text, uint64_t *bytes);
/* The same, which a complaint calls @shown. */
int io_parse_bytes_as(const char *text, const char *shown, uint64_t *bytes);
int io_parse_pattern(const char *text, int *pattern);
/* -t, -d: as QEMU's tools name them. */
int io_parse_cache(const char *text, struct image_cache *cache);
int io_parse_discard(const char *text, bool *ignore);
/* -i: what kernel interface to use, which is no choice here.  Only ever sets *@native. */
int io_parse_aio(const char *text, bool *native);
/* NAME=VALUE,...: *@options (NULL at first; heap), where they win over what is in it. */
int io_parse_options(const char *text, struct blk_options **options);

/* print.c */

/* How a result is shown. */
struct io_show {
	bool quiet; /* not at all */
	bool machine; /* as numbers, separated by commas */
	bool dump; /* with the bytes that were read */
};

/* "1.500 KiB", "512 bytes". */
char *io_format_bytes(char *buf, size_t len, double bytes);
/* What @op ("read") did in @ns nanoseconds: @done of @asked bytes at @offset. */
void io_print_report(const char *op, uint64_t ns, uint64_t offset, uint64_t asked, uint64_t done,
		     const struct io_show *show);
/* @buf in hexadecimal, as from @offset on. */
void io_print_dump(const uint8_t *buf, uint64_t len, uint64_t offset);

/* A line on standard error, in order with others there: "PROGRAM: ...". */
void io_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same of @err, which is given back. */
void io_error_free(struct error *err);

/* input.c: each is the next line without its newline (heap), or NULL at the end. */

/* Of standard input, which is no terminal. */
char *io_co_read_line(void);

/* prompt.c */

/* A line that is typed and edited.  Where there is no memory, or no terminal, as above. */
char *io_prompt_co_read_line(void);
/* Give the terminal back as it was found.  Any thread; also in front of the end by a signal. */
void io_prompt_restore(void);
void io_prompt_free(void);

/* signals.c */

/*
 * From now on SIGINT, SIGTERM and SIGHUP end the program only after what was written is
 * in the image.  Called once, in front of other threads.
 */
void io_signals_init(struct io_session *io);
/* The session runs on this loop; it is over.  The latter does not return after a signal. */
void io_signals_begin(struct aio_loop *loop);
void io_signals_co_end(void);
/* raise(3), with no such care. */
void io_signals_raise(int number);

/* buffer.c */

/* A buffer of @bytes bytes of value @fill for direct I/O; NULL after a complaint. */
void *io_buffer(const struct io_session *io, uint64_t bytes, int fill);
void io_buffer_free(const struct io_session *io, void *buf);

/* Let others run that are runnable. */
static inline void io_co_yield(void)
{
	co_wake(co_self());
	co_park();
}

#endif
