// SPDX-License-Identifier: GPL-2.0
/*
 * A round: record a workload, make crash images from the record and judge them. Two of
 * three rounds start from a crash image of the previous round, so that clusters leaked
 * by a crash are found and reused, and that crashes, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/io.h"
#include "crash.h"

#define IMAGES_PER_ROUND 100u
#define QEMU_EVERY	 500u
#define WRITING_EVERY	 50u
#define ROUNDS_IN_CHAIN	 3u

static void name_image(const char *dir, struct image_files *image, unsigned int i, const char *live,
		       const char *crash)
{
	snprintf(image->live, sizeof(image->live), "%s/%s.qed", dir, live);
	snprintf(image->start, sizeof(image->start), "%s/start-%u.qed", dir, i);
	snprintf(image->crash, sizeof(image->crash), "%s/%s.qed", dir, crash);
	snprintf(image->next, sizeof(image->next), "%s/next-%u.qed", dir, i);
}

/*
 * Create the files in a new directory; for a saved record, in directory @dir, which
 * its images may name.
 */
static bool make_files(struct files *files, const char *dir)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
	int n;

	memset(files, 0, sizeof(*files));
	if (!base || strlen(base) > sizeof(files->dir) - 32)
		base = "/tmp";
	n = snprintf(files->dir, sizeof(files->dir), "%s/qedblk-crash-XXXXXX", base);
	CHECK(n < (int)sizeof(files->dir));
	if (dir)
		snprintf(files->dir, sizeof(files->dir), "%s", dir);
	if (dir ? mkdir(dir, 0700) : !mkdtemp(files->dir)) {
		printf("not ok %s: %s\n", files->dir, strerror(errno));
		return false;
	}
	name_image(files->dir, &files->image[FILE_TOP], FILE_TOP, "live", "crash");
	/* The image stores the name of its base, so the base has one name for all uses. */
	name_image(files->dir, &files->image[FILE_BASE], FILE_BASE, "base", "base");
	snprintf(files->copy, sizeof(files->copy), "%s/copy.qed", files->dir);
	snprintf(files->raw, sizeof(files->raw), "%s/qemu.raw", files->dir);
	snprintf(files->backing, sizeof(files->backing), "%s/backing.raw", files->dir);
	snprintf(files->other, sizeof(files->other), "%s/other.raw", files->dir);
	snprintf(files->middle, sizeof(files->middle), "%s/middle.qed", files->dir);
	return true;
}

static void remove_files(const struct files *files)
{
	const char *const paths[] = { files->copy, files->raw, files->backing, files->other,
				      files->middle };

	for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++)
		(void)unlink(paths[i]);
	for (unsigned int i = 0; i < MAX_FILES; i++) {
		(void)unlink(files->image[i].live);
		(void)unlink(files->image[i].start);
		(void)unlink(files->image[i].crash);
		(void)unlink(files->image[i].next);
	}
	(void)rmdir(files->dir);
}

static void fill_geometry(struct geometry *geo, const struct workload *w, const struct files *files,
			  uint64_t seed, uint32_t round)
{
	memset(geo, 0, sizeof(*geo));
	snprintf(geo->workload, sizeof(geo->workload), "%s", w->name);
	memcpy(geo->dir, files->dir, sizeof(geo->dir));
	geo->seed = mix64(seed ^ mix64((uint64_t)(w - workloads) << 32 | round));
	geo->round = round;
	geo->cluster_size = w->cluster_size;
	geo->table_size = w->table_size;
	geo->align = w->align;
	geo->spots = w->spots;
	geo->spot_bytes = w->spot_bytes;
	geo->spot_stride = w->spot_stride;
	geo->size = w->spots > 1 ? w->spots * w->spot_stride : w->spot_bytes;
	geo->backing_bytes = round_down(geo->size * w->backing / 100, SECTOR_SIZE);
	/*
	 * The scratch is a quarter of the arena, in whole clusters at the end; a spot has only a
	 * few clusters.
	 */
	if (w->spots == 1 && !w->resizes)
		geo->scratch = (geo->size - round_down(geo->size * 3 / 4, geo->cluster_size)) /
			       SECTOR_SIZE;
	geo->first_version = VERSION_FIRST;
	geo->verb = w->verb;
	geo->sector = w->sector ? w->sector : SECTOR_SIZE;
	geo->unreadable = w->unreadable;
	/* In the middle of a cluster. */
	if (w->resizes)
		geo->least_size = round_down(geo->size * 3 / 4, w->cluster_size) + BLOCK;
}

