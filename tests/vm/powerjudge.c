// SPDX-License-Identifier: GPL-2.0
/*
 * powerjudge: check an image after power was lost under `powerload load`.
 *
 *	powerjudge IMAGE HISTORY SINCE [UNTIL]
 *
 * SINCE and UNTIL are marks ("m12"), moments printed by `powerload now`, or "end".  The image must
 * open and be consistent without a check.  Each sector must hold the data of the last request that
 * was durable at SINCE, or of a later one that was issued by UNTIL; a failed request may have left
 * all, part or none of its data.  Print one line; the exit status is 1 if the image is wrong.
 */
#include "powerload.h"

#include "aio/loop.h"
#include "block/io.h"
#include "util/log.h"

struct judge {
	const struct history *h;
	const char *image;
	uint64_t since, until; /* moments */
	uint32_t *first, *by_sector; /* events of each sector, in order; as in a CSR matrix */
	uint64_t bad, durable, newer;
	int ret;
};

static bool changes(const struct event *event)
{
	uint32_t kind = atomic_load(&event->kind);

	return kind != NONE && kind != FLUSH;
}

/* Return the moment at which the last of the flushes that count was issued. */
static uint64_t last_flush(const struct judge *j)
{
	uint64_t last = 0;

	/* The image was closed at the end, which flushes it. */
	if (j->since == UINT64_MAX)
		return UINT64_MAX;
	for (uint64_t i = 0; i < atomic_load(&j->h->nr_events); i++) {
		const struct event *event = &j->h->events[i];
		uint64_t ack = atomic_load(&event->ack);

		if (atomic_load(&event->kind) == FLUSH && ack && ack <= j->since && !event->result)
			last = max_u64(last, event->issue);
	}
	return last;
}

static void sort_events(struct judge *j)
{
	uint64_t sectors = j->h->bytes / SECTOR_SIZE, nr = atomic_load(&j->h->nr_events);
	uint32_t *next = calloc(sectors + 1, sizeof(*next));

	j->first = calloc(sectors + 1, sizeof(*j->first));
	if (!next || !j->first)
		die("no memory");
	for (uint64_t i = 0; i < nr; i++)
		for (uint64_t s = 0; changes(&j->h->events[i]) && s < j->h->events[i].count; s++)
			j->first[j->h->events[i].sector + s + 1]++;
	for (uint64_t s = 0; s < sectors; s++)
		j->first[s + 1] += j->first[s];
	memcpy(next, j->first, (sectors + 1) * sizeof(*next));
	j->by_sector = calloc(j->first[sectors] + 1, sizeof(*j->by_sector));
	if (!j->by_sector)
		die("no memory");
	/* Requests for one sector have one issuer, which numbers them in order. */
	for (uint64_t i = 0; i < nr; i++)
		for (uint64_t s = 0; changes(&j->h->events[i]) && s < j->h->events[i].count; s++)
			j->by_sector[next[j->h->events[i].sector + s]++] = i;
	free(next);
}

static bool is_durable(const struct judge *j, const struct event *event, uint64_t flushed)
{
	uint64_t ack = atomic_load(&event->ack);

	if (!ack || event->result)
		return false;
	return ack < flushed || (atomic_load(&event->kind) == WRITE_FUA && ack <= j->since);
}

/* Return whether sector @s may hold @version. */
static bool allowed(struct judge *j, uint64_t s, uint32_t version, uint64_t flushed)
{
	uint32_t e = j->first[s + 1];

	while (e-- > j->first[s]) {
		const struct event *event = &j->h->events[j->by_sector[e]];

		if (event->issue > j->until)
			continue;
		if (is_durable(j, event, flushed)) {
			j->durable++;
			return version_of(j->h, event) == version;
		}
		if (version_of(j->h, event) == version) {
			j->newer++;
			return true;
		}
	}
	return version == backing_version(j->h->backing, j->h->cluster, s);
}

