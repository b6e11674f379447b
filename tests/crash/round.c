// SPDX-License-Identifier: GPL-2.0
/*
 * A round: a workload recorded, crash images made of the record and judged.
 *
 * Two of three rounds go on with a crash image of the round before, so that what
 * a crash leaked is found, and used again, and crashes too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "crash.h"

#define IMAGES_PER_ROUND 100u
#define QEMU_EVERY	 500u
#define WRITING_EVERY	 50u
#define ROUNDS_IN_CHAIN	 3u

static void make_files(struct files *files)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

	memset(files, 0, sizeof(*files));
	snprintf(files->dir, sizeof(files->dir), "%s/qedblk-crash-XXXXXX", base ? base : "/tmp");
	CHECK(mkdtemp(files->dir));
	snprintf(files->live, sizeof(files->live), "%s/live.qed", files->dir);
	snprintf(files->start, sizeof(files->start), "%s/start.qed", files->dir);
	snprintf(files->crash, sizeof(files->crash), "%s/crash.qed", files->dir);
	snprintf(files->next, sizeof(files->next), "%s/next.qed", files->dir);
	snprintf(files->copy, sizeof(files->copy), "%s/copy.qed", files->dir);
	snprintf(files->raw, sizeof(files->raw), "%s/qemu.raw", files->dir);
	snprintf(files->backing, sizeof(files->backing), "%s/backing.raw", files->dir);
}

static void remove_files(const struct files *files)
{
	const char *const paths[] = { files->live, files->start, files->crash,	files->next,
				      files->copy, files->raw,	 files->backing };

	for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++)
		(void)unlink(paths[i]);
	(void)rmdir(files->dir);
}

static void make_backing(const struct geometry *geo, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t words[SECTOR_SIZE / 8];

	CHECK(fd >= 0 && ftruncate(fd, geo->backing_bytes) == 0);
	for (uint64_t s = 0; s < geo->backing_bytes / SECTOR_SIZE; s++) {
		if (backing_version(geo, s) == VERSION_ZERO)
			continue;
		sector_fill(words, s, VERSION_BACKING);
		CHECK(pwrite(fd, words, SECTOR_SIZE, s * SECTOR_SIZE) == SECTOR_SIZE);
	}
	close(fd);
}

static void fill_geometry(struct geometry *geo, const struct workload *w, uint64_t seed,
			  uint32_t round)
{
	memset(geo, 0, sizeof(*geo));
	snprintf(geo->workload, sizeof(geo->workload), "%s", w->name);
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
	/* A quarter, in whole clusters from the end on; spots are few clusters each. */
	if (w->spots == 1)
		geo->scratch = (geo->size - round_down(geo->size * 3 / 4, geo->cluster_size)) /
			       SECTOR_SIZE;
	geo->first_version = VERSION_FIRST;
}

/* A new image, and what it reads as. */
static void co_make_image(struct record *rec, const struct files *files)
{
	const struct geometry *geo = &rec->geo;
	struct blk_create_opts opts = {
		.filename = files->live,
		.format = "qed",
		.size = geo->size,
		.cluster_size = geo->cluster_size,
		.table_size = geo->table_size,
		.backing_file = geo->backing_bytes ? "backing.raw" : NULL,
		.backing_format = "raw",
	};

	make_backing(geo, files->backing);
	CHECK(blk_co_create(&opts, NULL) == 0);
	for (uint64_t s = 0; s < arena_sectors(geo); s++)
		rec->initial[s] = backing_version(geo, guest_sector(geo, s));
}

/* Keep the crash image that is there, and was judged, for the next round. */
static void keep_crash(struct judge *judge)
{
	uint64_t sector;

	copy_sparse(judge->files->crash, judge->files->next);
	for (uint64_t s = 0; s < arena_sectors(&judge->rec->geo); s++)
		judge->kept[s] = sector_identify(judge->content + s * SECTOR_SIZE, &sector);
}

