/* SPDX-License-Identifier: GPL-2.0 */
/* What qedd is told on its command line. */
#ifndef QEDBLK_SERVER_OPTIONS_H
#define QEDBLK_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "block/zero_run.h"
#include "util/error.h"

struct options {
	const char *name;
	const char *image; /* as typed */
	const char *format; /* NULL: probe an image that exists, qed for a new one */
	bool read_only;

	/* For an image that does not exist yet; 0 or NULL: not given. */
	uint64_t size; /* bytes, a multiple of 512 */
	const char *backing; /* as typed */
	const char *backing_format;
	bool no_backing; /* --backing none: an image that has a backing file is refused */
	uint32_t cluster_size; /* bytes */
	uint32_t table_size; /* clusters */

	const char *backing_dir; /* where backing files must lie, as typed; NULL: anywhere */
	enum { COPY_ON_READ_AUTO, COPY_ON_READ_ON, COPY_ON_READ_OFF } copy_on_read;
	bool stream; /* fill the image from its backing file, and let go of that */
	const char *stream_base; /* as typed: what of the backing chain stays; NULL: nothing */
	bool stream_paused; /* it, or the prefetch, begins paused */
	uint64_t speed; /* of the stream, bytes a second; 0: no limit */
	const char *prefetch; /* a trace: what is fetched first; NULL: none */
	bool finish_pending; /* at the end, keep first what was read and is not kept yet */
	enum detect_zeroes detect_zeroes; /* in guests' writes, by the server */
	bool discard; /* pass discards on to the image */
	bool direct; /* O_DIRECT: no cache of the host's between image and disk */
	unsigned int queues, depth;
	uint64_t l2_cache; /* bytes, 0: the default */

	bool recover; /* take over the device of a server of this name that died */
	bool foreground;
	int ready_fd; /* -1: none */
	bool help, version; /* to be printed, and nothing else done */
};

/*
 * Fill @options from a command line; strings stay in @argv.  Returns 0 or
 * -EINVAL with a line that names the option.
 */
int options_parse(struct options *options, int argc, char **argv, struct error *err);

void options_print_help(FILE *to);

#endif
