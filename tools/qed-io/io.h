/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of qed-io's commands: the session with its open image, the definition of
 * a command, parsing of arguments, printing of results.
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
#include "image/image.h"

/* The longest request, in bytes. */
#define IO_MAX_REQUEST UINT64_C(2147483136)

/* An image and how to open it. */
struct io_open {
	const char *filename; /* NULL: named by @options */
	const char *format; /* NULL: probe */
	const struct blk_options *options; /* further options, or NULL */
	bool read_only, snapshot, copy_on_read, force_share, discard_ignore;
	bool native_aio; /* requested; QEMU accepts it only with O_DIRECT */
	struct image_cache cache;
};

struct io_request_kind; /* request.h */

/* A completed request whose result is not printed yet; on its coroutine's stack. */
struct io_done {
	struct co *co;
	struct io_done *next;
};

struct io_session {
	struct blk_node *node; /* NULL: no image is open */
	/* How the image, or the previous one, was opened. Points to the fields below (heap). */
	struct io_open open;
	char *filename, *format;
	struct blk_options *options;

	struct co_mutex changing; /* held while @node is opened or closed */
	pthread_mutex_t mutex; /* protects the fields below */
	unsigned int in_flight; /* asynchronous requests */
	struct co_queue idle; /* coroutines waiting until @in_flight is 0 */

	/*
	 * Completed requests whose results are not printed yet: nothing is printed while a command
	 * runs that does no I/O in qemu-io. The last one is printed first, as there.
	 */
	struct io_done *done;
	bool holding; /* such a command is running */
	bool written; /* since the last flush */

	bool running; /* a command that uses @node is running */
	bool image_opts; /* `open` takes options instead of a path */
	bool misalign; /* misalign buffers, within the limits of direct I/O */
	bool quit;
};

enum io_command_flags {
	IO_NO_FILE = 1 << 0, /* does not need an open image */
	IO_WRITE = 1 << 1, /* needs an image open for writing */
	IO_LOOKS = 1 << 2, /* shows what is allocated in the image */
	IO_HOLDS = 1 << 3, /* does no I/O in qemu-io: see io_session.holding */
};

struct io_command {
	const char *name, *altname; /* the latter may be NULL */
	const char *args; /* for help; NULL: none */
	const char *summary; /* one line */
	const char *text; /* more help, lines each ending in '\n', or NULL */
	const char *example; /* or NULL */
	int argmin, argmax; /* number of arguments after the name; argmax -1: no limit */
	unsigned int flags;
	const struct io_request_kind *request; /* the kind, for reads and writes; else NULL */
	/* Run any other command, in a coroutine. Returns 0, or -errno after an error message. */
	int (*co_run)(struct io_session *io, int argc, char **argv);
};

/* Each is defined in its command's file; commands.c lists them. */
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

/* Return the @index'th command, sorted by name, or NULL. */
const struct io_command *io_command_get(size_t index);
const struct io_command *io_command_find(const char *name);
/* Print a command's line of help, with @name as its name. */
void io_print_synopsis(const struct io_command *command, const char *name);
/* The same; returns -EINVAL, for `return io_usage(...)`. */
int io_usage(const struct io_command *command);
/*
 * Run one command line; modifies @line. Coroutine; yields. Returns 0, or a negative
 * errno after an error message.
 */
int io_co_run_line(struct io_session *io, char *line);

/* request.c */

/*
 * Run a read or a write. Coroutine; yields. Returns 0, or a negative errno after an
 * error message; for an asynchronous one, whether it was started.
 */
int io_request_co_run(struct io_session *io, const struct io_command *command, int argc,
		      char **argv);

/* session.c */

void io_session_init(struct io_session *io);
void io_session_destroy(struct io_session *io);
/*
 * Open an image. Coroutine; yields. Returns 0, or a negative errno after an error
 * message; -EEXIST: one is open already.
 */
int io_session_co_open(struct io_session *io, const struct io_open *how);
/*
 * Wait for requests in flight, then close the image, if one is open. Coroutine;
 * yields. Returns 0, or a negative errno after an error message.
 */
int io_session_co_close(struct io_session *io);
/*
 * Make completed writes durable before the process ends: close the image, or flush it if a
 * command is using it. No command starts afterwards. Called by another coroutine than that of
 * the commands; waits for a running open or close.
 */
