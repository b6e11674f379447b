// SPDX-License-Identifier: GPL-2.0
/*
 * A damaged rescue file: a successor refuses it with a line, and leaves the image as it is.
 */
#include "test_qed_common.h"

#include <sys/wait.h>

#include "format/qed/rescue.c"

#define CLUSTER (64 * KiB)

struct test {
	struct scratch scratch;
	char rescue[PATH_MAX];
	struct error err;
	int ret;
};

static int open_image(struct test *t, struct blk_node **node, bool replay)
{
	struct blk_rescue rescue = { .replay = replay };
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR, .rescue = &rescue };
	int ret;

	rescue.fd = open(t->rescue, O_RDWR | O_CREAT, 0600);
	CHECK(rescue.fd >= 0);
	ret = blk_co_open(node, t->scratch.image, &opts, &t->err);
	close(rescue.fd);
	return ret;
}

/* Write, and end without a flush or a close. */
static void die(void *arg)
{
	struct blk_create_opts opts = { .format = "qed", .size = 64 * MiB };
	struct test *t = arg;
	static uint8_t buf[CLUSTER];
	struct blk_node *node;

	opts.filename = t->scratch.image;
	CHECK(blk_co_create(&opts, NULL) == 0);
	CHECK(open_image(t, &node, false) == 0);
	CHECK(blk_co_pwrite(node, 0, CLUSTER, buf, 0) == 0);
	_exit(0);
}

static void succeed(void *arg)
{
	struct test *t = arg;
	struct blk_node *node;

	t->ret = open_image(t, &node, true);
	if (!t->ret)
		CHECK(blk_co_close(node) == 0);
}

static void run(void (*damage)(struct qed_rescue_area *area), int ret, const char *line)
{
	struct test t = { .err = ERROR_INIT };
	struct qed_rescue_area *area;
	int fd, status;
	pid_t pid;

	scratch_make(&t.scratch);
	snprintf(t.rescue, sizeof(t.rescue), "%s/rescue", t.scratch.dir);
	pid = fork();
	if (!pid)
		run_co(64, die, &t);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	fd = open(t.rescue, O_RDWR);
	CHECK(fd >= 0);
	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(area != MAP_FAILED && area->table_head == area->table_tail + 1);
	damage(area);
	munmap(area, sizeof(*area));
	close(fd);
	/* In a process of its own, too: the worker threads of a loop do not survive a fork. */
	pid = fork();
	if (!pid) {
		run_co(64, succeed, &t);
		if (t.ret == ret && (!ret || strstr(error_text(&t.err), line)))
			_exit(0);
		fprintf(stderr, "%d, %s\n", t.ret, t.ret ? error_text(&t.err) : "");
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	(void)unlink(t.rescue);
	scratch_remove(&t.scratch);
}

static void none(struct qed_rescue_area *area)
{
	(void)area;
}

static void tail_behind_head(struct qed_rescue_area *area)
{
	area->table_tail = area->table_head + 1;
}

static void table_over_header(struct qed_rescue_area *area)
{
	area->tables[area->table_tail % NR_TABLES].offset = 0;
}

static void table_over_l1(struct qed_rescue_area *area)
{
	area->tables[area->table_tail % NR_TABLES].offset = area->l1_table_offset + CLUSTER;
}

static void table_beyond_the_end(struct qed_rescue_area *area)
{
	area->tables[area->table_tail % NR_TABLES].offset = 1ULL << 40;
}

static void table_without_entry(struct qed_rescue_area *area)
{
	area->tables[area->table_tail % NR_TABLES].index = 1ULL << 40;
}

static void no_errno(struct qed_rescue_area *area)
{
	area->lost = 5;
}

static void test_damage(void **state)
{
	static const char misfit[] = "what the dead server left does not fit the image";

	(void)state;
	run(none, 0, NULL);
	run(tail_behind_head, -ESTALE, misfit);
	run(table_over_header, -ESTALE, misfit);
	run(table_over_l1, -ESTALE, misfit);
	run(table_beyond_the_end, -ESTALE, misfit);
	run(table_without_entry, -ESTALE, misfit);
	run(no_errno, -EIO, "a flush had failed (Input/output error)");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_damage) };

	return cmocka_run_group_tests_name("qed_rescue_damage", tests, NULL, NULL);
}