static void go_on_with_crash(struct record *rec, const struct judge *before,
			     const struct files *files)
{
	copy_sparse(files->next, files->live);
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

/* Where power is lost: two of three times anywhere, else around a flush of the image file. */
static uint64_t *choose_positions(const struct record *rec)
{
	uint64_t *positions = calloc(rec->geo.images, sizeof(*positions));
	uint64_t random = mix64(rec->geo.seed), start, end;

	CHECK(positions);
	for (uint32_t i = 0; i < rec->geo.images; i++) {
		const struct rec_op *op = &rec->ops[next_random(&random) % rec->nr_ops];

		start = 0;
		end = rec->position;
		if (i % 3 == 0) {
			while (op > rec->ops && op->kind != REC_FLUSH)
				op--;
			start = op->start;
			end = min_u64(op->end, end);
		}
		positions[i] = start + next_random(&random) % (end - start + 1);
	}
	qsort(positions, rec->geo.images, sizeof(*positions), compare_positions);
	return positions;
}

/* One crash image: made and judged. */
static bool co_image(struct judge *judge, struct disk *disk, uint32_t image, uint64_t position)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t random = mix64(geo->seed ^ mix64(image + 1));

	disk_crash(disk, position, mix64(random));
	if (!judge_co_image(judge, position))
		return false;
	if (image == geo->seed % geo->images)
		keep_crash(judge);
	if (wanted(geo->seed, image, QEMU_EVERY) && !sample_co_qemu(judge))
		return false;
	return !wanted(geo->seed, image, WRITING_EVERY) || sample_co_writing(judge, random);
}

static void keep_record(const struct judge *judge, const struct options *opts, uint32_t image)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/crash-%s-%016" PRIx64 ".record", opts->keep,
		 judge->rec->geo.workload, judge->rec->geo.seed);
	if (!record_save(judge->rec, judge->files->start, path)) {
		printf("# the record could not be saved as %s\n", path);
		return;
	}
	printf("# again: qed_crash --replay %s --image %u\n", path, image);
}

static void explain_failure(const struct judge *judge, const struct disk *disk, uint32_t image)
{
	const struct record *rec = judge->rec;

	printf("# crash image %u of %u, at position %" PRIu64 " of %" PRIu64 "\n", image,
	       rec->geo.images, disk->position, rec->position);
	disk_explain(disk);
}

/* Judge the record's crash images: all, or image @only.  The number of good ones. */
static uint32_t co_judge(struct judge *judge, const struct options *opts, long only, bool *ok)
{
	const struct geometry *geo = &judge->rec->geo;
	uint64_t *positions = choose_positions(judge->rec);
	struct disk disk;
	uint32_t good = 0;

	copy_sparse(judge->files->start, judge->files->crash);
	disk_open(&disk, judge->rec, judge->files->crash);
	for (uint32_t i = 0; *ok && i < geo->images; i++) {
		if (only >= 0 && i != only)
			continue;
		*ok = co_image(judge, &disk, i, positions[i]);
		if (*ok) {
			good++;
			continue;
		}
		explain_failure(judge, &disk, i);
		if (!opts->replay)
			keep_record(judge, opts, i);
	}
	disk_close(&disk);
	free(positions);
	return good;
}

/* One round's record and verdicts, which the next one may start from. */
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
	if (before)
		go_on_with_crash(&round->rec, &before->judge, files);
	else
		co_make_image(&round->rec, files);
	copy_sparse(files->live, files->start);
	*ok = workload_co_run(w, &round->rec, files, tally);
	judge_init(&round->judge, &round->rec, files);
	if (*ok)
		tally->images += co_judge(&round->judge, opts, -1, ok);
	else
		printf("# that was no crash, but the guest at work\n");
	tally->rounds++;
	tally->file_ops += round->rec.nr_ops;
	tally->guest_ops += round->rec.nr_guest;
	return round;
}

/* Did what the workload is for happen at all? */
static const char *missing(const struct workload *w, const struct tally *tally)
{
	/* Few images, asked for by hand, may be too few. */
	if (tally->rounds < ROUNDS_IN_CHAIN)
		return NULL;
	if (w->must_reuse && !tally->reused)
		return "no freed cluster was used again";
	if (w->must_evict && !tally->evicted)
		return "no L2 slice was evicted";
	if (w->must_stream && !tally->streamed)
		return "no stream came to its end";
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

	make_files(&files);
	while (ok && tally.images < images) {
		struct geometry geo;
		struct round *round;

		fill_geometry(&geo, w, opts->seed, tally.rounds);
		geo.images = min_u64(IMAGES_PER_ROUND, images - tally.images);
		if (tally.rounds % ROUNDS_IN_CHAIN == 0) {
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
	struct record rec;
	struct judge judge;
	struct files files;
	uint32_t good = 0;
	bool ok = true;

	make_files(&files);
	if (record_load(&rec, files.start, opts->replay)) {
		make_backing(&rec.geo, files.backing);
		judge_init(&judge, &rec, &files);
		good = co_judge(&judge, opts, opts->image, &ok);
		printf("%s %s: %u images were good\n", ok ? "ok" : "not ok", rec.geo.workload,
		       good);
		judge_destroy(&judge);
		record_destroy(&rec);
	} else {
		printf("not ok %s: cannot be read\n", opts->replay);
		ok = false;
	}
	remove_files(&files);
	return ok;
}
