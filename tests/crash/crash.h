/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Power-loss simulation of the QED driver: what its files share.
 *
 * A round: a workload runs on a new image (or on what an earlier crash left);
 * record.c notes all that reaches the image file and all that the guest asked
 * and was told, each with its position in one common order.  Then disk.c makes
 * the images that a loss of power at some position may have left, and judge.c
 * looks at each: it must be a consistent image, and each guest sector must
 * hold what model.c allows.
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

#define BLOCK	      4096u /* bytes: what guest requests are mostly made of */
#define BLOCK_SECTORS (BLOCK / SECTOR_SIZE)

/* ---- content.c ---- */

/*
 * What a sector holds is a version: 0 is zeroes, 1 the backing file's bytes,
 * above that the write that brought it.
 */
#define VERSION_ZERO	0u
#define VERSION_BACKING 1u
#define VERSION_FIRST	2u
/* What images that are committed to and rebased onto have of their own. */
#define VERSION_OTHER	(UINT32_MAX - 2)
#define VERSION_GARBAGE UINT32_MAX
/* What clusters have that were named twice. */
#define VERSION_SHARED (UINT32_MAX - 3)

/* Fill 512 bytes with guest sector @sector's content in version @version. */
void sector_fill(void *buf, uint64_t sector, uint32_t version);
/* The version that 512 bytes hold, and of which guest sector (not for VERSION_ZERO). */
uint32_t sector_identify(const void *buf, uint64_t *sector);

/* ---- The shape of an image and of the part of it that the guest uses ---- */

/*
 * The guest uses @spots ranges of @spot_bytes, @spot_stride apart, which are
 * counted through in "arena" sectors.  All plain numbers: it is saved as it is.
 */
enum chain_verb {
	CHAIN_LEFT_ALONE,
	CHAIN_COMMITTED,
	CHAIN_REBASED,
	CHAIN_CONVERTED,
	CHAIN_CHECKED, /* it needs a check at first */
	CHAIN_TO_BASE, /* an image in the middle is streamed from, and goes, beside the guest */
};

/*
 * The image files that are written to: the guest's, and where it is committed the one below it,
 * which has the backing file of all.
 */
enum { FILE_TOP, FILE_BASE, MAX_FILES };

struct geometry {
	char workload[32];
	char dir[64]; /* the round's files; images name it, where they name their backing file */
	uint64_t seed;
	uint32_t round, images; /* crash images to make of this round */
	uint32_t cluster_size, table_size;
	uint32_t align; /* of the image file's I/O, bytes; 1: none */
	uint32_t spots;
	uint64_t spot_bytes, spot_stride;
	uint64_t size; /* bytes, of the guest's disk */
	uint64_t backing_bytes; /* 0: no backing file */
	uint64_t scratch; /* the last so many arena sectors; see guest.c */
	uint32_t first_version; /* of this round's first request */
	uint32_t verb; /* enum chain_verb: what is done after each session, or in place of all */
	uint32_t sector; /* bytes that the disk writes as a whole: 512 or 4096 */
	uint32_t unreadable; /* it may not be able to read what it was writing */
};

/* Is it done after each session? */
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

/* What the backing file has there: VERSION_BACKING or VERSION_ZERO. */
uint32_t backing_version(const struct geometry *geo, uint64_t sector);

/* Which sector content of @version in arena sector @s names. */
static inline uint64_t named_sector(const struct geometry *geo, uint64_t s, uint32_t version)
{
	uint64_t sector = guest_sector(geo, s);

	return version == VERSION_SHARED ? sector % (geo->cluster_size / SECTOR_SIZE) : sector;
}

/* ---- record.c ---- */

