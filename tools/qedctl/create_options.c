// SPDX-License-Identifier: GPL-2.0
/*
 * The command line of `qedctl create`.  What a value means is the server's
 * business; here it is only seen whether it is one.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/node.h"
#include "common/report.h"
#include "common/verbs.h"
#include "qedctl/create_options.h"
#include "qedctl/device.h"
#include "util/units.h"

const char create_options_help[] =
	"  --size SIZE            make IMAGE, of that size (with --backing: default its size)\n"
	"  --backing FILE         make IMAGE, on top of FILE\n"
	"  --backing none         refuse IMAGE if it has a backing file\n"
	"  --backing-format raw|qed|qcow2|nbd\n"
	"  --backing-dir DIR      refuse backing files that do not lie below DIR\n"
	"  --cluster-size SIZE    of a new image (64K)\n"
	"  --table-size N         of a new image, in clusters (4)\n"
	"  --format qed|raw|qcow2 of IMAGE (found out; a new one is qed)\n"
	"  --read-only\n"
	"  --copy-on-read, --no-copy-on-read\n"
	"                         keep in IMAGE what was read from FILE (on with a backing file)\n"
	"  --stream               fill IMAGE from its backing file, then do without it\n"
	"  --speed RATE           of that, bytes a second (0: no limit)\n"
	"  --prefetch TRACE       fetch first what TRACE lists, in its order\n"
	"  --pending drop|finish  at the end, what was read and is not kept yet (drop)\n"
	"  --discard ignore|unmap what a discard does (unmap)\n"
	"  --cache none|writeback the image file with or without the page cache (none)\n"
	"  --queues N, --depth N  hardware queues, and requests in flight in each\n"
	"  --l2-cache SIZE        memory for the image's tables\n"
	"  --detect-zeroes off|on|unmap\n"
	"                         make write-zeroes of writes of zeroes: on keeps the space (off)\n"
	"  --target auto|linear|qed\n"
	"                         the device-mapper target (auto: qed for zero detection)\n"
	"  --known-zero           let the target qed answer reads of what it saw become zero\n"
	"  --no-dm                no /dev/mapper/NAME, only /dev/ublkbN\n"
	"  --foreground           stay, log to standard error, remove the device at the end\n"
	"\n"
	"IMAGE is made when it does not exist and --size or --backing is given. The device's path\n"
	"is printed when it is ready for I/O. Sizes take K M G T (base 1024).\n";

enum value_kind { NONE, SIZE, COUNT, CHOICE, PATH, DIRECTORY };

static const struct create_option {
	const char *name;
	enum value_kind kind;
	const char *choices;
	bool not_for_server;
} create_option[] = {
	{ "size", SIZE, NULL, false },
	{ "backing", PATH, NULL, false },
	{ "backing-format", CHOICE, "raw|qed|qcow2|nbd", false },
	{ "backing-dir", DIRECTORY, NULL, false },
	{ "cluster-size", SIZE, NULL, false },
	{ "table-size", COUNT, NULL, false },
	{ "format", CHOICE, "qed|raw|qcow2", false },
	{ "read-only", NONE, NULL, false },
	{ "copy-on-read", NONE, NULL, false },
	{ "no-copy-on-read", NONE, NULL, false },
	{ "stream", NONE, NULL, false },
	{ "speed", SIZE, NULL, false },
	{ "prefetch", PATH, NULL, false },
	{ "pending", CHOICE, "drop|finish", false },
	{ "discard", CHOICE, "ignore|unmap", false },
	{ "cache", CHOICE, "none|writeback", false },
	{ "queues", COUNT, NULL, false },
	{ "depth", COUNT, NULL, false },
	{ "l2-cache", SIZE, NULL, false },
	{ "detect-zeroes", CHOICE, "off|on|unmap", true },
	{ "target", CHOICE, "auto|linear|qed", true },
	{ "known-zero", NONE, NULL, true },
	{ "no-dm", NONE, NULL, true },
	{ "foreground", NONE, NULL, false },
};

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);
	const char *end;

	for (; *choices; choices = *end ? end + 1 : end) {
		end = choices + strcspn(choices, "|");
		if (len && (size_t)(end - choices) == len && !strncmp(choices, value, len))
			return true;
	}
	return false;
}

static int check_value(const struct create_option *option, const char *value)
{
	uint64_t bytes;
	char *end;

	switch (option->kind) {
	case SIZE:
		if (parse_size(value, &bytes))
			return report_error("--%s: '%s' is not a size", option->name, value);
		return 0;
	case COUNT:
		/* strtoul() takes signs and blanks, which a count has not. */
		if (value[0] < '0' || value[0] > '9' || strtoul(value, &end, 10) < 1 || *end ||
		    strlen(value) > 9)
			return report_error("--%s: '%s' is not a count", option->name, value);
		return 0;
	case CHOICE:
		if (!is_choice(option->choices, value))
			return report_error("--%s: '%s' is not one of %s", option->name, value,
					    option->choices);
		return 0;
	case PATH:
	case DIRECTORY:
		if (!value[0])
			return report_error("--%s: an empty file name", option->name);
		return 0;
	default:
		return 0;
	}
}

