/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of a device, for qedd, qedctl create and nbdkit's plugin. Their table is
 * option_table.h.
 */
#ifndef QEDBLK_DEVICE_OPTIONS_H
#define QEDBLK_DEVICE_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"

/* The programs that take an option, as bits. */
enum device_program { DEVICE_QEDD = 1, DEVICE_QEDCTL = 2, DEVICE_PLUGIN = 4 };

/* What an option takes, and the type of its field. */
enum device_option_type {
	DEVICE_FLAG, /* no value; true. A flag no-NAME clears NAME, and the reverse. */
	DEVICE_NAME, /* a device's name */
	DEVICE_FILE, /* a file's name, as typed */
	DEVICE_DIRECTORY,
	DEVICE_FORMAT, /* the name of an image format or a protocol */
	DEVICE_SIZE, /* bytes, at least 1 */
	DEVICE_RATE, /* bytes a second, 0: no limit */
	DEVICE_COUNT, /* at least 1 */
	DEVICE_COUNT_FROM_0,
	DEVICE_CHOICE, /* one of several words: the index of it */
	DEVICE_WAIT, /* seconds, from wait=SECONDS; 0: error */
};

/* How a successor of a server gets an option. */
enum device_successor {
	SUCCESSOR_SAME, /* as the server got it */
	SUCCESSOR_LIVE, /* the server's current state decides, or it is omitted */
	SUCCESSOR_BACKING, /* the same, unless the backing file changes */
};

#define DEVICE_FLAG_FIELD	  bool
#define DEVICE_NAME_FIELD	  const char *
#define DEVICE_FILE_FIELD	  const char *
#define DEVICE_DIRECTORY_FIELD	  const char *
#define DEVICE_FORMAT_FIELD	  const char *
#define DEVICE_SIZE_FIELD	  uint64_t
#define DEVICE_RATE_FIELD	  uint64_t
#define DEVICE_COUNT_FIELD	  uint64_t
#define DEVICE_COUNT_FROM_0_FIELD uint64_t
#define DEVICE_CHOICE_FIELD	  unsigned int
#define DEVICE_WAIT_FIELD	  unsigned int

enum device_option_id {
#define DEVICE_OPTION(type, field, ...) DEVICE_OPTION_##field,
#include "device/option_table.h"
	DEVICE_NR_OPTIONS
};

/* The values of the option cache. Other choices are used as 0 and 1, without names. */
enum device_cache { DEVICE_CACHE_NONE, DEVICE_CACHE_WRITEBACK };

struct device_options {
#define DEVICE_OPTION(type, field, ...) type##_FIELD field;
#include "device/option_table.h"
	bool no_backing; /* --backing none: an image that has a backing file is refused */
	/* By id: the value as typed, "" for a flag; NULL: not given. */
	const char *given[DEVICE_NR_OPTIONS];
};

/* A row of the table. */
struct device_option {
	const char *name;
	enum device_option_type type;
	size_t offset; /* of the field in struct device_options */
	const char *value; /* NULL: takes none */
	uint64_t max;
	unsigned int programs;
	enum device_successor successor;
	const char *changes;
	const char *preset;
	const char *help;
	const char *manual;
};

/* By id. */
extern const struct device_option device_option_table[DEVICE_NR_OPTIONS];

/* Return the option of @program called @name (@len bytes), or NULL. */
const struct device_option *device_option_find(const char *name, size_t len,
					       enum device_program program);

/* Return the flag that clears @option: no-NAME for NAME, and the reverse; or NULL. */
const struct device_option *device_option_opposite(const struct device_option *option);

/* The value of option ID for getopt_long() is this plus ID. */
#define DEVICE_OPTION_GETOPT 256

/* Fill @names with the options of @program, for getopt_long(). */
void device_options_for_getopt(struct option names[DEVICE_NR_OPTIONS + 1],
			       enum device_program program);

/* Set all options to their defaults. */
void device_options_init(struct device_options *options);

/*
 * Set an option from @value (NULL for a flag), which replaces an earlier value. The caller
 * owns @value, which must live as long as @options. Returns 0, or -EINVAL with an error line
 * that begins with "--NAME".
 */
int device_option_set(struct device_options *options, const struct device_option *option,
		      const char *value, struct error *err);

/*
 * device_option_set() with a value for every option, as in NAME=VALUE: a flag takes on or off.
 */
int device_option_change(struct device_options *options, const struct device_option *option,
			 const char *value, struct error *err);

/* Return the value given for an option, else its default, as it would be typed, or NULL. */
const char *device_option_text(const struct device_options *options, enum device_option_id id);

/*
 * Check that the options are consistent, once all are set. Returns 0, or -EINVAL with
 * an error line that begins with "--NAME".
 */
int device_options_check(const struct device_options *options, struct error *err);

/* Print the help for the options of @program: as "--NAME VALUE", or "NAME=VALUE" for the plugin. */
void device_options_print_help(FILE *to, enum device_program program);

#endif