/* A durable write is on the disk when it has returned, by itself. */
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
	uint64_t start, end; /* positions of the call and of its return */
	uint64_t offset, len; /* bytes; of a truncation: the sizes before and after */
	uint64_t lost; /* position of the failed flush that threw it away, NEVER: none did */
	uint8_t *data; /* of a write */
	uint8_t *old; /* of zeroes in the page cache beside O_DIRECT: what they replaced */
	bool grows; /* it ends behind the file's end as it was when it was called */
	bool cached; /* it goes through the page cache */
};

enum guest_kind {
	GUEST_WRITE,
	GUEST_ZERO_KEEP,
	GUEST_ZERO_UNMAP,
	GUEST_DISCARD,
	GUEST_RESTART, /* the server was killed: what its successor shows of the whole arena */
	GUEST_FLUSH,
	GUEST_CLOSE, /* closing the image: durable like a flush */
	GUEST_CONVERT, /* making all of the image; durable */
};

struct guest_op {
	enum guest_kind kind;
	uint32_t fua;
	uint64_t issue, ack; /* positions */
	uint64_t sector, count; /* arena sectors that it changes */
	uint64_t restart; /* of a restart: its number, counted from 0 */
};

struct record {
	struct geometry geo;
	pthread_mutex_t lock; /* all of the following */
	uint64_t position; /* of the last event; the first is 1 */
	struct rec_op *ops; /* in the order of their calls */
	size_t nr_ops, room_ops;
	struct guest_op *guest; /* in the order of their issue; version first_version + index */
	size_t nr_guest, room_guest;
	uint32_t *initial; /* version of each arena sector at position 0 */
	uint32_t *restarts; /* by restart, version of each arena sector at it */
	size_t nr_restarts;
	_Atomic uint64_t jitter; /* state of the delays and of what goes wrong */
	_Atomic bool header_written; /* since the session began */

	/* What goes wrong while the workload runs; fault.c. */
	struct faults {
		_Atomic bool dead; /* the server was killed: it does nothing any more */
		_Atomic bool lossy; /* a flush has failed: what is not durable may be gone */
		uint64_t kill_in; /* file operations from now; 0: it is not killed */
		bool kill_at_flush; /* at the first flush after that */
		uint64_t died; /* position at which it was */
		bool failing; /* writes and flushes fail now and then */
		bool losses; /* a failed flush has lost something */
		uint64_t flushed; /* what returned before this position is durable */
		struct rescue *rescue; /* what survives the server, or NULL */
	} faults;
};

void record_init(struct record *rec, const struct geometry *geo);
void record_destroy(struct record *rec);
struct files;
/*
 * From now on who opens one of @files that the workload runs on is recorded to @rec (NULL:
 * nobody is), and who opens the backing file is slowed down.
 */
void record_files(struct record *rec, const struct files *files);
/* Meanwhile nobody else is. */
void record_pause(bool pause);
/* Note a request of the guest, and its answer.  The result is its index. */
size_t record_issue(struct record *rec, enum guest_kind kind, bool fua, uint64_t sector,
		    uint64_t count);
void record_ack(struct record *rec, size_t index);

/* The version that the guest's request @index leaves in arena sector @s. */
static inline uint32_t op_version(const struct record *rec, size_t index, uint64_t s)
{
	const struct guest_op *op = &rec->guest[index];

	if (op->kind == GUEST_RESTART)
		return rec->restarts[op->restart * arena_sectors(&rec->geo) + s];
	return op->kind == GUEST_WRITE ? rec->geo.first_version + (uint32_t)index : VERSION_ZERO;
}

/* The server was killed and its successor has come: what it shows of each arena sector. */
void record_restart(struct record *rec, const uint32_t *versions);

/* ---- fault.c: a server that is killed, and a disk that fails ---- */

/* One of so many fails, where the disk does. */
#define WRITES_PER_FAILURE	150u
#define FLUSHES_PER_FAILURE	12u
#define ZEROES_PER_FAILURE	40u
#define TRUNCATIONS_PER_FAILURE 4u

