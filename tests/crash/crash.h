/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Power-loss simulation of the QED driver: common declarations.
 *
 * A round: a workload runs on a new image (or on one left by an earlier crash).
 * record.c records all operations on the image file and all requests of the guest with
 * their completions, each with its position in one common order. Then disk.c makes
 * images that a loss of power at some position may leave, and judge.c checks each: it
 * must be a consistent image, and each guest sector must have a content that model.c
 * allows.
 */
#ifndef QEDBLK_TESTS_CRASH_H
#define QEDBLK_TESTS_CRASH_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/check.h"
#include "shared/random.h"
#include "util/units.h"

#define BLOCK	      4096u /* bytes: the unit of most guest requests */
#define BLOCK_SECTORS (BLOCK / SECTOR_SIZE)

/* ---- content.c ---- */

/*
 * The content of a sector is a version: 0 is zeroes, 1 the backing file's bytes,
 * higher ones identify the write that wrote it.
 */
#define VERSION_ZERO	0u
#define VERSION_BACKING 1u
#define VERSION_FIRST	2u
/* The own data of images that are committed into or rebased onto. */
#define VERSION_OTHER	(UINT32_MAX - 2)
#define VERSION_GARBAGE UINT32_MAX
/* The data of clusters that two entries reference. */
#define VERSION_SHARED (UINT32_MAX - 3)

/* Fill 512 bytes with the content of guest sector @sector in version @version. */
void sector_fill(void *buf, uint64_t sector, uint32_t version);
/* Return the version of 512 bytes, and set *@sector to its guest sector (not for VERSION_ZERO). */
uint32_t sector_identify(const void *buf, uint64_t *sector);

/* ---- Geometry: the image and the part of it that the guest uses ---- */

/*
 * The guest uses @spots ranges of @spot_bytes, @spot_stride apart, which are
 * counted through in "arena" sectors.  All plain numbers: it is saved as it is.
 */
enum chain_verb {
	CHAIN_LEFT_ALONE,
	CHAIN_COMMITTED,
	CHAIN_REBASED,
	CHAIN_CONVERTED,
	CHAIN_CHECKED, /* it starts out needing a check */
	CHAIN_TO_BASE, /* an image in the middle is streamed and removed while the guest runs */
};

/*
 * The image files that are written: the guest's, and if it is committed the one below
 * it, which then has the backing file.
 */
enum { FILE_TOP, FILE_BASE, MAX_FILES };

struct geometry {
	char workload[32];
	char dir[64]; /* the directory of the round's files; part of stored backing file names */
	uint64_t seed;
	uint32_t round, images; /* crash images to make of this round */
	uint32_t cluster_size, table_size;
	uint32_t align; /* of the image file's I/O, bytes; 1: none */
	uint32_t spots;
	uint64_t spot_bytes, spot_stride;
	uint64_t size; /* bytes of the guest's disk */
	uint64_t backing_bytes; /* 0: no backing file */
	uint64_t scratch; /* number of arena sectors at the end; see guest.c */
	uint32_t first_version; /* of this round's first request */
	uint32_t verb; /* enum chain_verb: done after each session, or instead of sessions */
	uint32_t sector; /* bytes that the disk writes atomically: 512 or 4096 */
	uint32_t unreadable; /* the disk may fail to read blocks it was writing */
	/*
	 * Bytes: while the guest works its disk becomes shorter, not below this, and longer again;
	 * 0: it does not. What the disk lacks counts as zeroes.
	 */
	uint64_t least_size;
};

/* Is the verb done after each session? */
static inline bool is_after_session(uint32_t verb)
{
	return verb == CHAIN_COMMITTED || verb == CHAIN_REBASED;
}

static inline unsigned int nr_files(const struct geometry *geo)
{
	return geo->verb == CHAIN_COMMITTED ? MAX_FILES : 1;
}

static inline uint64_t arena_sectors(const struct geometry *geo)
{
	return geo->spots * geo->spot_bytes / SECTOR_SIZE;
}

/* Guest sector of arena sector @s. */
static inline uint64_t guest_sector(const struct geometry *geo, uint64_t s)
{
	uint64_t per_spot = geo->spot_bytes / SECTOR_SIZE;

	return s / per_spot * (geo->spot_stride / SECTOR_SIZE) + s % per_spot;
}

/* Return the backing file's version of @sector: VERSION_BACKING or VERSION_ZERO. */
uint32_t backing_version(const struct geometry *geo, uint64_t sector);