static int add_argument(struct create_options *opts, const char *text)
{
	char **more = reallocarray(opts->server, opts->server_count + 2, sizeof(*more));

	if (!more)
		return report_error("out of memory");
	opts->server = more;
	more[opts->server_count] = strdup(text);
	if (!more[opts->server_count])
		return report_error("out of memory");
	more[++opts->server_count] = NULL;
	return 0;
}

/*
 * @path from the root: its directory without symbolic links, its last part as
 * it is (backing file names are relative to where the name stands, not to where it leads).
 */
static char *absolute_path(const char *path)
{
	char *for_dir = strdup(path), *for_base = strdup(path);
	char dir[PATH_MAX], *result = NULL;

	if (for_dir && for_base && realpath(dirname(for_dir), dir) &&
	    asprintf(&result, "%s/%s", !strcmp(dir, "/") ? "" : dir, basename(for_base)) < 0)
		result = NULL;
	free(for_dir);
	free(for_base);
	return result;
}

static int add_option(struct create_options *opts, const struct create_option *option,
		      const char *value)
{
	char full[PATH_MAX];
	char *text;
	int ret;

	if (option->not_for_server)
		return 0;
	/* Another server may be given the same options from another place. */
	if (option->kind == DIRECTORY && !realpath(value, full))
		return report_error("--%s: %s: %s", option->name, value, strerror(errno));
	if (option->kind == DIRECTORY)
		value = full;
	/* NAME=VALUE in one word: a value may begin with a dash. */
	if (asprintf(&text, option->kind == NONE ? "--%s" : "--%s=%s", option->name,
		     value ? value : "") < 0)
		return report_error("out of memory");
	ret = add_argument(opts, text);
	free(text);
	return ret;
}

/* Those options that are for this program. */
static void take_own(struct create_options *opts, const char *name, const char *value)
{
	opts->makes_image |= !strcmp(name, "size") ||
			     (!strcmp(name, "backing") && strcmp(value, "none"));
	opts->no_dm |= !strcmp(name, "no-dm");
	opts->foreground |= !strcmp(name, "foreground");
	opts->target.known_zero |= !strcmp(name, "known-zero");
	if (!strcmp(name, "detect-zeroes"))
		opts->target.detect_zeroes = value;
	if (!strcmp(name, "target"))
		opts->target.target = value;
}

/* Without a mapping there is no target: the server does what it can. */
static int check_target(struct create_options *opts)
{
	if (!opts->no_dm)
		return 0;
	if (opts->target.known_zero || target_is_qed(&opts->target))
		return report_error("--no-dm: there is no target then");
	opts->target.target = TARGET_LINEAR;
	return 0;
}

int create_options_set_server_mode(struct create_options *opts)
{
	char text[32];

	if (!strcmp(target_server_mode(&opts->target), "off"))
		return 0;
	snprintf(text, sizeof(text), "--detect-zeroes=%s", opts->target.detect_zeroes);
	return add_argument(opts, text);
}

static int parse_operands(int argc, char **argv, struct create_options *opts)
{
	struct error err = ERROR_INIT;

	if (argc - optind < 2)
		return report_error("NAME and IMAGE are needed");
	if (argc - optind > 2)
		return report_error("unexpected argument '%s'", argv[optind + 2]);
	opts->name = argv[optind];
	if (device_check_name(opts->name, &err)) {
		error_prefix(&err, "%s", opts->name);
		return report_fail(&err);
	}
	report_context("create %s", opts->name);
	if (!argv[optind + 1][0])
		return report_error("an empty image name");
	if (blk_name_is_url(argv[optind + 1]))
		opts->image = strdup(argv[optind + 1]);
	else
		opts->image = absolute_path(argv[optind + 1]);
	if (!opts->image)
		return report_error("%s: %s", argv[optind + 1], strerror(errno));
	return add_argument(opts, "--name") || add_argument(opts, opts->name) ||
	       add_argument(opts, "--image") || add_argument(opts, opts->image);
}

int create_options_parse(int argc, char **argv, struct create_options *opts)
{
	struct option long_options[ARRAY_SIZE(create_option) + 1] = { 0 };
	/* Given twice, the last one counts. */
	const char *value[ARRAY_SIZE(create_option)] = { 0 };
	int given[ARRAY_SIZE(create_option)] = { 0 };
	size_t i;
	int opt;

	memset(opts, 0, sizeof(*opts));
	opts->target = (struct target_choice){ .target = "auto", .detect_zeroes = "off" };
	for (i = 0; i < ARRAY_SIZE(create_option); i++)
		long_options[i] = (struct option){ create_option[i].name,
						   create_option[i].kind != NONE, NULL, 256 + i };
	while ((opt = verb_getopt(argc, argv, "", long_options)) != -1) {
		if (opt == '?')
			return 1;
		i = opt - 256;
		if (check_value(&create_option[i], optarg))
			return 1;
		value[i] = optarg;
		given[i] = 1;
		take_own(opts, create_option[i].name, optarg);
	}
	if (parse_operands(argc, argv, opts) || check_target(opts))
		return 1;
	for (i = 0; i < ARRAY_SIZE(create_option); i++)
		if (given[i] && add_option(opts, &create_option[i], value[i]))
			return 1;
	return 0;
}

void create_options_free(struct create_options *opts)
{
	size_t i;

	for (i = 0; i < opts->server_count; i++)
		free(opts->server[i]);
	free(opts->server);
	free(opts->image);
}
