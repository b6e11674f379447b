// SPDX-License-Identifier: GPL-2.0
/*
 * Reading partition tables: GPT and MBR, and what a guest may have written there. Of damaged tables
 * only this is expected: partitions lie on the device, have a length, and do not overlap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "qedctl/partition_table.c"
#include "test_aio_common.h"

#define DISK_SIZE (8 << 20)
#define SECTOR	  512

static char path[] = "/tmp/partitions.XXXXXX";
static uint8_t disk[DISK_SIZE];

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || ftruncate(fd, DISK_SIZE) || close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_disk(void)
{
	FILE *file = fopen(path, "r+");

	assert_non_null(file);
	assert_int_equal(fwrite(disk, DISK_SIZE, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

static void put32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* Set entry @index of the boot sector @sector; counts in sectors. */
static void put_entry(uint32_t sector, int index, uint8_t type, uint32_t start, uint32_t count)
{
	uint8_t *entry = disk + sector * SECTOR + 446 + 16 * index;

	entry[4] = type;
	put32(entry + 8, start);
	put32(entry + 12, count);
	disk[sector * SECTOR + 510] = 0x55;
	disk[sector * SECTOR + 511] = 0xaa;
}

/* Read the table, and check what holds for every table. */
static int read_table(struct partition **parts, size_t *count)
{
	struct error err = ERROR_INIT;
	int ret = partition_table_read(path, DISK_SIZE, parts, count, &err);

	if (ret)
		assert_true(err.code == ret && err.text && !*parts && !*count);
	for (size_t i = 0; i < *count; i++) {
		struct partition *part = &(*parts)[i];

		assert_in_range(part->number, i ? part[-1].number + 1 : 1, PARTITION_MAX);
		assert_true(part->size && part->start < DISK_SIZE);
		assert_true(part->size <= DISK_SIZE - part->start);
		assert_true(!((part->start | part->size) % SECTOR));
		for (size_t j = 0; j < i; j++)
			assert_true(part->start + part->size <= (*parts)[j].start ||
				    (*parts)[j].start + (*parts)[j].size <= part->start);
	}
	error_free(&err);
	return ret;
}

static void test_none(void **state)
{
	struct partition *parts;
	size_t count;

	(void)state;
	memset(disk, 0, sizeof(disk));
	write_disk();
	assert_int_equal(read_table(&parts, &count), -ENOENT);
	assert_int_equal(partition_table_read("/nonexistent", 1, &parts, &count, NULL), -ENOENT);
}

static void test_mbr(void **state)
{
	struct partition *parts;
	size_t count;

	(void)state;
	memset(disk, 0, sizeof(disk));
	put_entry(0, 0, 0x83, 2048, 1024);
	put_entry(0, 2, 0x05, 4096, 4096);
	put_entry(4096, 0, 0x82, 8, 100);
	put_entry(4096, 1, 0x05, 1000, 200);
	put_entry(5096, 0, 0x8e, 8, 192);
	write_disk();
	assert_int_equal(read_table(&parts, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(parts[0].number, 1);
	assert_int_equal(parts[0].start, 2048 * SECTOR);
	assert_int_equal(parts[0].size, 1024 * SECTOR);
	assert_string_equal(partition_type_name(parts[0].type), "Linux");
	assert_string_equal(parts[0].label, "");
	assert_int_equal(parts[1].number, 5);
	assert_int_equal(parts[1].start, 4104 * SECTOR);
	assert_string_equal(parts[1].type, "0x82");
	assert_int_equal(parts[2].number, 6);
	assert_int_equal(parts[2].start, 5104 * SECTOR);
	assert_int_equal(parts[2].size, 192 * SECTOR);
	free(parts);
}

static void test_hostile_mbr(void **state)
{
	struct partition *parts;
	size_t count;

	(void)state;
	memset(disk, 0, sizeof(disk));
	put_entry(0, 0, 0x83, 2048, 1024);
	put_entry(0, 1, 0x83, 3000, 1024);
	put_entry(0, 2, 0x83, DISK_SIZE / SECTOR - 8, 16);
	put_entry(0, 3, 0x83, 0xfffffff0, 0xffffffff);
	write_disk();
	assert_int_equal(read_table(&parts, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(parts[0].number, 1);
	free(parts);
	/* An extended partition whose table names itself. */
	memset(disk, 0, sizeof(disk));
	put_entry(0, 0, 0x05, 2048, 4096);
	put_entry(2048, 0, 0x83, 8, 8);
	put_entry(2048, 1, 0x05, 0, 4096);
	write_disk();
	if (!read_table(&parts, &count))
		free(parts);
}

/* Each of some damaged tables: a working one, and bytes of it, of whole entries or anywhere. */
static void test_damaged(void **state)
{
	uint64_t seed = test_seed();
	int kept = dup(STDERR_FILENO);

	(void)state;
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (int round = 0; round < 200; round++) {
		struct partition *parts;
		size_t count;

		memset(disk, 0, sizeof(disk));
		for (int i = 0; i < 4; i++)
			put_entry(0, i, i < 3 ? 0x83 : 0x05, 2048 + 2048 * i, 1024);
		put_entry(2048 * 4, 0, 0x83, 8, 100);
		put_entry(2048 * 4, 1, 0x05, 200, 100);
		put_entry(2048 * 4 + 200, 0, 0x83, 8, 50);
		for (uint64_t n = test_random(&seed) % 12; n; n--) {
			uint32_t sector = test_random(&seed) % 3 * 100 + 2048 * 4;

			disk[(test_random(&seed) % 2 ? sector : 0) * SECTOR + 446 +
			     test_random(&seed) % 64] = (uint8_t)test_random(&seed);
		}
		write_disk();
		if (!read_table(&parts, &count))
			free(parts);
	}
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_hostile_mbr),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