struct workload;
/* Before a session: choose what goes wrong in it.  @ops: about how many file operations it has. */
void fault_arm(struct record *rec, const struct workload *w, uint64_t ops, uint64_t random);
/* After it: nothing more does. */
void fault_disarm(struct record *rec);
/* A file operation comes; the server may be killed before it. */
void fault_count(struct record *rec, bool is_flush);
/*
 * How many bytes, in units, of write @op reach the file.  *@ret is 0, or -EIO: it failed, or nobody
 * is there to be told.
 */
size_t fault_write(struct record *rec, size_t op, size_t len, uint32_t unit, int *ret);
/* The same for another operation: 0, or -EIO and it does not happen. */
int fault_op(struct record *rec, size_t op, unsigned int per_failure);
/* Flush @op has failed: the page cache of the file, @live, loses some of what is not durable. */
void fault_lose(struct record *rec, size_t op, const char *live);
/* What is in the file now (heap). */
uint8_t *fault_read_old(const char *live, uint64_t offset, uint64_t len);
/* The page cache of the live image is dropped: what failed flushes lost is seen to be gone. */
void fault_drop_cache(const struct record *rec, const struct files *files);

/* ---- rescue.c: what survives a server that is killed (format/qed/rescue.h) ---- */

/* The server is to have it: from now on to rescue_end(). */
void rescue_begin(struct record *rec);
void rescue_end(struct record *rec);
struct blk_rescue;
struct blk_node;
/* What to open the image with; NULL: nothing survives. */
const struct blk_rescue *rescue_before_open(struct record *rec);
void rescue_opened(struct record *rec, struct blk_node *node);
void rescue_closed(struct record *rec);
/* The server is being killed: between these two nothing of it changes; then there is a copy. */
void rescue_freeze(struct record *rec);
void rescue_thaw(struct record *rec);

/* ---- save.c: a record, with the images that it starts from, in a file ---- */

bool record_save(const struct record *rec, const struct files *files, const char *path);
bool record_load(struct record *rec, const struct files *files, const char *path);
/* No more than what it begins with. */
bool record_load_geometry(struct geometry *geo, const char *path);
/* Copy what is data; the copy has the same size.  @to is overwritten. */
void copy_sparse(const char *from, const char *to);

/* ---- disk.c ---- */

enum fate { FATE_LOST, FATE_WHOLE, FATE_TORN };

struct survivor {
	size_t op;
	enum fate fate;
	uint64_t sectors; /* torn: the first 64 sectors, a bit each */
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
	uint64_t settled; /* what returned before this position is durable */
	bool *durable; /* by op: applied for good, lost for good, or another file's */
	size_t first_pending;
	uint64_t size; /* durable, bytes */
	uint64_t physical; /* bytes of @fd: durable data may lie behind the durable size */

	/* Of the crash image that is there now. */
	uint64_t limit; /* the file's size */
	struct survivor *survivors; /* what was not durable and its fate */
	size_t nr_survivors;
	struct undo *undo;
	size_t nr_undo, room_undo;
};

/* @path is a copy of image @file at position 0, and stays the caller's. */
void disk_open(struct disk *disk, const struct record *rec, unsigned int file, const char *path);
/* The crash image that is there stays. */
void disk_close(struct disk *disk);
/* Make the image that a crash at @position leaves; positions rise.  @random chooses. */
void disk_crash(struct disk *disk, uint64_t position, uint64_t random);
/*
 * Apply for good what the flushes that returned by @position cover.  Writes to one place
 * that were in flight together, as only bugs have them, end up in an order that depends
 * on where this is done.
 */
void disk_settle(struct disk *disk, uint64_t position);
/* Back to what is durable. */
void disk_undo(struct disk *disk);
/* Make @path, a copy of image @file at position 0, what the kernel shows without what was lost. */
void disk_replay(const struct record *rec, unsigned int file, const char *path);
/* Print the survivors, as comment lines. */
void disk_explain(const struct disk *disk);

/* ---- model.c ---- */