/* Return the sector number in the content of arena sector @s in @version. */
static inline uint64_t named_sector(const struct geometry *geo, uint64_t s, uint32_t version)
{
	uint64_t sector = guest_sector(geo, s);

	return version == VERSION_SHARED ? sector % (geo->cluster_size / SECTOR_SIZE) : sector;
}

/* ---- record.c ---- */

/* REC_DURABLE_WRITE is durable when it returns, without a flush. */
enum rec_kind {
	REC_NONE,
	REC_WRITE,
	REC_FLUSH,
	REC_PUNCH,
	REC_ZERO,
	REC_TRUNCATE,
	REC_DURABLE_WRITE
};

#define NEVER UINT64_MAX

/* An operation on an image file. */
struct rec_op {
	enum rec_kind kind;
	unsigned int file; /* FILE_TOP or FILE_BASE */
	uint64_t start, end; /* positions of its start and its completion */
	uint64_t offset, len; /* bytes; for a truncation: the sizes before and after */
	uint64_t lost; /* position of the failed flush that dropped it, NEVER: none */
	uint8_t *data; /* the data of a write */
	uint8_t *old; /* for zeroes in the page cache beside O_DIRECT: the data they replaced */
	bool grows; /* it ends beyond the file's end at its start */
	bool cached; /* it goes through the page cache */
};

enum guest_kind {
	GUEST_WRITE,
	GUEST_ZERO_KEEP,
	GUEST_ZERO_UNMAP,
	GUEST_DISCARD,
	GUEST_CUT, /* making the disk shorter; durable */
	GUEST_RESTART, /* the server was killed: the whole arena as its successor reads it */
	GUEST_FLUSH,
	GUEST_CLOSE, /* closing the image: durable like a flush */
	GUEST_CONVERT, /* converting the whole image; durable */
};

struct guest_op {
	enum guest_kind kind;
	uint32_t fua;
	uint64_t issue, ack; /* positions */
	uint64_t sector, count; /* the arena sectors it changes */
	uint64_t restart; /* the number of a restart, from 0 */
};

struct record {
	struct geometry geo;
	pthread_mutex_t lock; /* protects the fields below */
	uint64_t position; /* of the last event; the first is 1 */
	struct rec_op *ops; /* in the order of their starts */
	size_t nr_ops, room_ops;
	struct guest_op *guest; /* in the order of issue; its version is first_version + index */
	size_t nr_guest, room_guest;
	uint32_t *initial; /* version of each arena sector at position 0 */
	uint32_t *restarts; /* by restart, version of each arena sector at it */
	size_t nr_restarts;
	_Atomic uint64_t jitter; /* random state of delays and faults */
	_Atomic bool header_written; /* since the session began */

	/* Faults while the workload runs; see fault.c. */
	struct faults {
		_Atomic bool dead; /* the server was killed: none of its operations has an effect */
		_Atomic bool lossy; /* a flush has failed: data that is not durable may be lost */
		uint64_t kill_in; /* kill the server after this many file operations; 0: do not */
		bool kill_at_flush; /* kill it at the first flush after that */
		uint64_t died; /* position of the kill */
		bool failing; /* writes and flushes fail sometimes */
		bool losses; /* a failed flush has lost data */
		uint64_t flushed; /* operations completed before this position are durable */
		struct rescue *rescue; /* the area that survives the server, or NULL */
	} faults;
};

void record_init(struct record *rec, const struct geometry *geo);
void record_destroy(struct record *rec);
struct files;
/*
 * From now on, record to @rec (NULL: do not) the operations on those of @files that
 * the workload runs on, and delay reads of the backing file, for files opened from now
 * on.
 */
void record_files(struct record *rec, const struct files *files);
/* Do not record files opened while paused. */
void record_pause(bool pause);
/* Record a request of the guest, and its completion. Returns its index. */
size_t record_issue(struct record *rec, enum guest_kind kind, bool fua, uint64_t sector,
		    uint64_t count);
void record_ack(struct record *rec, size_t index);

/* Return the version that guest request @index leaves in arena sector @s. */
static inline uint32_t op_version(const struct record *rec, size_t index, uint64_t s)
{
	const struct guest_op *op = &rec->guest[index];

	if (op->kind == GUEST_RESTART)
		return rec->restarts[op->restart * arena_sectors(&rec->geo) + s];
	return op->kind == GUEST_WRITE ? rec->geo.first_version + (uint32_t)index : VERSION_ZERO;
}

