// SPDX-License-Identifier: GPL-2.0
/*
 * Image locks: between this project's processes, and with QEMU's programs in both
 * directions.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "test_block_common.h"

#include "file/image_lock.h"

#define WRITER (IMAGE_PERM_CONSISTENT_READ | IMAGE_PERM_WRITE | IMAGE_PERM_RESIZE)
#define READER IMAGE_PERM_CONSISTENT_READ
#define SHARED (IMAGE_PERM_CONSISTENT_READ | IMAGE_PERM_WRITE_UNCHANGED)

static char image[512];

/* Lock a descriptor that holds nothing. */
static int image_lock_acquire(int fd, unsigned int perm, unsigned int shared, struct error *err)
{
	struct image_lock none = { 0 };

	return image_lock_add(fd, &none, perm, shared, err);
}

static int open_image(void)
{
	int fd = open(image, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void expect_busy(unsigned int perm, const char *line)
{
	struct error err = ERROR_INIT;
	int fd = open_image();

	assert_int_equal(image_lock_acquire(fd, perm, SHARED, &err), -EBUSY);
	assert_string_equal(error_text(&err), line);
	error_free(&err);
	close(fd);
}

static void expect_free(unsigned int perm)
{
	int fd = open_image();

	assert_int_equal(image_lock_acquire(fd, perm, SHARED, NULL), 0);
	close(fd);
}

static const char busy_writer[] =
	"Failed to get \"write\" lock: is another process using the image?";
static const char busy_reader[] =
	"Failed to get shared \"write\" lock: is another process using the image?";

static void use_plain_image(void)
{
	snprintf(image, sizeof(image), "%s", scratch("plain"));
	make_file(image, "", 0, MiB);
}

static void test_among_ourselves(void **state)
{
	int writer, reader, reader2;

	(void)state;
	use_plain_image();
	writer = open_image();
	assert_int_equal(image_lock_acquire(writer, WRITER, SHARED, NULL), 0);
	expect_busy(WRITER, busy_writer);
	expect_busy(READER, busy_reader);
	/* A refused acquisition holds no locks. */
	reader = open_image();
	assert_int_equal(image_lock_acquire(reader, READER, SHARED, NULL), -EBUSY);
	image_lock_release(writer);
	expect_free(WRITER);
	close(reader);

	reader = open_image();
	reader2 = open_image();
	assert_int_equal(image_lock_acquire(reader, READER, SHARED, NULL), 0);
	assert_int_equal(image_lock_acquire(reader2, READER, SHARED, NULL), 0);
	expect_busy(WRITER, busy_writer);
	close(reader);
	expect_busy(WRITER, busy_writer);
	close(reader2); /* closing releases the locks */
	expect_free(WRITER);
	close(writer);
}

/* What is added to a lock comes with it, and what is refused leaves it as it was. */
static void test_more(void **state)
{
	struct image_lock held = { 0 };
	int first, second;

	(void)state;
	use_plain_image();
	first = open_image();
	second = open_image();
	assert_int_equal(image_lock_add(first, &held, READER, IMAGE_PERM_ALL, NULL), 0);
	assert_true(image_lock_has(&held, READER, IMAGE_PERM_ALL));
	assert_false(image_lock_has(&held, READER, SHARED));
	assert_int_equal(
		image_lock_acquire(second, READER | IMAGE_PERM_WRITE, IMAGE_PERM_ALL, NULL), 0);
	assert_int_equal(image_lock_add(first, &held, 0, SHARED, NULL), -EBUSY);
	assert_false(image_lock_has(&held, READER, SHARED));
	/* It still holds what it held. */
	close(second);
	second = open_image();
	assert_int_equal(image_lock_acquire(second, 0, 0, NULL), -EBUSY);
	assert_int_equal(image_lock_add(first, &held, 0, SHARED, NULL), 0);
	assert_true(image_lock_has(&held, READER, SHARED));
	assert_int_equal(image_lock_acquire(second, IMAGE_PERM_WRITE, IMAGE_PERM_ALL, NULL),
			 -EBUSY);
	close(second);
	close(first);
}

/* Another program locks the file in its own way. */
static void test_stranger(void **state)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 };
	int fd;

	(void)state;
	use_plain_image();
	fd = open_image();
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	expect_busy(READER, "Failed to lock: is another process using the image?");
	close(fd);
	expect_free(READER);
}

/* ---- QEMU ---- */

static bool have_qemu(void)
{
	return !access("/usr/bin/qemu-img", X_OK) && !access("/usr/bin/qemu-io", X_OK);
}

