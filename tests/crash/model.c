// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest may read after a crash.
 *
 * A request is durable once a flush issued after its completion has completed (or
 * itself, with FUA). A crash leaves in each sector the version of the last durable
 * request, or of any later one that was issued: no older version, no data of another
 * sector, no garbage. Requests to one sector do not overlap in time, except in the
 * scratch (guest.c), where more is allowed.
 */
#include <inttypes.h>
#include <string.h>

#include "crash.h"

/* Return for each guest request the position from which it is durable. */
static uint64_t *find_durable(const struct record *rec)
{
	uint64_t *durable = calloc(rec->nr_guest + 1, sizeof(*durable));

	CHECK(durable);
	for (size_t i = 0; i < rec->nr_guest; i++) {
		const struct guest_op *op = &rec->guest[i];

		durable[i] = op->fua ? op->ack : NEVER;
		for (size_t f = i + 1; f < rec->nr_guest; f++) {
			const struct guest_op *flush = &rec->guest[f];

			if (flush->kind >= GUEST_FLUSH && flush->issue > op->ack)
				durable[i] = min_u64(durable[i], flush->ack);
		}
	}
	return durable;
}

/* Compute where each sector's events start, by counting and summing. */
static void count_events(struct model *model, uint64_t sectors)
{
	const struct record *rec = model->rec;

	for (size_t i = 0; i < rec->nr_guest; i++)
		for (uint64_t s = 0; s < rec->guest[i].count; s++)
			model->first[rec->guest[i].sector + s + 1]++;
	for (uint64_t s = 0; s < sectors; s++)
		model->first[s + 1] += model->first[s];
}

void model_init(struct model *model, const struct record *rec)
{
	uint64_t sectors = arena_sectors(&rec->geo);
	uint64_t *durable = find_durable(rec);
	uint32_t *next;

	model->rec = rec;
	model->first = calloc(sectors + 1, sizeof(*model->first));
	model->base = malloc(sectors * sizeof(*model->base));
	next = malloc(sectors * sizeof(*next));
	CHECK(model->first && model->base && next);
	count_events(model, sectors);
	model->events = calloc(model->first[sectors] + 1, sizeof(*model->events));
	model->durable = calloc(model->first[sectors] + 1, sizeof(*model->durable));
	CHECK(model->events && model->durable);
	memcpy(next, model->first, sectors * sizeof(*next));
	for (size_t i = 0; i < rec->nr_guest; i++)
		for (uint64_t s = 0; s < rec->guest[i].count; s++) {
			uint32_t event = next[rec->guest[i].sector + s]++;

			model->events[event] = i;
			model->durable[event] = durable[i];
		}
	for (uint64_t s = 0; s < sectors; s++) {
		model->base[s] = -1;
		/* Once a later event is durable, an earlier one is decided, too. */
		for (uint32_t e = model->first[s + 1]; e-- > model->first[s] + 1;)
			model->durable[e - 1] = min_u64(model->durable[e - 1], model->durable[e]);
	}
	free(next);
	free(durable);
}

void model_destroy(struct model *model)
{
	free(model->first);
	free(model->events);
	free(model->durable);
	free(model->base);
}

/* Find the events of sector @s that a crash at @position may leave: [*@from, result). */
static uint32_t open_events(const struct model *model, uint64_t s, uint64_t position,
			    uint32_t *from)
{
	uint32_t end = model->first[s + 1], e = model->first[s];

	if (model->base[s] >= 0)
		e += model->base[s];
	*from = e;
	while (e < end && model->rec->guest[model->events[e]].issue <= position)
		e++;
	return e;
}

/* In the scratch: allow the initial version, zeroes, or any request's version of this sector. */
static bool scratch_allows(const struct model *model, uint64_t s, uint64_t position,
			   uint32_t version)
{
	const struct record *rec = model->rec;
	const struct guest_op *op;

	if (version == VERSION_ZERO || version == rec->initial[s])
		return true;
	if (version < rec->geo.first_version || version - rec->geo.first_version >= rec->nr_guest)
		return false;
	op = &rec->guest[version - rec->geo.first_version];
	return op->kind == GUEST_WRITE && op->issue <= position && s - op->sector < op->count;
}

bool model_allows(struct model *model, uint64_t s, uint64_t position, uint32_t version)
{
	uint32_t end = model->first[s + 1];
	uint32_t next = model->first[s] + (uint32_t)(model->base[s] + 1), from;

	if (s >= arena_sectors(&model->rec->geo) - model->rec->geo.scratch)
		return scratch_allows(model, s, position, version);
	while (next < end && model->durable[next] <= position) {
		model->base[s]++;
		next++;
	}
	if (model->base[s] < 0 && version == model->rec->initial[s])
		return true;
	for (uint32_t e = open_events(model, s, position, &from); e-- > from;)
		if (op_version(model->rec, model->events[e], s) == version)
			return true;
	return false;
}

bool model_keeps_answered(const struct model *model, uint64_t s, uint32_t version)
{
	const struct record *rec = model->rec;

	if (s >= arena_sectors(&rec->geo) - rec->geo.scratch)
		return scratch_allows(model, s, rec->position, version);
	for (uint32_t e = model->first[s + 1]; e-- > model->first[s];) {
		if (op_version(rec, model->events[e], s) == version)
			return true;
		if (rec->guest[model->events[e]].ack != NEVER)
			return false;
	}
	return version == rec->initial[s];
}

void model_explain(const struct model *model, uint64_t s, uint64_t position)
{
	static const char *const kinds[] = { "write",	"write-zeroes", "write-zeroes, may unmap",
					     "discard", "cut off",	"found after a restart" };
	uint32_t from, end = open_events(model, s, position, &from);

	if (model->base[s] < 0)
		printf("#   allowed: version %u, from before\n", model->rec->initial[s]);
	for (uint32_t e = from; e < end; e++) {
		const struct guest_op *op = &model->rec->guest[model->events[e]];

		printf("#   allowed: version %u: %s%s, issued %" PRIu64,
		       op_version(model->rec, model->events[e], s), kinds[op->kind],
		       op->fua ? " with FUA" : "", op->issue);
		if (op->ack <= position)
			printf(", answered %" PRIu64, op->ack);
		if (model->base[s] >= 0 && e == from)
			printf(", durable since %" PRIu64, model->durable[e]);
		printf("\n");
	}
}
