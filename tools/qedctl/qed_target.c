// SPDX-License-Identifier: GPL-2.0
/*
 * The targets `qed` and `linear`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "block/zero_run.h"
#include "client/json.h"
#include "qedctl/qed_target.h"
#include "util/units.h"

/* The fields of the target's status line; a later version may append some. */
static const char *const status_words[] = {
	"read-bios",	      "read-sectors",	      "write-bios",	   "write-sectors",
	"write-zeroes-bios",  "write-zeroes-sectors", "discard-bios",	   "discard-sectors",
	"scanned-bios",	      "converted-bios",	      "converted-sectors", "fallback-bios",
	"answered-bios",      "answered-sectors",     "known-zero",	   "detect-zeroes",
	"lower-write-zeroes",
};

static bool wants_qed(const struct target_choice *choice)
{
	return choice->known_zero || strcmp(choice->detect_zeroes, "off");
}

int target_choose(struct target_choice *choice, struct error *err)
{
	bool is_auto = !strcmp(choice->target, "auto"), has;

	if (choice->known_zero && !strcmp(choice->target, TARGET_LINEAR))
		return error_set(err, -EINVAL, "--known-zero needs the target qed");
	if (!is_auto && !target_is_qed(choice))
		return 0;
	has = (!is_auto || wants_qed(choice)) && mapping_has_target(TARGET_QED);
	if (!has && (!is_auto || choice->known_zero))
		return error_set(err, -ENOTSUP,
				 "this kernel has no device-mapper target qed (module dm-qed)");
	choice->target = has ? TARGET_QED : TARGET_LINEAR;
	return 0;
}

void target_of_device(const struct device *dev, struct target_choice *choice)
{
	const char *name = json_get_string(dev->status, "detect-zeroes", "off");
	enum detect_zeroes mode;
	char word[16] = "off";
	const char *params;

	*choice = (struct target_choice){ .target = TARGET_LINEAR };
	if (!strcmp(dev->map.target, TARGET_QED)) {
		params = strstr(dev->map.params, "detect_zeroes ");
		if (params)
			sscanf(params, "%*s %15s", word);
		name = word;
		choice->target = TARGET_QED;
		choice->known_zero = strstr(dev->map.params, " known_zero");
	}
	mode = detect_zeroes_mode(name);
	choice->detect_zeroes =
		detect_zeroes_name(mode < DETECT_ZEROES_MODES ? mode : DETECT_ZEROES_OFF);
}

const char *target_server_mode(const struct target_choice *choice)
{
	return target_is_qed(choice) ? "off" : choice->detect_zeroes;
}

void target_params(const struct target_choice *choice, dev_t lower, char *buf, size_t len)
{
	bool detects = strcmp(choice->detect_zeroes, "off");
	int args = (detects ? 2 : 0) + choice->known_zero;
	size_t used;

	used = snprintf(buf, len, "%u:%u", major(lower), minor(lower));
	if (!target_is_qed(choice))
		snprintf(buf + used, len - used, " 0");
	else if (args)
		snprintf(buf + used, len - used, " %d%s%s%s", args,
			 detects ? " detect_zeroes " : "", detects ? choice->detect_zeroes : "",
			 choice->known_zero ? " known_zero" : "");
}

/* Return @word as a JSON number if it is one, else as a string. */
static json_t *word_json(const char *word)
{
	char *end;
	unsigned long long n = strtoull(word, &end, 10);

	if (!*end && end != word)
		return json_integer(n);
	return strcmp(word, "-") ? json_string(word) : json_null();
}

json_t *target_status_json(const struct device *dev)
{
	struct mapping_line *lines;
	json_t *json = NULL;
	char *word, *save;
	size_t count, i;

	if (strcmp(dev->map.target, TARGET_QED) || mapping_status(dev->name, &lines, &count, NULL))
		return NULL;
	if (count) {
		json = json_object();
		word = strtok_r(lines[0].params, " ", &save);
		for (i = 0; word && i < ARRAY_SIZE(status_words); i++) {
			json_object_set_new(json, status_words[i], word_json(word));
			word = strtok_r(NULL, " ", &save);
		}
	}
	mapping_free_lines(lines, count);
	return json;
}