struct model {
	const struct record *rec;
	uint32_t *first; /* by arena sector: where its events start; one more at the end */
	uint32_t *events; /* indices of guest ops, by sector, in order of issue */
	uint64_t *durable; /* by event: from here on it, or a later one, is durable */
	int32_t *base; /* by sector: the last event that is durable, from @first on; -1: none */
};

void model_init(struct model *model, const struct record *rec);
void model_destroy(struct model *model);
/* May arena sector @s hold @version after a crash at @position?  Positions rise. */
bool model_allows(struct model *model, uint64_t s, uint64_t position, uint32_t version);
/* Does @version in arena sector @s show the last request that was answered, or a later one? */
bool model_keeps_answered(const struct model *model, uint64_t s, uint32_t version);
/* Print what is allowed, as comment lines. */
void model_explain(const struct model *model, uint64_t s, uint64_t position);

/* ---- judge.c ---- */

/* The files of a round, in a folder of its own. */
struct files {
	char dir[64];
	struct image_files {
		char live[PATH_MAX]; /* what the workload runs on */
		char start[PATH_MAX]; /* a copy of it as it was before */
		char crash[PATH_MAX]; /* a crash image; the base's has the name that it lives by */
		char next[PATH_MAX]; /* the crash image that the next round starts from */
	} image[MAX_FILES];
	char copy[PATH_MAX]; /* a copy of a crash image, to be written to */
	char raw[PATH_MAX]; /* qemu-img's reading of it */
	char backing[PATH_MAX];
	char other[PATH_MAX]; /* what is rebased onto in turn with it */
	char middle[PATH_MAX]; /* an image between the guest's and the backing file */
};

struct judge {
	const struct record *rec;
	const struct files *files;
	struct model model;
	uint8_t *content; /* the arena, as read from the crash image */
	uint32_t *kept; /* by arena sector: the version in files->next */
	bool refused; /* the crash image is none: a conversion was not over */
	uint64_t nr_refused;
	bool dirty; /* the crash image needs a check: what was judged is files->copy after one */
};

void judge_init(struct judge *judge, const struct record *rec, const struct files *files);
void judge_destroy(struct judge *judge);
/*
 * Judge the crash image that is there.  Prints what is wrong, as comment
 * lines, and returns false.  Parks.
 */
bool judge_co_image(struct judge *judge, uint64_t position);
/* The version in arena sector @s of judge->content, if the sector is where it belongs. */
uint32_t judge_version(const struct judge *judge, uint64_t s, uint64_t *sector);
/* Print what is in arena sector @s and what is allowed, as comment lines. */
void judge_explain(const struct judge *judge, uint64_t s, uint64_t position);
/* Open @path (read-only), look for corruptions, and read the arena to @content. */
bool judge_co_read(const struct record *rec, const char *path, uint8_t *content);

/* sample.c: more expensive looks at a crash image that was found good.  Both park. */
bool sample_co_qemu(struct judge *judge);
bool sample_co_writing(struct judge *judge, uint64_t random);

/* ---- unreadable.c: a disk that cannot read what it was writing ---- */

struct blk_file;
/* Choose what of the crash image that is there. */
void unreadable_choose(const struct disk *disk, uint64_t random);
/* @file was opened. */
void unreadable_opened(struct blk_file *file);
/* judge_co_image() with that, and without. */
bool unreadable_co_judge(struct judge *judge, uint64_t position, uint64_t random);
void unreadable_explain(void);

/* ---- workload.c and guest.c ---- */