static void need_qemu(void)
{
	if (have_qemu())
		return;
	printf("skipped: qemu-img and qemu-io are not installed\n");
	skip();
}

/* Run a program with its output discarded; return its exit status. */
static int run(const char *const *argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int qemu_img(const char *verb, const char *option)
{
	const char *argv[] = { "/usr/bin/qemu-img", verb, option, image, NULL };

	return run(argv);
}

static int qemu_io(const char *option, const char *command)
{
	const char *argv[] = {
		"/usr/bin/qemu-io", "-f", "qed", "-c", command, image, option, NULL,
	};

	return run(argv);
}

static bool byte_is_locked(int fd, off_t byte)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &fl), 0);
	return fl.l_type != F_UNLCK;
}

/* Start a qemu-io that has the image open until it is killed. */
static pid_t start_holder(const char *option)
{
	const char *argv[] = { "/usr/bin/qemu-io", "-f",  "qed",  "-c",
			       "sleep 60000",	   image, option, NULL };
	int held = option ? 100 : 101; /* the bytes for consistent read and write */
	int fd = open_image();
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_true(pid > 0);
	for (int i = 0; !byte_is_locked(fd, held) || !byte_is_locked(fd, 203); i++) {
		assert_true(i < 2000);
		usleep(10000);
	}
	close(fd);
	return pid;
}

static void stop_holder(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void use_qed_image(void)
{
	const char *create[] = { "/usr/bin/qemu-img", "create", "-f", "qed", image, "1M", NULL };

	need_qemu();
	snprintf(image, sizeof(image), "%s", scratch("image.qed"));
	assert_int_equal(run(create), 0);
}

static void test_qemu_holds(void **state)
{
	pid_t holder;

	(void)state;
	use_qed_image();
	holder = start_holder(NULL);
	expect_busy(WRITER, busy_writer);
	expect_busy(READER, busy_reader);
	stop_holder(holder);
	expect_free(WRITER);

	holder = start_holder("-r");
	expect_busy(WRITER, busy_writer);
	expect_free(READER);
	stop_holder(holder);
	expect_free(WRITER);
}

static void test_we_hold(void **state)
{
	int fd;

	(void)state;
	use_qed_image();
	fd = open_image();
	assert_int_equal(image_lock_acquire(fd, WRITER, SHARED, NULL), 0);
	assert_int_equal(qemu_img("info", "-q"), 1);
	assert_int_equal(qemu_img("info", "-U"), 0);
	assert_int_equal(qemu_img("check", "-q"), 1);
	assert_int_equal(qemu_io(NULL, "read 0 512"), 1);
	assert_int_equal(qemu_io("-r", "read 0 512"), 1);
	image_lock_release(fd);
	assert_int_equal(qemu_img("check", "-q"), 0);

	/* This project's reader coexists with QEMU's, and excludes writers. */
	assert_int_equal(image_lock_acquire(fd, READER, SHARED, NULL), 0);
	assert_int_equal(qemu_img("check", "-q"), 0);
	assert_int_equal(qemu_io("-r", "read 0 512"), 0);
	assert_int_equal(qemu_io(NULL, "write 0 512"), 1);
	close(fd);
	assert_int_equal(qemu_io(NULL, "write 0 512"), 0);
}

/* Send @fd through @to, and close it. */
static void send_away(int to, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { "x", 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &message, 0), 1);
	close(fd);
}

static void *close_soon(void *arg)
{
	usleep(400000);
	close(((int *)arg)[1]);
	return NULL;
}

/*
 * A file that no process has open, but the kernel: like that of a process that was killed, until
 * its last I/O has ended.
 */
static void test_killed_process(void **state)
{
	int fd, sockets[2];
	pthread_t thread;

	(void)state;
	use_plain_image();
	fd = open_image();
	assert_int_equal(image_lock_acquire(fd, WRITER, SHARED, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	send_away(sockets[0], fd);
	assert_int_equal(pthread_create(&thread, NULL, close_soon, sockets), 0);
	fd = open_image();
	assert_int_equal(image_lock_acquire(fd, READER, SHARED, NULL), 0);
	pthread_join(thread, NULL);
	close(fd);
	close(sockets[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_among_ourselves),
		cmocka_unit_test(test_killed_process),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_qemu_holds),
		cmocka_unit_test(test_we_hold),
	};

	return cmocka_run_group_tests_name("block_image_lock", tests, NULL, NULL);
}
