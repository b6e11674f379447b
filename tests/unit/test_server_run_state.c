// SPDX-License-Identifier: GPL-2.0
/*
 * A server's files: only one server holds a name, stale files do not matter, long names work, and
 * other users can open none of the files.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static char default_dir[64];
#define DEFAULT_DIR default_dir

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

/* A killed process leaves its files, but no lock. */
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

/* A server that ended between our open and our lock has replaced the lock file. */
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

/* ---- Access by other users ---- */

static unsigned int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void touch(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* All files of a server in the default directory, and their modes. */
static void check_modes(void)
{
	static const char *const suffixes[] = { "lock", "sock", "json", "rescue" };
	json_t *text = json_pack("{s:i}", "pid", 1);
	struct error err = ERROR_INIT;
	struct run_state run;
	char path[128];
	int rescue, fd;

	assert_int_equal(run_state_acquire(&run, "vm1", &err), 0);
	fd = run_state_listen(&run, &err);
	rescue = run_state_open_rescue(&run, false, &err);
	assert_true(fd >= 0 && rescue >= 0);
	assert_int_equal(run_state_describe(&run, text, &err), 0);
	assert_int_equal(mode_of(default_dir), 0750);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s/vm1.%s", default_dir, suffixes[i]);
		assert_int_equal(mode_of(path), 0600);
	}
	close(rescue);
	close(fd);
	json_decref(text);
	run_state_release(&run);
}

static void test_modes(void **state)
{
	static const mode_t masks[] = { 0, 022, 0177 };
	mode_t before = umask(0);
	char path[128];

	(void)state;
	assert_int_equal(unsetenv("QEDBLK_RUN_DIR"), 0);
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		/* If the owner has no permission, only root can open the rest. */
		umask(geteuid() ? masks[i] & 077 : masks[i]);
		check_modes();
		assert_int_equal(rmdir(default_dir), 0);
	}
	umask(022);
	/* The files as an older server left them. */
	assert_int_equal(mkdir(default_dir, 0755), 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "vm1.lock", "vm1.json.new", "vm1.json",
						     "vm1.rescue" };

		snprintf(path, sizeof(path), "%s/%s", default_dir, names[i]);
		touch(path, 0644);
	}
	check_modes();
	assert_int_equal(rmdir(default_dir), 0);
	umask(before);
	assert_int_equal(setenv("QEDBLK_RUN_DIR", dir, 1), 0);
}

static void check_refused(const char *run_dir, const char *line)
{
	struct error err = ERROR_INIT;
	struct run_state run;
	char wanted[256];

	assert_int_equal(setenv("QEDBLK_RUN_DIR", run_dir, 1), 0);
	assert_true(run_state_acquire(&run, "vm1", &err) < 0);
	snprintf(wanted, sizeof(wanted), "%s%s", run_dir, line);
	assert_string_equal(error_text(&err), wanted);
	error_free(&err);
	assert_int_equal(setenv("QEDBLK_RUN_DIR", dir, 1), 0);
}

static void test_refused_directories(void **state)
{
	char other[128], lock[160];

	(void)state;
	snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(chmod(other, 01777), 0);
	check_refused(other, ": other users can write to it (mode 1777)");
	assert_int_equal(mode_of(other), 01777);
	assert_int_equal(chmod(other, 0770), 0);
	check_refused(other, ": other users can write to it (mode 0770)");
	assert_int_equal(chmod(other, 0755), 0);
	assert_int_equal(symlink(other, default_dir), 0);
	check_refused(default_dir, ": not a directory (a symbolic link is none)");
	unlink(default_dir);
	if (!geteuid()) {
		snprintf(lock, sizeof(lock), "%s/vm1.lock", other);
		touch(lock, 0644);
		assert_int_equal(chown(lock, 65534, 65534), 0);
		check_refused(other, "/vm1.lock: belongs to another user (65534)");
		unlink(lock);
		assert_int_equal(chown(other, 65534, 65534), 0);
		check_refused(other, ": belongs to another user (65534)");
	}
	assert_int_equal(rmdir(other), 0);
}

/* The lock file can be created, but not written. */
static void test_no_space(void **state)
{
	struct rlimit limit, none;
	struct error err = ERROR_INIT;
	struct run_state run;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	for (int left = 0; left < 2; left++) {
		if (left) {
			/* Left by a dead server. */
			touch(path_of("vm1", "lock"), 0600);
			assert_int_equal(truncate(path_of("vm1", "lock"), 4), 0);
		}
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
		assert_int_equal(run_state_acquire(&run, "vm1", &err), -EFBIG);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_non_null(strstr(error_text(&err), "/vm1.lock: File too large"));
		error_free(&err);
		assert_int_equal(count_files(), left);
	}
	unlink(path_of("vm1", "lock"));
}

/* Killed after bind(), before the socket had its final name. */
static void test_early_socket(void **state)
{
	char early[DEVICE_SOCKET_LEN], path[128];
	struct error err = ERROR_INIT;
	struct run_state run;
	int fd;

	(void)state;
	device_early_socket(early, "vm1");
	snprintf(path, sizeof(path), "%s/%s", dir, early);
	touch(path, 0600);
	assert_int_equal(run_state_acquire(&run, "vm1", &err), 0);
	fd = run_state_listen(&run, &err);
	assert_true(fd >= 0);
	close(fd);
	run_state_release(&run);
	assert_int_equal(count_files(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_once),   cmocka_unit_test(test_after_a_kill),
		cmocka_unit_test(test_longest_name), cmocka_unit_test(test_lock_is_of_the_name),
		cmocka_unit_test(test_modes),	     cmocka_unit_test(test_refused_directories),
		cmocka_unit_test(test_no_space),     cmocka_unit_test(test_early_socket),
	};
	int failed;

	if (!mkdtemp(dir) || setenv("QEDBLK_RUN_DIR", dir, 1))
		return 1;
	snprintf(default_dir, sizeof(default_dir), "%s-default", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