void io_session_co_save(struct io_session *io);
/* Count an asynchronous request in and out; yield until none is in flight. */
void io_session_begin(struct io_session *io);
void io_session_end(struct io_session *io);
void io_session_co_drain(struct io_session *io);
/*
 * For a completed request: yield until its result may be printed. @returned: its
 * command has returned.
 */
void io_session_co_wait_told(struct io_session *io, bool returned);
/* Let results be printed from now on, or with @holding not. */
void io_session_tell(struct io_session *io, bool holding);
/* Return the BLK_REQ_* of every write of this session. */
unsigned int io_session_write_flags(const struct io_session *io);
/* Flush, unless the cache mode skips flushes. Coroutine; yields. Returns 0 or a negative errno. */
int io_session_co_flush(struct io_session *io);

/* snapshot.c */

/*
 * Create and open a temporary overlay on the image of @how; its file is already
 * unlinked. @flags: BLK_O_*. Coroutine; yields. Returns 0 or a negative errno with an
 * error line.
 */
int io_snapshot_co_open(struct blk_node **node, const struct io_open *how, unsigned int flags,
			struct error *err);

/* args.c: each returns 0, or -EINVAL after an error message. */

/* Parse a size or offset in bytes. */
int io_parse_bytes(const char *text, uint64_t *bytes);
/* The same, called @shown in error messages. */
int io_parse_bytes_as(const char *text, const char *shown, uint64_t *bytes);
int io_parse_pattern(const char *text, int *pattern);
/* Parse -t and -d, with the names of QEMU's tools. */
int io_parse_cache(const char *text, struct image_cache *cache);
int io_parse_discard(const char *text, bool *ignore);
/* Parse -i, the kernel interface, which has no effect here. Sets *@native, never clears it. */
int io_parse_aio(const char *text, bool *native);
/* Parse NAME=VALUE,... into *@options (NULL at first; heap), overriding what is in it. */
int io_parse_options(const char *text, struct blk_options **options);

/* print.c */

/* How to print a result. */
struct io_show {
	bool quiet; /* not at all */
	bool machine; /* machine-readable: numbers separated by commas */
	bool dump; /* with a dump of the bytes read */
};

/* Write @bytes to @buf as "1.500 KiB" or "512 bytes". Returns @buf. */
char *io_format_bytes(char *buf, size_t len, double bytes);
/* Print the result of @op ("read"): @done of @asked bytes at @offset in @ns nanoseconds. */
void io_print_report(const char *op, uint64_t ns, uint64_t offset, uint64_t asked, uint64_t done,
		     const struct io_show *show);
/* Print @buf in hexadecimal, with offsets from @offset on. */
void io_print_dump(const uint8_t *buf, uint64_t len, uint64_t offset);

/* Print "PROGRAM: ..." on standard error, by report_line(). */
void io_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Print @err's line in the same way, and free it. */
void io_error_free(struct error *err);

/* input.c: each returns the next line without its newline (heap), or NULL at the end; yields. */

/* From standard input, not a terminal. */
char *io_co_read_line(void);

/* prompt.c */

/* From a terminal, with line editing; without memory or a terminal, as above. */
char *io_prompt_co_read_line(void);
/* Restore the terminal's settings. Any thread; also before the end by a signal. */
void io_prompt_restore(void);
void io_prompt_free(void);

/* signals.c */

/*
 * From now on SIGINT, SIGTERM and SIGHUP end the program only after completed writes
 * are saved in the image. Call once, before other threads start.
 */
void io_signals_init(struct io_session *io);
/* The session starts on @loop; the session ends. The latter does not return after a signal. */
void io_signals_begin(struct aio_loop *loop);
void io_signals_co_end(void);
/* raise(3), without saving. */
void io_signals_raise(int number);

/* buffer.c */

/*
 * Return a buffer for direct I/O, of @bytes bytes of value @fill; NULL after an error
 * message. The caller frees it by io_buffer_free().
 */
void *io_buffer(const struct io_session *io, uint64_t bytes, int fill);
void io_buffer_free(const struct io_session *io, void *buf);

/* Let other runnable coroutines run. */
static inline void io_co_yield(void)
{
	co_wake(co_self());
	co_park();
}

#endif
