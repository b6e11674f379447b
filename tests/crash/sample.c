// SPDX-License-Identifier: GPL-2.0
/*
 * More expensive checks of some crash images: QEMU's checks, and continuing with the
 * image: opening it for writing, which finds leaked clusters and reuses them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aio/sys.h"
#include "block/io.h"
#include "crash.h"

extern char **environ;

struct command {
	const char *const *argv;
	int status; /* exit status, or -1 */
};

/* Run a program with its output discarded. On a worker thread. */
static int run_command(void *arg)
{
	struct command *command = arg;
	posix_spawn_file_actions_t actions;
	int ret, status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	ret = posix_spawnp(&pid, command->argv[0], &actions, NULL, (char *const *)command->argv,
			   environ);
	posix_spawn_file_actions_destroy(&actions);
	command->status = -1;
	if (ret)
		return -ret;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status))
		command->status = WEXITSTATUS(status);
	return 0;
}

static int co_exit_status(const char *const *argv)
{
	struct command command = { .argv = argv };

	if (aio_co_call(run_command, &command)) {
		printf("# cannot run %s\n", argv[0]);
		return -1;
	}
	return command.status;
}

/* Does QEMU read the same content? */
static bool same_as_raw(const struct judge *judge)
{
	const struct geometry *geo = &judge->rec->geo;
	uint8_t *raw = malloc(geo->spot_bytes);
	int fd = open(judge->files->raw, O_RDONLY | O_CLOEXEC);
	bool same = fd >= 0;

	CHECK(raw);
	for (uint32_t spot = 0; same && spot < geo->spots; spot++) {
		ssize_t n = pread(fd, raw, geo->spot_bytes, spot * geo->spot_stride);

		if (geo->least_size && n >= 0) {
			memset(raw + n, 0, geo->spot_bytes - n);
			n = (ssize_t)geo->spot_bytes;
		}
		same = n == (ssize_t)geo->spot_bytes &&
		       !memcmp(raw, judge->content + spot * geo->spot_bytes, geo->spot_bytes);
	}
	if (fd >= 0)
		close(fd);
	free(raw);
	if (!same)
		printf("# QEMU reads something else than we do\n");
	return same;
}

bool sample_co_qemu(struct judge *judge)
{
	const char *image = judge->files->image[FILE_TOP].crash;
	const char *const check[] = { "qemu-img", "check", "-f", "qed", image, NULL };
	const char *const convert[] = { "qemu-img", "convert",	       "-f", "qed", "-O", "raw",
					image,	    judge->files->raw, NULL };
	int status;

	/* QEMU cannot open such images, which the specification allows. */
	if (judge->rec->geo.table_size == 1)
		return true;
	status = co_exit_status(check);
	if (judge->refused && status != 1)
		printf("# qemu-img check does not refuse what is incomplete: %d\n", status);
	if (judge->refused)
		return status == 1;
	if (status != 0 && status != 3) { /* 3: leaks only */
		printf("# qemu-img check: exit status %d\n", status);
		return false;
	}
	status = co_exit_status(convert);
	if (status) {
		printf("# qemu-img convert: exit status %d\n", status);
		return false;
	}
	return same_as_raw(judge);
}

/* The guest's writes to the crash image. */
struct scribble {
	struct blk_node *node;
	const struct geometry *geo;
	uint8_t *content; /* the arena's expected content */
	uint64_t random;
	int ret;
};

static void scribble_once(struct scribble *s)
{
	uint64_t blocks = s->geo->spot_bytes / BLOCK;
	uint64_t spot = next_random(&s->random) % s->geo->spots;
	uint64_t block = next_random(&s->random) % blocks;
	uint64_t bytes = min_u64(1 + next_random(&s->random) % 16, blocks - block) * BLOCK;
	uint64_t offset = spot * s->geo->spot_stride + block * BLOCK;
	uint8_t *content = s->content + spot * s->geo->spot_bytes + block * BLOCK;

	if (next_random(&s->random) % 3) {
		for (uint64_t i = 0; i < bytes; i += SECTOR_SIZE)
			sector_fill(content + i, (offset + i) / SECTOR_SIZE, VERSION_GARBAGE - 1);
		s->ret = blk_co_pwrite(s->node, offset, bytes, content, 0);
	} else {
		memset(content, 0, bytes);
		s->ret = blk_co_pwrite_zeroes(s->node, offset, bytes, BLK_REQ_MAY_UNMAP);
	}
}

static int co_scribble(struct scribble *s, const char *path)
{
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR };
	int ret;

	s->ret = blk_co_open(&s->node, path, &opts, NULL);
	if (s->ret)
		return s->ret;
	if (s->geo->least_size)
		s->ret = blk_co_truncate(s->node, s->geo->size, NULL);
	for (unsigned int i = 0; !s->ret && i < 30; i++) {
		scribble_once(s);
		if (i % 10 == 9)
			aio_co_sleep(2000000); /* let the search for leaks proceed */
	}
	ret = blk_co_close(s->node);
	return s->ret ? s->ret : ret;
}

bool sample_co_writing(struct judge *judge, uint64_t random)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t bytes = arena_sectors(geo) * SECTOR_SIZE;
	uint8_t *again = aligned_alloc(BLOCK, round_up(bytes, BLOCK));
	struct scribble s = { .geo = geo, .content = judge->content, .random = random };
	bool ok = false;
	int ret;

	CHECK(again);
	copy_sparse(judge->files->image[FILE_TOP].crash, judge->files->copy);
	ret = co_scribble(&s, judge->files->copy);
	if (ret)
		printf("# going on with the image fails: %s\n", strerror(-ret));
	else if (!judge_co_read(judge->rec, judge->files->copy, again))
		printf("# that is after going on with the image\n");
	else if (memcmp(again, judge->content, bytes))
		printf("# after going on with the image its contents are wrong\n");
	else
		ok = true;
	free(again);
	return ok;
}
