// SPDX-License-Identifier: GPL-2.0
/*
 * The QED engine with a failure at every point: the Nth allocation, read, write, ... fails, once or
 * from then on.  Each try is a process and a new image.
 *
 *	engine				FAULT_TRIES points of each kind (12; 0: all)
 *	engine KIND:N:ERROR[:on]	this one, in this process
 *
 * SEED selects the workload.  CACHED, for a single try: without O_DIRECT.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults/engine.h"
#include "shared/check.h"
#include "shared/random.h"
#include "util/units.h"

/* Seconds until a try counts as hung. */
#define TIME_LIMIT 120

static void describe(const struct plan *plan, char *text, size_t len)
{
	snprintf(text, len, "%s:%llu:%d%s", inject_names[plan->kind], (unsigned long long)plan->nth,
		 plan->error, plan->on ? ":on" : "");
}

/* Run @plan in a child process, which sends its counts through a pipe. Return whether it passed. */
static bool try_apart(struct plan *plan)
{
	int fds[2], status;
	char text[64];
	pid_t pid;

	CHECK(pipe(fds) == 0);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		alarm(TIME_LIMIT);
		engine_try(plan);
		CHECK(write(fds[1], plan->counts, sizeof(plan->counts)) == sizeof(plan->counts));
		exit(0);
	}
	close(fds[1]);
	if (read(fds[0], plan->counts, sizeof(plan->counts)) != sizeof(plan->counts))
		memset(plan->counts, 0, sizeof(plan->counts));
	close(fds[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	(void)unlink(engine_files.image);
	if (!status)
		return true;
	describe(plan, text, sizeof(text));
	printf("not ok engine: %s with %s, SEED=%llu%s\n", text,
	       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "an error",
	       (unsigned long long)plan->seed, plan->direct ? "" : " CACHED=1");
	fflush(stdout);
	return false;
}

struct failure {
	enum inject_kind kind;
	int error;
	bool on;
};

static const struct failure failures[] = {
	{ INJECT_ALLOC, ENOMEM, false },       { INJECT_ALLOC, ENOMEM, true },
	{ INJECT_READ, EIO, false },	       { INJECT_READ, EIO, true },
	{ INJECT_READ, INJECT_SHORT, false },  { INJECT_READ, EINTR, false },
	{ INJECT_WRITE, EIO, false },	       { INJECT_WRITE, EIO, true },
	{ INJECT_WRITE, ENOSPC, false },       { INJECT_WRITE, ENOSPC, true },
	{ INJECT_WRITE, INJECT_SHORT, false }, { INJECT_FLUSH, EIO, false },
	{ INJECT_FLUSH, EIO, true },	       { INJECT_FALLOCATE, ENOSPC, false },
	{ INJECT_FALLOCATE, ENOSPC, true },    { INJECT_FALLOCATE, EOPNOTSUPP, true },
	{ INJECT_FALLOCATE, EIO, false },      { INJECT_TRUNCATE, ENOSPC, false },
	{ INJECT_TRUNCATE, EIO, true },	       { INJECT_CALL, EIO, false },
};

/* Try a kind of failure at @tries points (0: at each). Return the number of tries that failed. */
static unsigned int try_places(const struct failure *f, unsigned long tries, uint64_t seed)
{
	struct plan plan = { .kind = f->kind, .error = f->error, .on = f->on };
	uint64_t calls, step, nth;
	unsigned int bad = 0, done = 0;
	char text[64];

	/* A run without a failure counts the calls. */
	plan.seed = seed;
	plan.direct = true;
	bad += !try_apart(&plan);
	calls = plan.counts[f->kind];
	step = tries && calls > tries ? calls / tries : 1;
	for (nth = 1 + seed % step; nth <= calls && bad < 5; nth += step) {
		plan.nth = nth;
		plan.seed = tries ? mix64(seed + nth) : seed;
		plan.direct = nth / step % 4 != 3;
		bad += !try_apart(&plan);
		done++;
	}
	plan.nth = 0;
	describe(&plan, text, sizeof(text));
	if (!bad)
		printf("ok engine %s: %u places of %llu\n", text, done, (unsigned long long)calls);
	fflush(stdout);
	return bad;
}

static void end_folder(const char *dir)
{
	(void)unlink(engine_files.image);
	(void)unlink(engine_files.backing);
	(void)rmdir(dir);
}

/* Run KIND:N:ERROR[:on], the form in which a failed try is printed. */
static int try_one(const char *text, uint64_t seed)
{
	struct plan plan = { .seed = seed, .direct = !getenv("CACHED") };
	char name[16] = "", on[4] = "";
	unsigned long long nth = 0;

	CHECK(sscanf(text, "%15[^:]:%llu:%d:%3s", name, &nth, &plan.error, on) >= 3);
	while (plan.kind < INJECT_KINDS && strcmp(name, inject_names[plan.kind]))
		plan.kind++;
	CHECK(plan.kind < INJECT_KINDS);
	plan.nth = nth;
	plan.on = *on;
	engine_try(&plan);
	printf("ok engine %s\n", text);
	return 0;
}

int main(int argc, char **argv)
{
	const char *base = getenv("TMPDIR"), *given = getenv("SEED"), *all = getenv("FAULT_TRIES");
	uint64_t seed;
	const char *sanitizer = getenv("QEDBLK_SANITIZE");
	unsigned long tries = sanitizer && *sanitizer ? 2 : 12;
	char dir[PATH_MAX / 2];
	unsigned int bad = 0;
	int ret = 0;

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20;
	if (all)
		tries = strtoul(all, NULL, 0);
	snprintf(dir, sizeof(dir), "%s/qedblk-faults-XXXXXX", base ? base : "/var/tmp");
	CHECK(mkdtemp(dir));
	snprintf(engine_files.image, sizeof(engine_files.image), "%s/image.qed", dir);
	snprintf(engine_files.backing, sizeof(engine_files.backing), "%s/backing.raw", dir);
	printf("# SEED=%llu\n", (unsigned long long)seed);
	if (argc > 1 && strchr(argv[1], ':')) {
		ret = try_one(argv[1], seed);
	} else {
		for (unsigned int i = 0; i < ARRAY_SIZE(failures); i++)
			bad += try_places(&failures[i], tries, seed);
	}
	end_folder(dir);
	return bad ? 1 : ret;
}