/*
 * Record that the server was killed, and the version of each arena sector that its
 * successor reads.
 */
void record_restart(struct record *rec, const uint32_t *versions);

/* ---- fault.c: a killed server, and a failing disk ---- */

/* With a failing disk, one of so many operations fails. */
#define WRITES_PER_FAILURE	150u
#define FLUSHES_PER_FAILURE	12u
#define ZEROES_PER_FAILURE	40u
#define TRUNCATIONS_PER_FAILURE 4u

struct workload;
/* Choose the faults of a session, before it starts. @ops: about how many file operations it has. */
void fault_arm(struct record *rec, const struct workload *w, uint64_t ops, uint64_t random);
/* End the faults, after the session. */
void fault_disarm(struct record *rec);
/* Count a file operation; the server may be killed before it. */
void fault_count(struct record *rec, bool is_flush);
/*
 * Return how many bytes, in whole units, of write @op reach the file. Sets *@ret to 0,
 * or to -EIO: it failed, or the server is dead.
 */
size_t fault_write(struct record *rec, size_t op, size_t len, uint32_t unit, int *ret);
/* The same for another operation: returns 0, or -EIO and it has no effect. */
int fault_op(struct record *rec, size_t op, unsigned int per_failure);
/* Flush @op has failed: the page cache of the file @live loses some data that is not durable. */
void fault_lose(struct record *rec, size_t op, const char *live);
/* Return the current content of the file (heap). */
uint8_t *fault_read_old(const char *live, uint64_t offset, uint64_t len);
/* Drop the page cache of the live image, which exposes the data lost by failed flushes. */
void fault_drop_cache(const struct record *rec, const struct files *files);

/* ---- rescue.c: the area that survives a killed server (format/qed/rescue.h) ---- */

/* Give the server a rescue area, from now on until rescue_end(). */
void rescue_begin(struct record *rec);
void rescue_end(struct record *rec);
struct blk_rescue;
struct blk_node;
/* Return the option for opening the image; NULL: no rescue area. */
const struct blk_rescue *rescue_before_open(struct record *rec);
void rescue_opened(struct record *rec, struct blk_node *node);
void rescue_closed(struct record *rec);
/* Around the kill of the server: in between the area does not change, and it is copied. */
void rescue_freeze(struct record *rec);
void rescue_thaw(struct record *rec);

/* ---- save.c: a record in a file, with the images it starts from ---- */

bool record_save(const struct record *rec, const struct files *files, const char *path);
bool record_load(struct record *rec, const struct files *files, const char *path);
/* Load only the geometry, at the start of the file. */
bool record_load_geometry(struct geometry *geo, const char *path);
/* Copy a file, keeping holes and size. Overwrites @to. */
void copy_sparse(const char *from, const char *to);

/* ---- disk.c ---- */

enum fate { FATE_LOST, FATE_WHOLE, FATE_TORN };

struct survivor {
	size_t op;
	enum fate fate;
	uint64_t sectors; /* torn: which of the first 64 sectors survive, a bit each */
};

struct undo {
	uint64_t offset, len;
	uint8_t *data;
};

/* An image file as a crash leaves it. */
struct disk {
	const struct record *rec;
	unsigned int file;
	int fd;
	uint64_t position; /* of the crash */
	uint64_t settled; /* operations completed before this position are durable */
	bool *durable; /* by op: applied permanently, lost, or of another file */
	size_t first_pending;
	uint64_t size; /* durable, bytes */
	uint64_t physical; /* bytes of @fd: durable data may lie beyond the durable size */

	/* The current crash image. */
	uint64_t limit; /* the file's size */
	struct survivor *survivors; /* the operations that were not durable, and their fates */
	size_t nr_survivors;
	struct undo *undo;
	size_t nr_undo, room_undo;
};

/* Open @path, a copy of image @file at position 0. The caller owns the file. */
void disk_open(struct disk *disk, const struct record *rec, unsigned int file, const char *path);
/* Close it; the current crash image stays in the file. */
void disk_close(struct disk *disk);
/* Make an image that a crash at @position may leave, chosen by @random. Positions must increase. */
void disk_crash(struct disk *disk, uint64_t position, uint64_t random);
/*
 * Permanently apply what flushes completed by @position cover. Overlapping writes that
 * were in flight together, which only bugs cause, end up in an order that depends on the
 * positions of these calls.
 */
