// SPDX-License-Identifier: GPL-2.0
/*
 * Options of images: parsing and taking.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/options.h"
#include "util/units.h"

#define JSON_PREFIX "json:"
/* Bounds the recursion: a hostile image header must not exhaust the stack. */
#define MAX_DEPTH 32

struct blk_options {
	json_t *values; /* object: NAME to text, or null */
	json_t *taken; /* object: the names that were taken */
};

bool blk_is_identifier(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (!*text || !strchr(letters, *text))
		return false;
	text += strspn(text, letters);
	for (; *text; text++)
		if (!strchr(letters, *text) && !strchr("0123456789-._", *text))
			return false;
	return true;
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
}

int blk_options_new(struct blk_options **options, struct error *err)
{
	struct blk_options *o = calloc(1, sizeof(*o));

	if (!o)
		return no_memory(err);
	o->values = json_object();
	o->taken = json_object();
	if (!o->values || !o->taken) {
		blk_options_free(o);
		return no_memory(err);
	}
	*options = o;
	return 0;
}

void blk_options_free(struct blk_options *options)
{
	if (!options)
		return;
	json_decref(options->values);
	json_decref(options->taken);
	free(options);
}

int blk_options_set(struct blk_options *options, const char *name, const char *value)
{
	/* Names and values are bytes, like file names: not always UTF-8. */
	json_t *text = value ? json_string_nocheck(value) : json_null();

	return json_object_set_new_nocheck(options->values, name, text) ? -ENOMEM : 0;
}

int blk_options_add_missing(struct blk_options *options, const struct blk_options *from)
{
	return json_object_update_missing(options->values, from->values) ? -ENOMEM : 0;
}

/* ---- json: ---- */

static int flatten(struct blk_options *o, const char *prefix, const json_t *value,
		   unsigned int depth, struct error *err);

static int flatten_member(struct blk_options *o, const char *prefix, const char *name,
			  const json_t *value, unsigned int depth, struct error *err)
{
	char *full;
	int ret;

	if (asprintf(&full, "%s%s%s", prefix, *prefix ? "." : "", name) < 0)
		return no_memory(err);
	ret = flatten(o, full, value, depth + 1, err);
	free(full);
	return ret;
}

static int flatten_all(struct blk_options *o, const char *prefix, const json_t *value,
		       unsigned int depth, struct error *err)
{
	char number[32];
	const char *key;
	json_t *member;
	size_t i;
	int ret = 0;

	if (depth > MAX_DEPTH)
		return error_set(err, -EINVAL, "JSON options are nested too deeply");
	if (json_is_array(value)) {
		json_array_foreach(value, i, member) {
			snprintf(number, sizeof(number), "%zu", i);
			ret = ret ? ret : flatten_member(o, prefix, number, member, depth, err);
		}
		return ret;
	}
	json_object_foreach((json_t *)value, key, member)
		ret = ret ? ret : flatten_member(o, prefix, key, member, depth, err);
	return ret;
}

static int flatten(struct blk_options *o, const char *prefix, const json_t *value,
		   unsigned int depth, struct error *err)
{
	const char *text = NULL; /* null */
	char number[64];

	if (json_is_object(value) || json_is_array(value))
		return flatten_all(o, prefix, value, depth, err);
	if (json_is_string(value))
		text = json_string_value(value);
	else if (json_is_boolean(value))
		text = json_is_true(value) ? "on" : "off";
	if (json_is_integer(value))
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
	else if (json_is_real(value))
		snprintf(number, sizeof(number), "%.17g", json_real_value(value));
	if (json_is_number(value))
		text = number;
	return blk_options_set(o, prefix, text) ? no_memory(err) : 0;
}

/*
 * Return @text (heap, or NULL), JSON as QEMU's parser takes it, as JSON of the standard: strings
 * may be in single quotes, and have quotes of the other kind, or escaped, in them.
 */
static char *standard_json(const char *text)
{
	char *result = malloc(2 * strlen(text) + 1), *to = result, quote = '\0';

	for (; result && *text; text++) {
		if (!quote && (*text == '\'' || *text == '"')) {
			quote = *text;
			*to++ = '"';
		} else if (quote && *text == quote) {
			quote = '\0';
			*to++ = '"';
		} else if (quote && *text == '\\' && text[1] == '\'') {
			*to++ = *++text;
		} else if (quote && *text == '\\' && text[1]) {
			*to++ = *text++;
			*to++ = *text;
		} else {
			if (quote && *text == '"')
				*to++ = '\\';
			*to++ = *text;
		}
	}
	if (result)
		*to = '\0';
	return result;
}

