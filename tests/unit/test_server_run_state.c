// SPDX-License-Identifier: GPL-2.0
/* A server's files: the name is taken once, stale files do not matter, long names work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "server/run_state.c"

static char dir[] = "/tmp/run-state-test-XXXXXX";

static int count_files(void)
{
	char command[128];
	FILE *out;
	int n = -1;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", dir);
	out = popen(command, "r");
	assert_int_equal(fscanf(out, "%d", &n), 1);
	pclose(out);
	return n;
}

static char *path_of(const char *name, const char *suffix)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s.%s", dir, name, suffix);
	return path;
}

static void test_taken_once(void **state)
{
	struct run_state first, second, other;
	struct error err = ERROR_INIT;
	char wanted[64];

	(void)state;
	assert_int_equal(run_state_acquire(&first, "vm1", &err), 0);
	assert_int_equal(run_state_acquire(&second, "vm1", &err), -EBUSY);
	snprintf(wanted, sizeof(wanted), "already served by process %ld", (long)getpid());
	assert_string_equal(error_text(&err), wanted);
	error_free(&err);
	assert_int_equal(run_state_acquire(&other, "vm2", &err), 0);
	run_state_release(&other);
	run_state_release(&first);
	assert_int_equal(count_files(), 0);
	assert_int_equal(run_state_acquire(&second, "vm1", &err), 0);
	run_state_release(&second);
}

/* A process that is killed leaves files behind, and no lock. */
static void test_after_a_kill(void **state)
{
	struct run_state run;
	struct error err = ERROR_INIT;
	pid_t pid = fork();
	int status, fd;

	(void)state;
	if (!pid) {
		json_t *text = json_pack("{s:s}", "name", "vm1");

		if (run_state_acquire(&run, "vm1", &err) || run_state_listen(&run, &err) < 0 ||
		    run_state_describe(&run, text, &err))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count_files(), 3);
	assert_int_equal(run_state_acquire(&run, "vm1", &err), 0);
	fd = run_state_listen(&run, &err);
	assert_true(fd >= 0);
	close(fd);
	run_state_release(&run);
	assert_int_equal(count_files(), 0);
}

static void connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int path_fd = open(path, O_PATH | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(path_fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", path_fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	close(path_fd);
}

static void test_longest_name(void **state)
{
	char name[DEVICE_NAME_MAX + 1];
	struct error err = ERROR_INIT;
	struct run_state run;
	json_t *text = json_pack("{s:i}", "pid", 1);
	struct stat st;
	int fd;

	(void)state;
	memset(name, 'n', DEVICE_NAME_MAX);
	name[DEVICE_NAME_MAX] = '\0';
	assert_int_equal(run_state_acquire(&run, name, &err), 0);
	fd = run_state_listen(&run, &err);
	assert_true(fd >= 0);
	assert_int_equal(stat(path_of(name, "sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	connect_to(path_of(name, "sock"));
	assert_int_equal(run_state_describe(&run, text, &err), 0);
	assert_int_equal(run_state_describe(&run, text, &err), 0);
	assert_int_equal(count_files(), 3);
	close(fd);
	run_state_release(&run);
	assert_int_equal(count_files(), 0);
	json_decref(text);
}

/* The lock's file was swapped by a server that ended between our opening and locking it. */
static void test_lock_is_of_the_name(void **state)
{
	struct run_state run = { .name = "vm1", .dir = dir, .lock_fd = -1 };
	int fd;

	(void)state;
	run.dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	fd = openat(run.dir_fd, "vm1.lock", O_RDWR | O_CREAT, 0644);
	assert_true(is_current(&run, fd, "vm1.lock"));
	unlinkat(run.dir_fd, "vm1.lock", 0);
	assert_false(is_current(&run, fd, "vm1.lock"));
	close(openat(run.dir_fd, "vm1.lock", O_RDWR | O_CREAT, 0644));
	assert_false(is_current(&run, fd, "vm1.lock"));
	unlinkat(run.dir_fd, "vm1.lock", 0);
	close(fd);
	close(run.dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_once),
		cmocka_unit_test(test_after_a_kill),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_lock_is_of_the_name),
	};
	int failed;

	if (!mkdtemp(dir) || setenv("QEDBLK_RUN_DIR", dir, 1))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