void disk_settle(struct disk *disk, uint64_t position);
/* Undo the crash image: return to the durable state. */
void disk_undo(struct disk *disk);
/* Is @op, which is not durable, overwritten by the durable write @over: had it completed before? */
bool disk_lies_below(const struct rec_op *op, const struct rec_op *over);
/* Turn @path, a copy of image @file at position 0, into what the kernel shows after the losses. */
void disk_replay(const struct record *rec, unsigned int file, const char *path);
/* Print the survivors, as comment lines. */
void disk_explain(const struct disk *disk);

/* ---- model.c ---- */

struct model {
	const struct record *rec;
	uint32_t *first; /* by arena sector: where its events start; one more at the end */
	uint32_t *events; /* indices of guest requests, by sector, in order of issue */
	uint64_t *durable; /* by event: the position from which it, or a later one, is durable */
	int32_t *base; /* by sector: the last durable event, from @first on; -1: none */
};

void model_init(struct model *model, const struct record *rec);
void model_destroy(struct model *model);
/*
 * Return true when arena sector @s may have @version after a crash at @position.
 * Positions must increase.
 */
bool model_allows(struct model *model, uint64_t s, uint64_t position, uint32_t version);
/*
 * Return true when @version in arena sector @s is from the last completed request, or
 * a later one.
 */
bool model_keeps_answered(const struct model *model, uint64_t s, uint32_t version);
/* Print the allowed versions, as comment lines. */
void model_explain(const struct model *model, uint64_t s, uint64_t position);

/* ---- judge.c ---- */

/* The files of a round, in a directory of their own. */
struct files {
	char dir[64];
	struct image_files {
		char live[PATH_MAX]; /* the image that the workload runs on */
		char start[PATH_MAX]; /* a copy of it before the round */
		/* A crash image; the base's has the same name as the live one. */
		char crash[PATH_MAX];
		char next[PATH_MAX]; /* the crash image that the next round starts from */
	} image[MAX_FILES];
	char copy[PATH_MAX]; /* a writable copy of a crash image */
	char raw[PATH_MAX]; /* qemu-img's raw copy of it */
	char backing[PATH_MAX];
	char other[PATH_MAX]; /* the other backing file to rebase onto */
	char middle[PATH_MAX]; /* an image between the guest's and the backing file */
};

struct judge {
	const struct record *rec;
	const struct files *files;
	struct model model;
	uint8_t *content; /* the arena, as read from the crash image */
	uint32_t *kept; /* by arena sector: its version in files->next */
	bool refused; /* the crash image is not openable: a conversion was incomplete */
	uint64_t nr_refused;
	bool dirty; /* the crash image needs a check: files->copy was checked and judged instead */
};

void judge_init(struct judge *judge, const struct record *rec, const struct files *files);
void judge_destroy(struct judge *judge);
/*
 * Judge the current crash image. Returns false after printing what is wrong, as
 * comment lines. Coroutine; yields.
 */
bool judge_co_image(struct judge *judge, uint64_t position);
/* Return the version of arena sector @s in judge->content, if the sector is in its place. */
uint32_t judge_version(const struct judge *judge, uint64_t s, uint64_t *sector);
/* Print the content of arena sector @s and the allowed versions, as comment lines. */
void judge_explain(const struct judge *judge, uint64_t s, uint64_t position);
/* Open @path read-only, check for corruptions, and read the arena to @content. */
bool judge_co_read(const struct record *rec, const char *path, uint8_t *content);

/* sample.c: more expensive checks of a crash image that was found good. Coroutines; both yield. */
bool sample_co_qemu(struct judge *judge);
bool sample_co_writing(struct judge *judge, uint64_t random);

/* ---- unreadable.c: a disk that cannot read blocks it was writing ---- */

struct blk_file;
/* Choose unreadable blocks of the current crash image. */
void unreadable_choose(const struct disk *disk, uint64_t random);
/* Note that @file was opened. */
void unreadable_opened(struct blk_file *file);
/* Call judge_co_image() with the unreadable blocks, and without. */
bool unreadable_co_judge(struct judge *judge, uint64_t position, uint64_t random);
void unreadable_explain(void);

/* ---- workload.c and guest.c ---- */

