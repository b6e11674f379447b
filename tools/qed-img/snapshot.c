// SPDX-License-Identifier: GPL-2.0
/*
 * qed-img snapshot: internal snapshots, which no writable format has. So there are
 * none to list, and none can be created, applied, deleted, or read by other verbs.
 */
#include <errno.h>
#include <string.h>

#include "cmdline/report.h"
#include "image/image_opts.h"
#include "qed-img/img.h"
#include "qed-img/options.h"

int img_check_snapshot_param(const char *text)
{
	struct error err = ERROR_INIT;
	struct blk_options *o;
	const char *left;

	if (strncmp(text, "snapshot.", 9))
		return 0;
	if (image_opts_parse(&o, text, NULL, IMAGE_OPTS_WARN, &err) < 0)
		return report_fail(&err);
	(void)blk_options_take(o, "snapshot.id");
	(void)blk_options_take(o, "snapshot.name");
	left = blk_options_left(o);
	if (left) {
		report_error("Invalid parameter '%s'", left);
		report_error("Failed in parsing snapshot param '%s'", text);
	}
	blk_options_free(o);
	return left ? 1 : 0;
}

int img_co_load_snapshot(struct blk_node *node)
{
	struct blk_info info;
	int ret = blk_co_info(node, &info);

	if (ret < 0)
		return report_error("%s: %s", node->filename, strerror(-ret));
	if (node->driver->has_snapshots && !info.nr_snapshots)
		return report_error("Failed to load snapshot: Can't find snapshot");
	return report_error("Failed to load snapshot: Block format '%s' used by device '' does "
			    "not support temporarily loading internal snapshots",
			    node->driver->name);
}

struct snapshot {
	int action; /* the letter of the action, or 0 */
	const char *name; /* of the snapshot, for all actions except 'l' */
	unsigned int flags;
};

static int parse_action(void *verb, const struct verb_option *option, const char *value)
{
	struct snapshot *s = verb;

	if (s->action)
		return img_usage("Cannot mix '-l', '-a', '-c', '-d'");
	s->action = option->letter;
	s->name = value;
	return 0;
}

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct snapshot, flags),
	IMG_FORCE_SHARE(struct snapshot, flags),
	OPT_CALL('l', NULL, parse_action),
	OPT_CALL_VALUE('a', NULL, parse_action),
	OPT_CALL_VALUE('c', NULL, parse_action),
	OPT_CALL_VALUE('d', NULL, parse_action),
	OPT_IGNORED('q', NULL),
	IMG_OPTIONS_END,
};

/*
 * Print the list, which is empty. Fail if the image has snapshots: an incomplete list
 * would mislead.
 */
static int co_list(struct blk_node *node)
{
	struct blk_info info;
	int ret = blk_co_info(node, &info);

	if (ret < 0)
		return report_error("%s: %s", node->filename, strerror(-ret));
	if (info.nr_snapshots)
		return report_error("%s: internal snapshots: %u; format %s cannot list them",
				    node->filename, info.nr_snapshots, node->driver->name);
	return 0;
}

static int co_act(const struct snapshot *s, struct blk_node *node)
{
	switch (s->action) {
	case 'l':
		return co_list(node);
	case 'a':
		return report_error("Could not apply snapshot '%s': "
				    "Block driver does not support snapshots",
				    s->name);
	case 'c':
		return report_error("Could not create snapshot '%s': %d (%s)", s->name, -ENOTSUP,
				    strerror(ENOTSUP));
	case 'd':
		return report_error("Could not delete snapshot '%s': snapshot not found", s->name);
	default:
		return 0; /* no action: only open the image */
	}
}

static int run(int argc, char **argv)
{
	struct snapshot s = { 0 };
	const char *filename;
	struct blk_node *node;
	int status;

	if (img_parse_options(argc, argv, options, &s))
		return 1;
	filename = img_one_filename(argc, argv);
	if (!filename)
		return 1;
	node = img_co_open(filename, NULL, s.flags | (s.action == 'l' ? 0 : BLK_O_RDWR));
	if (!node)
		return 1;
	status = co_act(&s, node);
	blk_co_close(node);
	return status;
}

const struct verb img_snapshot_verb = {
	.name = "snapshot",
	.synopsis = "[--object OBJECT] [--image-opts] [-U] [-q] "
		    "[-l | -a SNAPSHOT | -c SNAPSHOT | -d SNAPSHOT] FILE",
	.summary = "internal snapshots, which no format here has",
	.options = "  --object OBJECT, --image-opts\n"
		   "                     as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -l                 list them: there are none\n"
		   "  -a SNAPSHOT        apply: an error, as with qemu-img and these formats\n"
		   "  -c SNAPSHOT        create: the same\n"
		   "  -d SNAPSHOT        delete: the same\n"
		   "  -q                 taken, without effect\n"
		   "  -U, --force-share  with -l: also when another process writes to the image\n",
	.example = "qed-img snapshot -l vm1.qed",
	.run = run,
};