/* Record the initial content of a new image, since a base has data of its own. */
static void co_note_initial(struct record *rec, const struct files *files)
{
	bool checked = rec->geo.verb == CHAIN_CHECKED;
	const char *path = checked ? files->copy : files->image[FILE_TOP].live;
	uint64_t sectors = arena_sectors(&rec->geo), sector;
	uint8_t *content = aligned_alloc(BLOCK, round_up(sectors * SECTOR_SIZE, BLOCK));
	bool has_base = rec->geo.verb == CHAIN_COMMITTED || rec->geo.verb == CHAIN_TO_BASE ||
			checked;

	CHECK(content);
	CHECK(!has_base || judge_co_read(rec, path, content));
	for (uint64_t s = 0; s < sectors; s++)
		if (rec->geo.verb == CHAIN_CONVERTED)
			rec->initial[s] = VERSION_GARBAGE;
		else if (has_base)
			rec->initial[s] = sector_identify(content + s * SECTOR_SIZE, &sector);
		else
			rec->initial[s] = backing_version(&rec->geo, guest_sector(&rec->geo, s));
	free(content);
}

/* Keep the current crash image, which was judged, for the next round. */
static void keep_crash(struct judge *judge)
{
	uint64_t sector;

	for (unsigned int i = 0; i < nr_files(&judge->rec->geo); i++)
		copy_sparse(judge->files->image[i].crash, judge->files->image[i].next);
	for (uint64_t s = 0; s < arena_sectors(&judge->rec->geo); s++)
		judge->kept[s] = sector_identify(judge->content + s * SECTOR_SIZE, &sector);
}

static void go_on_with_crash(struct record *rec, const struct judge *before,
			     const struct files *files)
{
	for (unsigned int i = 0; i < nr_files(&rec->geo); i++)
		copy_sparse(files->image[i].next, files->image[i].live);
	memcpy(rec->initial, before->kept, arena_sectors(&rec->geo) * sizeof(*rec->initial));
	rec->geo.first_version = before->rec->geo.first_version + before->rec->nr_guest;
}

static bool wanted(uint64_t seed, uint32_t image, uint32_t every)
{
	return mix64(seed ^ every) % every == image % every;
}

static int compare_positions(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Return the image file's last flush before operation @i; in a conversion any flush,
 * with equal probability.
 */
static const struct rec_op *choose_flush(const struct record *rec, size_t i)
{
	size_t tries = rec->geo.verb == CHAIN_CONVERTED ? rec->nr_ops : 0;

	/* Step by a prime, so that the distance between flushes does not matter. */
	for (; tries && rec->ops[i].kind != REC_FLUSH; tries--)
		i = (i + 7919) % rec->nr_ops;
	while (i && rec->ops[i].kind != REC_FLUSH)
		i--;
	return &rec->ops[i];
}

/* Return the end of the next flush that starts at @position or later. */
static uint64_t next_flush(const struct record *rec, uint64_t position)
{
	for (size_t i = 0; i < rec->nr_ops; i++)
		if (rec->ops[i].kind == REC_FLUSH && rec->ops[i].start >= position)
			return min_u64(rec->ops[i].end, rec->position);
	return rec->position;
}

/*
 * Choose a growth of the file: the interval from it to the end of a flush that covers
 * it. False: none.
 */
static bool choose_growth(const struct record *rec, size_t i, uint64_t *start, uint64_t *end)
{
	for (size_t tries = 0; tries < rec->nr_ops; tries++, i = (i + 1) % rec->nr_ops) {
		const struct rec_op *op = &rec->ops[i];

		if (op->kind != REC_TRUNCATE || op->len < op->offset || op->end > rec->position)
			continue;
		*start = op->start;
		*end = next_flush(rec, op->end);
		return true;
	}
	return false;
}

/* Choose a restart: the interval from it until the content at that time is durable. False: none. */
static bool choose_restart(const struct record *rec, size_t i, uint64_t *start, uint64_t *end)
{
	size_t wanted = i % (rec->nr_restarts + 1);

	for (size_t g = 0; g < rec->nr_guest; g++)
		if (rec->guest[g].kind == GUEST_RESTART && rec->guest[g].restart == wanted) {
			*start = rec->guest[g].issue;
			*end = next_flush(rec, *start);
			return true;
		}
	return false;
}

/*
 * Choose the positions of power loss: half of them anywhere, the others around a flush of the
 * image file, while a growth of it is not durable, or after a restart. In a conversion mostly
 * around a flush: only there its order matters, all other operations are writes of data.
 */
static uint64_t *choose_positions(const struct record *rec)
{
	uint64_t *positions = calloc(rec->geo.images, sizeof(*positions));
	uint64_t random = mix64(rec->geo.seed), start, end;
	bool few = rec->geo.verb == CHAIN_CONVERTED;

	CHECK(positions);
	for (uint32_t i = 0; i < rec->geo.images; i++) {
		size_t op_index = next_random(&random) % rec->nr_ops;

		start = 0;
		end = rec->position;
		if ((i % 3 == 0) != few) {
			const struct rec_op *op = choose_flush(rec, op_index);

			start = op->start;
			end = min_u64(op->end, end);
		} else if (i % 6 == 1 && !choose_restart(rec, op_index, &start, &end)) {
			(void)choose_growth(rec, op_index, &start, &end);
		}
		positions[i] = start + next_random(&random) % (end - start + 1);
	}
	qsort(positions, rec->geo.images, sizeof(*positions), compare_positions);
	return positions;
}

/*
 * Choose any; of a conversion every other time the last one, so that the next round
 * finds a whole image.
 */
static uint32_t image_to_keep(const struct geometry *geo)
{
	if (geo->verb == CHAIN_CONVERTED && geo->seed >> 32 & 1)
		return geo->images - 1;
	return geo->seed % geo->images;
}

/* Make and judge one crash image, of all files. */
static bool co_image(struct judge *judge, struct disk *disks, uint32_t image, uint64_t position)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t random = mix64(geo->seed ^ mix64(image + 1));

	for (unsigned int i = 0; i < nr_files(geo); i++)
		disk_crash(&disks[i], position, mix64(random + i));
	if (geo->unreadable)
		unreadable_choose(&disks[FILE_TOP], random);
	if (geo->unreadable ? !unreadable_co_judge(judge, position, random) :
			      !judge_co_image(judge, position))
		return false;
	if (image == image_to_keep(geo))
		keep_crash(judge);
	if (judge->dirty || geo->unreadable)
		return true;
	if (wanted(geo->seed, image, QEMU_EVERY) && !sample_co_qemu(judge))
		return false;
	return judge->refused || !wanted(geo->seed, image, WRITING_EVERY) ||
	       sample_co_writing(judge, random);
}

