// SPDX-License-Identifier: GPL-2.0
/*
 * A record in a file, with the images it starts from, so that a bad crash image can be
 * made again: thread timing differs between runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"

#define SAVE_MAGIC 0x3548534152434451ULL

struct saved {
	uint64_t magic;
	struct geometry geo;
	uint64_t position, nr_ops, nr_guest, nr_restarts;
};

/* Find the next data of @fd at or after *@pos: [*@pos, *@end). False: none. */
static bool next_data(int fd, off_t *pos, off_t *end)
{
	*pos = lseek(fd, *pos, SEEK_DATA);
	if (*pos < 0) {
		CHECK(errno == ENXIO);
		return false;
	}
	*end = lseek(fd, *pos, SEEK_HOLE);
	CHECK(*end > *pos);
	return true;
}

static uint8_t *read_range(int fd, off_t pos, off_t end)
{
	uint8_t *data = malloc(end - pos);

	CHECK(data && pread(fd, data, end - pos, pos) == end - pos);
	return data;
}

void copy_sparse(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t pos = 0, end;
	struct stat st;

	CHECK(in >= 0 && out >= 0 && fstat(in, &st) == 0 && ftruncate(out, st.st_size) == 0);
	for (; next_data(in, &pos, &end); pos = end) {
		uint8_t *data = read_range(in, pos, end);

		CHECK(pwrite(out, data, end - pos, pos) == end - pos);
		free(data);
	}
	close(in);
	close(out);
}

static bool put(FILE *file, const void *data, size_t len)
{
	return fwrite(data, 1, len, file) == len;
}

static bool get(FILE *file, void *data, size_t len)
{
	return fread(data, 1, len, file) == len;
}

/*
 * Save an image: its size, then data ranges, each with offset and length, ended by a
 * length of 0.
 */
static bool save_image(FILE *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t range[2] = { 0 }, bytes;
	off_t pos = 0, end;
	struct stat st;
	bool ok;

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	bytes = st.st_size;
	ok = put(file, &bytes, sizeof(bytes));
	for (; ok && next_data(fd, &pos, &end); pos = end) {
		uint8_t *data = read_range(fd, pos, end);

		range[0] = pos;
		range[1] = end - pos;
		ok = put(file, range, sizeof(range)) && put(file, data, end - pos);
		free(data);
	}
	close(fd);
	range[1] = 0;
	return ok && put(file, range, sizeof(range));
}

static bool save_record(FILE *file, const struct record *rec, const struct files *files)
{
	struct saved head = { SAVE_MAGIC,  rec->geo,	  rec->position,
			      rec->nr_ops, rec->nr_guest, rec->nr_restarts };
	uint64_t sectors = arena_sectors(&rec->geo);
	bool ok = put(file, &head, sizeof(head)) &&
		  put(file, rec->initial, sectors * sizeof(*rec->initial)) &&
		  put(file, rec->restarts, rec->nr_restarts * sectors * sizeof(*rec->restarts)) &&
		  put(file, rec->guest, rec->nr_guest * sizeof(*rec->guest)) &&
		  put(file, rec->ops, rec->nr_ops * sizeof(*rec->ops));

	for (size_t i = 0; ok && i < rec->nr_ops; i++)
		if (rec->ops[i].data)
			ok = put(file, rec->ops[i].data, rec->ops[i].len);
	for (unsigned int i = 0; ok && i < nr_files(&rec->geo); i++)
		ok = save_image(file, files->image[i].start);
	return ok;
}

bool record_save(const struct record *rec, const struct files *files, const char *path)
{
	FILE *file = fopen(path, "we");
	bool ok = file && save_record(file, rec, files);

	if (file)
		ok &= fclose(file) == 0;
	return ok;
}

static bool load_ranges(FILE *file, int fd)
{
	uint64_t range[2];

	while (get(file, range, sizeof(range))) {
		uint8_t *data;
		bool ok;

		if (!range[1])
			return true;
		data = malloc(range[1]);
		CHECK(data);
		ok = get(file, data, range[1]) &&
		     pwrite(fd, data, range[1], range[0]) == (ssize_t)range[1];
		free(data);
		if (!ok)
			break;
	}
	return false;
}

static bool load_image(FILE *file, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t bytes;
	bool ok = fd >= 0 && get(file, &bytes, sizeof(bytes)) && ftruncate(fd, bytes) == 0 &&
		  load_ranges(file, fd);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool load_arrays(FILE *file, struct record *rec, const struct saved *head)
{
	uint64_t sectors = arena_sectors(&head->geo);
	bool ok;

	record_init(rec, &head->geo);
	rec->position = head->position;
	rec->guest = calloc(head->nr_guest + 1, sizeof(*rec->guest));
	rec->ops = calloc(head->nr_ops + 1, sizeof(*rec->ops));
	rec->restarts = calloc(head->nr_restarts * sectors + 1, sizeof(*rec->restarts));
	CHECK(rec->guest && rec->ops && rec->restarts);
	rec->nr_restarts = head->nr_restarts;
	ok = get(file, rec->initial, sectors * sizeof(*rec->initial)) &&
	     get(file, rec->restarts, rec->nr_restarts * sectors * sizeof(*rec->restarts)) &&
	     get(file, rec->guest, head->nr_guest * sizeof(*rec->guest)) &&
	     get(file, rec->ops, head->nr_ops * sizeof(*rec->ops));
	rec->nr_guest = head->nr_guest;
	for (size_t i = 0; ok && i < head->nr_ops; i++) {
		struct rec_op *op = &rec->ops[i];

		op->old = NULL;
		if (op->data) {
			op->data = malloc(op->len);
			CHECK(op->data);
			ok = get(file, op->data, op->len);
		}
		rec->nr_ops++;
	}
	return ok;
}

bool record_load_geometry(struct geometry *geo, const char *path)
{
	FILE *file = fopen(path, "re");
	struct saved head;
	bool ok = file && get(file, &head, sizeof(head)) && head.magic == SAVE_MAGIC;

	if (file)
		fclose(file);
	if (ok)
		*geo = head.geo;
	return ok;
}

bool record_load(struct record *rec, const struct files *files, const char *path)
{
	FILE *file = fopen(path, "re");
	struct saved head;
	bool ok = file && get(file, &head, sizeof(head)) && head.magic == SAVE_MAGIC &&
		  load_arrays(file, rec, &head);

	for (unsigned int i = 0; ok && i < nr_files(&rec->geo); i++)
		ok = load_image(file, files->image[i].start);
	if (file)
		fclose(file);
	return ok;
}