struct workload {
	const char *name;
	uint32_t cluster_size, table_size;
	uint32_t align;
	uint32_t spots;
	uint64_t spot_bytes, spot_stride;
	unsigned int backing; /* size of the backing file, in percent of the guest's disk */
	bool copy_on_read;
	bool stream; /* stream while the guest runs, sometimes to the end */
	enum chain_verb verb; /* done after each session; a conversion has no sessions */
	unsigned int kills; /* percent of the sessions in which the server is killed */
	bool rescue; /* the rescue area survives */
	bool failing; /* writes and flushes fail sometimes */
	uint32_t sector; /* of the disk, bytes; 0: 512 */
	bool unreadable; /* the disk may fail to read blocks it was writing */
	uint32_t l2_cache; /* bytes, 0: the default */
	unsigned int loops, workers; /* threads, and coroutines in each */
	unsigned int ops; /* total of all workers in all sessions */
	unsigned int sessions; /* number of times the image is opened and closed */
	/* Per 100 requests; the rest are reads. */
	unsigned int writes, fuas, zeroes, discards, flushes;
	unsigned int resizes; /* per 100 requests of the first worker */
	/* The test fails unless these happen. */
	bool must_reuse, must_evict, must_stream, must_restart;
};

extern const struct workload workloads[];
extern const unsigned int nr_workloads;

struct tally {
	uint64_t images, rounds, file_ops, guest_ops;
	uint64_t reused, evicted, populated, streamed, chained, refused, restarted, resized;
};

/* ---- chain.c: images that are committed and rebased ---- */

/* Return an image's version of guest sector @sector. */
typedef uint32_t version_fn(const struct geometry *geo, uint64_t sector);

void make_raw(const struct geometry *geo, const char *path, uint64_t bytes, version_fn *version);
/* Create the files below the image, and the image; for a conversion an empty file. */
void chain_co_make(const struct geometry *geo, const struct files *files);
/* Create all files except the images that a record has. Yields. */
void chain_co_make_backing(const struct geometry *geo, const struct files *files);
/* Write some data to the image at @path, or to its first part. Yields. */
void chain_co_fill(const struct geometry *geo, const char *path);
/* Commit or rebase the live image, recorded. Returns false if that failed. Yields. */
bool chain_co_verb(const struct record *rec, const struct files *files);

/* ---- damage.c: images that need a check ---- */

/* Return true when clusters are referenced twice, which only a check repairs. */
static inline bool damage_names_twice(const struct geometry *geo)
{
	return geo->verb == CHAIN_CHECKED && geo->seed & 1;
}

/* Damage the new live image; files->copy becomes the repaired one. Yields. */
void damage_co_make(const struct record *rec, const struct files *files);
/* Check and repair the image. Returns false after printing an error. Yields. */
bool damage_co_check(const char *path);
bool damage_is_dirty(const char *path);

/* ---- convert.c: an image converted from another one ---- */

/* Create the live image, recorded. Returns false if that failed. Yields. */
bool convert_co_run(struct record *rec, const struct files *files);
/* The same as judge_co_image(), for such an image. */
bool convert_co_judge(struct judge *judge, uint64_t position);

/*
 * Run the workload on the live images, recorded. Returns false if a read returned
 * wrong data. Yields.
 */
bool workload_co_run(const struct workload *w, struct record *rec, const struct files *files,
		     struct tally *tally);

/* The guest, whose workers each send one request after another. */
struct guest {
	const struct workload *w;
	struct record *rec;
	const struct files *files;
	struct blk_node *node;
	/* By arena sector: the version of the last request; VERSION_GARBAGE: unknown. */
	uint32_t *current;
	unsigned int owners;
	bool broken; /* the previous session did not close the image */
	bool streaming;
	uint64_t resized; /* number of times that the disk became longer or shorter */
	_Atomic uint64_t next_block; /* for blocks written sequentially */
	_Atomic bool failed;
};

void guest_co_work(struct guest *guest, unsigned int owner, unsigned int ops, uint64_t seed);

/* ---- round.c ---- */

struct options {
	uint64_t seed, images;
	const char *workload; /* NULL: all */
	const char *keep; /* directory for the record of a failure */
	const char *replay;
	long image; /* number of the image in the replayed record; -1: all */
};

/* Both run in a coroutine, print the verdict, and return true on success. */
bool round_co_workload(const struct workload *w, const struct options *opts, uint64_t images,
		       struct tally *total);
bool round_co_replay(const struct options *opts);

#endif