static void judge_sector(struct judge *j, const uint8_t *got, uint64_t s, uint64_t flushed)
{
	uint64_t found = s;
	uint32_t version = sector_identify(got, &found);

	if (version == VERSION_ZERO)
		found = s;
	if (version != VERSION_GARBAGE && found == s && allowed(j, s, version, flushed))
		return;
	if (j->bad++)
		return;
	printf("sector %" PRIu64 " holds version %" PRIu32 " of sector %" PRIu64 "\n", s, version,
	       found);
	for (uint32_t e = j->first[s]; e < j->first[s + 1]; e++) {
		const struct event *event = &j->h->events[j->by_sector[e]];

		printf("  version %" PRIu32 ": issued %" PRIu64 ", answered %" PRIu64
		       " with %d, %sdurable\n",
		       version_of(j->h, event), event->issue, atomic_load(&event->ack),
		       event->result, is_durable(j, event, flushed) ? "" : "not ");
	}
	printf("  between %" PRIu64 " (flush issued %" PRIu64 ") and %" PRIu64 "\n", j->since,
	       flushed, j->until);
}

static int co_contents(struct judge *j, struct blk_node *node)
{
	uint64_t flushed = last_flush(j), piece = 1 * MiB;
	uint8_t *buf = aligned_alloc(BLOCK, piece);
	int ret = buf ? 0 : -ENOMEM;

	sort_events(j);
	for (uint64_t pos = 0; !ret && pos < j->h->bytes; pos += piece) {
		uint64_t n = min_u64(piece, j->h->bytes - pos);

		ret = blk_co_pread(node, pos, n, buf, 0);
		for (uint64_t s = 0; !ret && s < n / SECTOR_SIZE; s++)
			judge_sector(j, buf + s * SECTOR_SIZE, pos / SECTOR_SIZE + s, flushed);
	}
	free(buf);
	return ret;
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	printf("  %s\n", line);
}

static int co_consistent(struct blk_node *node)
{
	struct blk_check_result result;
	struct error err = ERROR_INIT;
	struct blk_info info;

	if (blk_co_info(node, &info) || info.dirty) {
		printf("the image says that it needs a check\n");
		return -EUCLEAN;
	}
	if (blk_co_check(node, 0, print_line, NULL, &result, &err)) {
		printf("check: %s\n", error_text(&err));
		return -EIO;
	}
	return result.corruptions || result.check_errors ? -EUCLEAN : 0;
}

static void co_judge(void *arg)
{
	struct judge *j = arg;
	struct blk_open_opts opts = { .format = "qed" };
	struct error err = ERROR_INIT;
	struct blk_node *node;

	j->ret = blk_co_open(&node, j->image, &opts, &err);
	if (j->ret) {
		printf("it does not open: %s\n", error_text(&err));
		return;
	}
	j->ret = co_consistent(node);
	if (!j->ret && atomic_load(&node->size) != j->h->bytes)
		j->ret = -ERANGE;
	if (!j->ret)
		j->ret = co_contents(j, node);
	if (blk_co_close(node) && !j->ret)
		j->ret = -EIO;
	if (!j->ret && j->bad)
		j->ret = -EBADMSG;
}

/* Return the moment @text; for a mark, when it was logged (@marked) or its flush was answered. */
static uint64_t moment(const struct history *h, const char *text, bool marked)
{
	const struct event *event;
	uint64_t i;

	if (!strcmp(text, "end") || !strcmp(text, "-"))
		return UINT64_MAX;
	if (text[0] != 'm')
		return number(text);
	i = number(text + 1);
	if (i >= atomic_load(&h->nr_events))
		die("there is no mark %s", text);
	event = &h->events[i];
	return atomic_load(marked && atomic_load(&event->marked) ? &event->marked : &event->ack);
}

int main(int argc, char **argv)
{
	struct judge j = { 0 };
	struct aio_loop *loop;

	if (argc != 4 && argc != 5)
		die("usage: powerjudge IMAGE HISTORY SINCE [UNTIL]");
	j.image = argv[1];
	j.h = history_map(argv[2], 0);
	j.since = moment(j.h, argv[3], false);
	j.until = argc == 5 ? moment(j.h, argv[4], true) : UINT64_MAX;
	log_init("powerjudge", false, LOG_LEVEL_WARNING);
	if (aio_loop_create(&loop, 64, NULL) || aio_loop_run_co(loop, co_judge, &j))
		die("no event loop");
	aio_loop_destroy(loop);
	if (j.bad)
		printf("%" PRIu64 " sectors hold what they must not\n", j.bad);
	if (j.ret)
		printf("bad: %s\n", strerror(-j.ret));
	else
		printf("good: %" PRIu64 " sectors as flushed, %" PRIu64 " newer\n", j.durable,
		       j.newer);
	return j.ret ? 1 : 0;
}