int blk_options_parse_json(struct blk_options **options, const char *name, struct error *err)
{
	char *text = standard_json(name + strlen(JSON_PREFIX));
	json_error_t why;
	json_t *value;
	int ret;

	if (!text)
		return no_memory(err);
	if (!text[strspn(text, " \t\r\n")]) {
		free(text);
		return error_set(err, -EINVAL,
				 "Could not parse the JSON options: Expecting a JSON value");
	}
	value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
	free(text);
	if (!value)
		return error_set(err, -EINVAL,
				 "Could not parse the JSON options: JSON parse error, %s",
				 why.text);
	if (json_is_object(value))
		ret = blk_options_new(options, err);
	else
		ret = error_set(err, -EINVAL, "Invalid JSON object given");
	if (!ret) {
		ret = flatten_all(*options, "", value, 0, err);
		if (ret) {
			blk_options_free(*options);
			*options = NULL;
		}
	}
	json_decref(value);
	return ret;
}

/* ---- Taking ---- */

bool blk_options_has(const struct blk_options *options, const char *name)
{
	return json_object_get(options->values, name);
}

const char *blk_options_take(struct blk_options *options, const char *name)
{
	json_t *value = json_object_get(options->values, name);

	if (value)
		json_object_set_new_nocheck(options->taken, name, json_true());
	return json_string_value(value);
}

static bool is_part(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(name, prefix, len) && name[len] == '.';
}

bool blk_options_has_part(const struct blk_options *options, const char *prefix)
{
	const char *name;
	json_t *value;

	json_object_foreach(options->values, name, value)
		if (is_part(name, prefix))
			return true;
	return false;
}

int blk_options_take_part(struct blk_options *options, const char *prefix,
			  struct blk_options **part, struct error *err)
{
	const char *name;
	json_t *value;
	void *next;
	int ret = 0;

	*part = NULL;
	json_object_foreach_safe(options->values, next, name, value)
	{
		if (!is_part(name, prefix))
			continue;
		if (!*part)
			ret = blk_options_new(part, err);
		if (!ret &&
		    json_object_set_nocheck((*part)->values, name + strlen(prefix) + 1, value))
			ret = no_memory(err);
		if (ret)
			break;
		json_object_del(options->values, name);
	}
	if (ret) {
		blk_options_free(*part);
		*part = NULL;
	}
	return ret;
}

int blk_options_add_part(struct blk_options *options, const char *prefix,
			 const struct blk_options *from)
{
	const char *name;
	json_t *value;
	char *full;
	int ret;

	json_object_foreach(from->values, name, value) {
		if (asprintf(&full, "%s.%s", prefix, name) < 0)
			return -ENOMEM;
		ret = json_object_set_nocheck(options->values, full, value);
		free(full);
		if (ret)
			return -ENOMEM;
	}
	return 0;
}

int blk_options_take_switch(struct blk_options *options, const char *name, bool *on,
			    struct error *err)
{
	const char *text = blk_options_take(options, name);

	if (!text)
		return 0;
	*on = !strcmp(text, "on");
	if (!*on && strcmp(text, "off"))
		return error_set(err, -EINVAL, "Parameter '%s' expects 'on' or 'off'", name);
	return 1;
}

int blk_options_take_size(struct blk_options *options, const char *name, uint64_t *bytes,
			  struct error *err)
{
	const char *text = blk_options_take(options, name);

	if (!text)
		return 0;
	if (parse_size(skip_blanks(text), bytes))
		return error_set(err, -EINVAL,
				 "Parameter '%s' expects a non-negative number below 2^64\n"
				 "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, "
				 "tera-, peta-\nand exabytes, respectively.",
				 name);
	return 1;
}

int blk_options_take_word(struct blk_options *options, const char *name, const char *const *words,
			  const char **word, struct error *err)
{
	*word = blk_options_take(options, name);
	if (!*word)
		return 0;
	while (*words && strcmp(*word, *words))
		words++;
	return *words ? 0 : error_set(err, -EINVAL, "invalid parameter value: %s", *word);
}

int blk_options_take_row(struct blk_options *options, const struct blk_option_row *row,
			 uint64_t *number, struct error *err)
{
	int ret;

	*number = row->preset;
	ret = options ? blk_options_take_size(options, row->name, number, err) : 0;
	if (ret > 0 && row->title &&
	    (*number < row->min || *number > row->max || !is_power_of_2(*number)))
		return error_set(err, -EINVAL,
				 "%s must be within range [%" PRIu64 ", %" PRIu64
				 "] and power of 2",
				 row->title, row->min, row->max);
	return ret < 0 ? ret : 0;
}

const char *blk_options_left(const struct blk_options *options)
{
	const char *name;
	json_t *value;

	json_object_foreach(options->values, name, value)
		if (!json_object_get(options->taken, name))
			return name;
	return NULL;
}
