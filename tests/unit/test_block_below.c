// SPDX-License-Identifier: GPL-2.0
/*
 * Restricting backing files to a directory: all kinds of names, also while they
 * change.
 */
#include "test_block_common.h"

#include <sched.h>

/* Files outside and inside have different sizes, which shows which one was opened. */
#define GOOD_SIZE 4096u
#define EVIL_SIZE 8192u

static void make_tree(void)
{
	int fd;

	CHECK(mkdir(scratch("dir"), 0755) == 0);
	CHECK(mkdir(scratch("dir/sub"), 0755) == 0);
	CHECK(mkdir(scratch("dir-more"), 0755) == 0);
	CHECK(mkdir(scratch("out"), 0755) == 0);
	make_file(scratch("dir/good"), "g", 1, GOOD_SIZE);
	make_file(scratch("dir/sub/good"), "g", 1, GOOD_SIZE);
	make_file(scratch("dir/sub/evil"), "g", 1, GOOD_SIZE); /* evil by its name only */
	make_file(scratch("out/evil"), "e", 1, EVIL_SIZE);
	make_file(scratch("dir-more/evil"), "e", 1, EVIL_SIZE);
	CHECK(symlink("good", scratch("dir/link-good")) == 0);
	CHECK(symlink("../out/evil", scratch("dir/link-evil")) == 0);
	CHECK(symlink("../out", scratch("dir/link-out")) == 0);
	CHECK(symlink("../dir/sub", scratch("out/link-sub")) == 0);
	CHECK(symlink("link-self", scratch("dir/link-self")) == 0);
	CHECK(symlink("dir", scratch("link-dir")) == 0);
	CHECK(mkfifo(scratch("dir/fifo"), 0644) == 0);
	CHECK(mkfifo(scratch("out/fifo"), 0644) == 0);
	fd = open(scratch("dir/gone"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && close(fd) == 0 && unlink(scratch("dir/gone")) == 0);
}

/* Open @name below @dir; returns its size, or a negative errno with a line that names the file. */
static int64_t open_below(const char *name, const char *dir)
{
	struct error err = ERROR_INIT;
	struct blk_file *file;
	int64_t size;
	int ret = blk_file_co_open_below(&file, name, dir, 0, &err);

	if (ret) {
		CHECK(err.code == ret);
		CHECK(!strncmp(error_text(&err), name, strlen(name)));
		error_free(&err);
		return ret;
	}
	size = (int64_t)atomic_load(&file->size);
	blk_file_co_close(file);
	return size;
}

static void names(void *arg)
{
	static const struct {
		const char *name;
		int64_t want;
	} cases[] = {
		{ "dir/good", GOOD_SIZE },
		{ "dir/sub/../good", GOOD_SIZE },
		{ "dir/link-good", GOOD_SIZE },
		{ "out/link-sub/good", GOOD_SIZE }, /* the file's place counts, not its name */
		{ "link-dir/good", GOOD_SIZE },
		{ "out/evil", -EPERM },
		{ "dir/../out/evil", -EPERM },
		{ "dir/sub/../../out/evil", -EPERM },
		{ "dir/link-evil", -EPERM },
		{ "dir/link-out/evil", -EPERM },
		{ "dir-more/evil", -EPERM },
		{ "dir", -EPERM }, /* a directory is not below itself */
		{ "out", -EPERM },
		{ "out/fifo", -EPERM },
		{ "dir/fifo", -EINVAL },
		{ "dir/sub", -EISDIR },
		{ "dir/link-self", -ELOOP },
		{ "dir/gone", -ENOENT },
		{ "dir/good/", -ENOTDIR },
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t got = open_below(scratch(cases[i].name), scratch("dir"));

		if (got != cases[i].want)
			print_error("%s: %lld\n", cases[i].name, (long long)got);
		CHECK(got == cases[i].want);
	}
	/* The directory by another name, and the root. */
	CHECK(open_below(scratch("dir/good"), scratch("link-dir")) == GOOD_SIZE);
	CHECK(open_below(scratch("dir/good"), scratch("dir/sub/..")) == GOOD_SIZE);
	CHECK(open_below(scratch("out/evil"), "/") == EVIL_SIZE);
	CHECK(open_below(scratch("dir/good"), scratch("none")) == -ENOENT);
	CHECK(open_below(scratch("dir/good"), scratch("dir/good")) == -ENOTDIR);
}

static void strange(void *arg)
{
	static const char *const outside[] = {
		"/dev/zero",
		"/dev/null",
		"/proc/self/mem",
		"/proc/self/exe",
		"/etc/passwd",
		"nbd://localhost/x",
		"nbd+unix:///?socket=/tmp/x",
	};
	char name[64];
	int fd, fds[2];

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		CHECK(open_below(outside[i], scratch("dir")) == -EPERM);
	/* Through a descriptor of this process: the place of its file counts. */
	fd = open(scratch("out/evil"), O_RDONLY | O_CLOEXEC);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(fd >= 0 && open_below(name, scratch("dir")) == -EPERM && close(fd) == 0);
	fd = open(scratch("dir/good"), O_RDONLY | O_CLOEXEC);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(fd >= 0 && open_below(name, scratch("dir")) == GOOD_SIZE && close(fd) == 0);
	CHECK(pipe(fds) == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fds[0]);
	CHECK(open_below(name, scratch("dir")) == -EPERM);
	CHECK(open_below(name, "/") < 0);
	CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
}

/* ---- a name that changes while it is opened ---- */

static _Atomic bool stop;

/* Paths that two threads use; set before they start. */
static struct {
	char new[512], swap[512], turn[512], through[512], dir[512];
} paths;

static void set_paths(void)
{
	snprintf(paths.new, sizeof(paths.new), "%s", scratch("dir/new"));
	snprintf(paths.swap, sizeof(paths.swap), "%s", scratch("dir/swap"));
	snprintf(paths.turn, sizeof(paths.turn), "%s", scratch("dir/turn"));
	snprintf(paths.through, sizeof(paths.through), "%s", scratch("dir/turn/evil"));
	snprintf(paths.dir, sizeof(paths.dir), "%s", scratch("dir"));
}

/* "dir/swap" points inside and outside in turn, and so does "dir/turn", a directory on the path. */
static void *swap(void *arg)
{
	static const char *const targets[][2] = { { "good", "sub" }, { "../out/evil", "../out" } };

	(void)arg;
	while (!atomic_load(&stop)) {
		for (int i = 0; i < 2; i++) {
			CHECK(symlink(targets[i][0], paths.new) == 0);
			CHECK(rename(paths.new, paths.swap) == 0);
			CHECK(symlink(targets[i][1], paths.new) == 0);
			CHECK(rename(paths.new, paths.turn) == 0);
			sched_yield();
		}
	}
	return NULL;
}

static void opens_while_swapped(void *arg)
{
	unsigned int good = 0, refused = 0;

	(void)arg;
	for (int i = 0; i < 100000 && (i < 3000 || !good || !refused); i++) {
		int64_t got = open_below(i & 1 ? paths.swap : paths.through, paths.dir);

		CHECK(got == GOOD_SIZE || got == -EPERM || got == -ENOENT);
		good += got == GOOD_SIZE;
		refused += got < 0;
	}
	CHECK(good && refused);
}

/* ---- chains ---- */

static void make_qed(const char *name, const char *backing)
{
	struct error err = ERROR_INIT;
	struct blk_create_opts opts = {
		.filename = scratch(name),
		.format = "qed",
		.size = MiB,
		.backing_file = backing,
		.backing_format = backing && strstr(backing, ".qed") ? NULL : "raw",
	};

	if (blk_co_create(&opts, &err)) {
		print_error("%s\n", error_text(&err));
		abort();
	}
}

static int open_image(const char *name, const char *dir, unsigned int flags)
{
	struct error err = ERROR_INIT;
	struct blk_open_opts opts = { .format = "qed", .flags = flags, .backing_dir = dir };
	struct blk_node *node;
	int ret = blk_co_open(&node, scratch(name), &opts, &err);

	error_free(&err);
	return ret ? ret : blk_co_close(node);
}

static void chains(void *arg)
{
	char evil[512], middle[512], words[1200];

	(void)arg;
	snprintf(evil, sizeof(evil), "%s", scratch("out/evil"));
	snprintf(middle, sizeof(middle), "%s", scratch("dir/middle.qed"));
	make_qed("out/none.qed", NULL);
	make_qed("out/one.qed", "../dir/good");
	make_qed("out/bad.qed", evil);
	make_qed("dir/middle.qed", "sub/good");
	make_qed("out/two.qed", "../dir/middle.qed");
	make_qed("dir/sub/leads-out.qed", "../link-evil");
	make_qed("out/deep.qed", "../dir/sub/leads-out.qed");
	make_qed("out/net.qed", "nbd://localhost/x");
	snprintf(words, sizeof(words), "json:{\"driver\":\"raw\",\"file.filename\":\"%s\"}", evil);
	make_qed("out/words.qed", words);
	snprintf(words, sizeof(words),
		 "json:{\"driver\":\"qed\",\"file.filename\":\"%s\",\"backing.driver\":\"raw\","
		 "\"backing.file.filename\":\"%s\"}",
		 middle, evil);
	make_qed("out/over.qed", words);
	make_qed("out/json-net.qed", "json:{\"file.driver\":\"nbd\",\"file.host\":\"localhost\"}");

	/* The image itself is named by the user, and may be anywhere. */
	CHECK(open_image("out/none.qed", scratch("dir"), BLK_O_RDWR) == 0);
	CHECK(open_image("out/one.qed", scratch("dir"), BLK_O_RDWR) == 0);
	CHECK(open_image("out/two.qed", scratch("dir"), BLK_O_RDWR) == 0);
	CHECK(open_image("out/bad.qed", NULL, BLK_O_RDWR) == 0);
	CHECK(open_image("out/bad.qed", scratch("dir"), BLK_O_RDWR) == -EPERM);
	CHECK(open_image("out/deep.qed", NULL, 0) == 0);
	CHECK(open_image("out/deep.qed", scratch("dir"), 0) == -EPERM);
	CHECK(open_image("out/net.qed", scratch("dir"), 0) == -EPERM);
	/* Nor by options in a json: name in the header. */
	CHECK(open_image("out/words.qed", NULL, 0) == 0);
	CHECK(open_image("out/words.qed", scratch("dir"), 0) == -EPERM);
	CHECK(open_image("out/over.qed", NULL, 0) == 0);
	CHECK(open_image("out/over.qed", scratch("dir"), 0) == -EPERM);
	CHECK(open_image("out/words.qed", NULL, BLK_O_REFUSE_BACKING) == -EPERM);
	CHECK(open_image("out/json-net.qed", scratch("dir"), 0) == -EPERM);
	/* Except an image that is to become a backing file. */
	CHECK(open_image("out/none.qed", scratch("dir"), BLK_O_BELOW) == -EPERM);
	CHECK(open_image("dir/middle.qed", scratch("dir"), BLK_O_BELOW) == 0);
	/* Refuse any backing file. */
	CHECK(open_image("out/none.qed", NULL, BLK_O_REFUSE_BACKING) == 0);
	CHECK(open_image("out/one.qed", NULL, BLK_O_REFUSE_BACKING) == -EPERM);
}

static void test_swapped(void **state)
{
	pthread_t thread;

	(void)state;
	set_paths();
	CHECK(pthread_create(&thread, NULL, swap, NULL) == 0);
	run_co(32, opens_while_swapped, NULL);
	atomic_store(&stop, true);
	CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(names),
		CO_TEST(strange),
		cmocka_unit_test(test_swapped),
		CO_TEST(chains),
	};

	make_tree();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