struct workload {
	const char *name;
	uint32_t cluster_size, table_size;
	uint32_t align;
	uint32_t spots;
	uint64_t spot_bytes, spot_stride;
	unsigned int backing; /* percent of the guest's disk that the backing file has */
	bool copy_on_read;
	bool stream; /* beside the guest, at times to its end */
	enum chain_verb verb; /* after each session; a conversion has none */
	unsigned int kills; /* percent of the sessions in which the server is killed */
	bool rescue; /* its memory of what is not committed survives */
	bool failing; /* writes and flushes fail now and then */
	uint32_t sector; /* of the disk, bytes; 0: 512 */
	bool unreadable; /* the disk may not be able to read what it was writing */
	uint32_t l2_cache; /* bytes, 0: the default */
	unsigned int loops, workers; /* threads, and coroutines in each */
	unsigned int ops; /* of all workers together, in all sessions */
	unsigned int sessions; /* how many times the image is opened and closed */
	/* Of 100 requests; what is left are reads. */
	unsigned int writes, fuas, zeroes, discards, flushes;
	/* It is no test unless that happens. */
	bool must_reuse, must_evict, must_stream, must_restart;
};

extern const struct workload workloads[];
extern const unsigned int nr_workloads;

struct tally {
	uint64_t images, rounds, file_ops, guest_ops;
	uint64_t reused, evicted, populated, streamed, chained, refused, restarted;
};

/* ---- chain.c: images that are committed and rebased ---- */

/* What an image has at guest sector @sector. */
typedef uint32_t version_fn(const struct geometry *geo, uint64_t sector);

void make_raw(const struct geometry *geo, const char *path, uint64_t bytes, version_fn *version);
/* Make the files below the image, and the image: of one that is converted to, an empty file. */
void chain_co_make(const struct geometry *geo, const struct files *files);
/* All but the images that a record has.  Parks. */
void chain_co_make_backing(const struct geometry *geo, const struct files *files);
/* Give the image at @path, or its first part, some content of its own.  Parks. */
void chain_co_fill(const struct geometry *geo, const char *path);
/* Commit or rebase the live image; recorded.  False: it failed.  Parks. */
bool chain_co_verb(const struct record *rec, const struct files *files);

/* ---- damage.c: images that need a check ---- */

/* Are there clusters that are named twice?  Only a check mends that. */
static inline bool damage_names_twice(const struct geometry *geo)
{
	return geo->verb == CHAIN_CHECKED && geo->seed & 1;
}

/* Damage the new live image; files->copy is what it is after a check.  Parks. */
void damage_co_make(const struct record *rec, const struct files *files);
/* Check the image and mend all.  False: it failed, and was printed.  Parks. */
bool damage_co_check(const char *path);
bool damage_is_dirty(const char *path);

/* ---- convert.c: an image that is made of another one ---- */

/* Make the live image, recorded.  False: it failed.  Parks. */
bool convert_co_run(struct record *rec, const struct files *files);
/* judge_co_image() for such an image. */
bool convert_co_judge(struct judge *judge, uint64_t position);

/* Run the workload on the live images, recording.  False: a reader was lied to.  Parks. */
bool workload_co_run(const struct workload *w, struct record *rec, const struct files *files,
		     struct tally *tally);

/* A worker's request after request, until it has made @ops. */
struct guest {
	const struct workload *w;
	struct record *rec;
	const struct files *files;
	struct blk_node *node;
	/* By arena sector: the version that the last request left; VERSION_GARBAGE: unknown. */
	uint32_t *current;
	unsigned int owners;
	bool broken; /* the session before did not close the image */
	bool streaming;
	_Atomic uint64_t next_block; /* of those that are written one after the other */
	_Atomic bool failed;
};

void guest_co_work(struct guest *guest, unsigned int owner, unsigned int ops, uint64_t seed);

/* ---- round.c ---- */

struct options {
	uint64_t seed, images;
	const char *workload; /* NULL: all */
	const char *keep; /* folder for the record of a failure */
	const char *replay;
	long image; /* of the replayed record; -1: all */
};

/* Both run in a coroutine, print the verdict, and return whether all was well. */
bool round_co_workload(const struct workload *w, const struct options *opts, uint64_t images,
		       struct tally *total);
bool round_co_replay(const struct options *opts);

#endif