static void keep_record(const struct judge *judge, const struct options *opts, uint32_t image)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/crash-%s-%016" PRIx64 ".record", opts->keep,
		 judge->rec->geo.workload, judge->rec->geo.seed);
	if (!record_save(judge->rec, judge->files, path)) {
		printf("# the record could not be saved as %s\n", path);
		return;
	}
	printf("# again: qed_crash --replay %s --image %u\n", path, image);
}

static void explain_failure(const struct judge *judge, const struct disk *disks, uint32_t image)
{
	const struct record *rec = judge->rec;

	printf("# crash image %u of %u, at position %" PRIu64 " of %" PRIu64 "\n", image,
	       rec->geo.images, disks->position, rec->position);
	for (unsigned int i = 0; i < nr_files(&rec->geo); i++)
		disk_explain(&disks[i]);
	if (rec->geo.unreadable)
		unreadable_explain();
}

/* Judge the record's crash images: all, or image @only. Returns the number of good ones. */
static uint32_t co_judge(struct judge *judge, const struct options *opts, long only, bool *ok)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t *positions = choose_positions(judge->rec);
	struct disk disks[MAX_FILES];
	uint32_t good = 0;

	for (unsigned int i = 0; i < nr_files(geo); i++) {
		copy_sparse(judge->files->image[i].start, judge->files->image[i].crash);
		disk_open(&disks[i], judge->rec, i, judge->files->image[i].crash);
	}
	for (uint32_t i = 0; *ok && i < geo->images; i++) {
		if (only >= 0 && i > only)
			break;
		if (only >= 0 && i < only) {
			for (unsigned int f = 0; f < nr_files(geo); f++)
				disk_settle(&disks[f], positions[i]);
			continue;
		}
		*ok = co_image(judge, disks, i, positions[i]);
		if (*ok) {
			good++;
			continue;
		}
		explain_failure(judge, disks, i);
		if (!opts->replay)
			keep_record(judge, opts, i);
	}
	for (unsigned int i = 0; i < nr_files(geo); i++)
		disk_close(&disks[i]);
	free(positions);
	return good;
}

/* A round's record and verdicts; the next round may start from it. */
struct round {
	struct record rec;
	struct judge judge;
};

static void round_free(struct round *round)
{
	if (!round)
		return;
	judge_destroy(&round->judge);
	record_destroy(&round->rec);
	free(round);
}

