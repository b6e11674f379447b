// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of qed-io, one per line, on an image in a scratch directory, which is the working
 * directory.
 *
 * A line that could name a file elsewhere or another host, send a signal, or take long because of
 * its numbers is not run; only its numbers are parsed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "fuzz.h"
#include "qed-io/command.h"
#include "qed-io/text.h"
#include "util/units.h"

#define MAX_LINES  12
#define MAX_NUMBER (1 * MiB)
#define IMAGE	   "image.qed"
#define IMAGE_FD   900
#define IMAGE_LINK "/proc/self/fd/900"
#define IMAGE_SIZE (4 * MiB)

static uint8_t template[FUZZ_MAX_BYTES];
static ssize_t template_size;

/* Limit the file size to what a loop of writes at such offsets needs. */
static void begin(void)
{
	const struct rlimit limit = { 64 * MiB, 64 * MiB };

	report_program("qed-io");
	fuzz_require(!chdir(fuzz_scratch()), "no scratch folder");
	signal(SIGXFSZ, SIG_IGN);
	fuzz_require(!setrlimit(RLIMIT_FSIZE, &limit), "no limit");
}

/* Return whether the numbers of a word such as "4k", "-P7", or "1,2" are small. */
static bool is_small(const char *word)
{
	uint64_t bytes;
	int pattern;

	(void)io_parse_pattern(word, &pattern);
	for (; *word; word++)
		if (!io_parse_bytes(word, &bytes) && bytes > MAX_NUMBER)
			return false;
	return true;
}

static bool may_run(const char *line)
{
	static const char *const without[] = { "/",	"\\",	  ":",	   "host",
					       "path",	"server", "abort", "sigraise",
					       "sleep", "quit",	  "q " };
	char *copy, *word, *save;
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		if (strstr(line, without[i]))
			return false;
	copy = strdup(line);
	fuzz_require(copy, "no memory");
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		good = is_small(word) && good;
	free(copy);
	return good;
}

/* The image is in memory; the scratch directory has a link to it. */
static void co_make_template(void *arg)
{
	const struct blk_create_opts opts = {
		.filename = IMAGE,
		.format = "qed",
		.size = IMAGE_SIZE,
		.cluster_size = FUZZ_QED_CLUSTER,
	};
	int fd;

	(void)arg;
	fuzz_require(!blk_co_create(&opts, NULL), "no image");
	fd = open(IMAGE, O_RDONLY | O_CLOEXEC);
	template_size = read(fd, template, sizeof(template));
	fuzz_require(template_size > 0 && !close(fd) && !unlink(IMAGE) &&
			     !symlink(IMAGE_LINK, IMAGE),
		     "no image to copy");
	fd = fuzz_memfd("image", "", 0);
	fuzz_require(dup2(fd, IMAGE_FD) == IMAGE_FD && !close(fd), "no descriptor");
}

static ssize_t copy_template(void)
{
	return pwrite(IMAGE_FD, template, (size_t)template_size, 0);
}

static void co_run(void *arg)
{
	const struct io_open how = { .filename = IMAGE, .format = "qed" };
	struct io_session *io = calloc(1, sizeof(*io));
	char *line, *save;
	int lines = 0;

	fuzz_require(io, "no memory");
	fuzz_require(!ftruncate(IMAGE_FD, 0) && copy_template() == template_size, "no image");
	io_session_init(io);
	fuzz_require(!io_session_co_open(io, &how), "the image cannot be opened");
	for (line = strtok_r(arg, "\n", &save); line && lines++ < MAX_LINES;
	     line = strtok_r(NULL, "\n", &save))
		if (may_run(line))
			(void)io_co_run_line(io, line);
	(void)io_session_co_close(io);
	io_session_destroy(io);
	free(io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	char *text = fuzz_text(data, size);

	if (!begun) {
		begin();
		fuzz_run_co(co_make_template, NULL);
	}
	begun = true;
	fuzz_quiet(true);
	fuzz_run_co(co_run, text);
	fuzz_quiet(false);
	free(text);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	static const char *const seeds[] = {
		"write -P 7 4k 64k\nread -P 7 -v 4k 512\nread -l 8 -s 4 -P 0 0 1k\nflush\nmap\n",
		"aio_write -z -u 0 64k\naio_read -q -C 512 512\naio_flush\nalloc 0 512k\nlength\n",
		"writev -P 0xff 0 512 512 1024\nreadv -v 0 100 200\ndiscard 0 64k\ninfo\nhelp\n",
		"truncate 1M\nclose\nopen -r image.qed\nread 0 512\nreopen -o read-only=off\n",
		"open -o driver=qed,file.filename=image.qed,read-only=on\nwrite -f -n 1 2\nhelp\n",
		"write -s image.qed 0 4k\nbreak a b\nresume b\nwait_break b\nremove_break b\n",
		"close\nopen -s -n -U -C -t writeback -d unmap image.qed\nwrite -c 0 64k\n",
		"write -b 0 1\nread -p 0 1\nwrite -P 300 0 1\nread 0 -1\nread 8E 1\nmap -\n",
	};

	return fuzz_seed_text(seeds, ARRAY_SIZE(seeds), n, buf);
}