static struct round *co_round(const struct workload *w, const struct options *opts,
			      const struct files *files, const struct geometry *geo,
			      const struct round *before, struct tally *tally, bool *ok)
{
	struct round *round = calloc(1, sizeof(*round));

	CHECK(round);
	record_init(&round->rec, geo);
	if (before) {
		go_on_with_crash(&round->rec, &before->judge, files);
	} else {
		chain_co_make(geo, files);
		if (geo->verb == CHAIN_CHECKED)
			damage_co_make(&round->rec, files);
		co_note_initial(&round->rec, files);
	}
	for (unsigned int i = 0; i < nr_files(geo); i++)
		copy_sparse(files->image[i].live, files->image[i].start);
	*ok = workload_co_run(w, &round->rec, files, tally);
	judge_init(&round->judge, &round->rec, files);
	if (*ok)
		tally->images += co_judge(&round->judge, opts, -1, ok);
	else
		printf("# that was no crash, but the guest at work\n");
	tally->rounds++;
	tally->refused += round->judge.nr_refused;
	tally->file_ops += round->rec.nr_ops;
	tally->guest_ops += round->rec.nr_guest;
	return round;
}

/* Return what the workload must cause but did not, or NULL. */
static const char *missing(const struct workload *w, const struct tally *tally)
{
	/* A small number of images, given by an option, may be too few. */
	if (tally->rounds < ROUNDS_IN_CHAIN)
		return NULL;
	if (w->must_reuse && !tally->reused)
		return "no freed cluster was used again";
	if (w->must_restart && !tally->restarted)
		return "no server was killed";
	if (w->must_evict && !tally->evicted)
		return "no L2 slice was evicted";
	if (w->resizes && !tally->resized)
		return "the disk never changed its size";
	if (w->must_stream && !tally->streamed)
		return "no stream came to its end";
	if ((is_after_session(w->verb) || w->verb == CHAIN_CONVERTED) && !tally->chained)
		return "the chain never changed";
	if (w->verb == CHAIN_CONVERTED && (!tally->refused || tally->refused == tally->images))
		return "the image was whole always, or never";
	if (w->copy_on_read && !tally->populated)
		return "nothing was populated";
	return NULL;
}

static bool verdict(const struct workload *w, const struct options *opts, const struct tally *tally,
		    bool ok)
{
	const char *why = missing(w, tally);

	if (ok && !why) {
		printf("ok %s\n", w->name);
	} else {
		printf("not ok %s: %s\n", w->name, ok ? why : "see above");
		printf("# seed %" PRIu64 ", round %" PRIu64 "\n", opts->seed, tally->rounds);
	}
	printf("#   %" PRIu64 " images of %" PRIu64 " rounds: %" PRIu64 " guest requests, %" PRIu64
	       " file operations, %" PRIu64 " clusters used again, %" PRIu64 " populated\n",
	       tally->images, tally->rounds, tally->guest_ops, tally->file_ops, tally->reused,
	       tally->populated);
	fflush(stdout);
	return ok && !why;
}

bool round_co_workload(const struct workload *w, const struct options *opts, uint64_t images,
		       struct tally *total)
{
	struct round *before = NULL;
	struct tally tally = { 0 };
	struct files files;
	bool ok = true;

	if (!make_files(&files, NULL))
		return false;
	while (ok && tally.images < images) {
		struct geometry geo;
		struct round *round;

		fill_geometry(&geo, w, &files, opts->seed, tally.rounds);
		geo.images = min_u64(IMAGES_PER_ROUND, images - tally.images);
		/* Images that need a check are created anew each round. */
		if (tally.rounds % ROUNDS_IN_CHAIN == 0 || w->verb == CHAIN_CHECKED) {
			round_free(before);
			before = NULL;
		}
		round = co_round(w, opts, &files, &geo, before, &tally, &ok);
		round_free(before);
		before = round;
	}
	round_free(before);
	remove_files(&files);
	total->images += tally.images;
	total->rounds += tally.rounds;
	return verdict(w, opts, &tally, ok);
}

bool round_co_replay(const struct options *opts)
{
	struct geometry geo;
	struct record rec;
	struct judge judge;
	struct files files;
	uint32_t good = 0;
	bool ok = record_load_geometry(&geo, opts->replay);

	if (!ok)
		printf("not ok %s: is no record\n", opts->replay);
	if (!ok || !make_files(&files, geo.dir))
		return false;
	ok = record_load(&rec, &files, opts->replay);
	if (ok) {
		chain_co_make_backing(&rec.geo, &files);
		judge_init(&judge, &rec, &files);
		good = co_judge(&judge, opts, opts->image, &ok);
		printf("%s %s: %u images were good\n", ok ? "ok" : "not ok", rec.geo.workload,
		       good);
		judge_destroy(&judge);
		record_destroy(&rec);
	} else {
		printf("not ok %s: cannot be read\n", opts->replay);
	}
	remove_files(&files);
	return ok;
}
