// SPDX-License-Identifier: GPL-2.0
/*
 * qedctl: QED images as block devices, at the command line.
 */
#include "common/verbs.h"
#include "qedctl/create_options.h"
#include "qedctl/qedctl.h"
#include "util/units.h"

#define JSON_HELP "  --json  one JSON object\n"

static const struct verb verbs[] = {
	{ "create", "NAME IMAGE [OPTION...]", "make a block device of an image",
	  create_options_help, "qedctl create vm1 /images/vm1.qed --backing /images/golden.img",
	  verb_create },
	{ "remove", "[OPTION...] NAME...|--all",
	  "take devices away, everything written made durable",
	  "  --all        every device\n"
	  "  -f, --force  also one in use: its users get errors from now on\n"
	  "  --deferred   one in use goes at its last close\n"
	  "  --retry      try again for some seconds while it is in use\n"
	  "  --finish     keep first what was read and is not kept yet\n"
	  "\nA device in use is refused otherwise, and nothing is changed.\n",
	  "qedctl remove --retry vm1", verb_remove },
	{ "recover", "NAME...|--all", "give a device whose server died a new one",
	  "  --all  every device whose server died\n"
	  "\nRequests that wait for a server go on, and nothing that was answered is lost.\n",
	  "qedctl recover --all", verb_recover },
	{ "ls", "[--json]", "list devices: name, device, size, image, state",
	  "  --json  one JSON array\n", "qedctl ls --json", verb_ls },
	{ "info", "[--json] NAME", "all that is known of a device and its image", JSON_HELP,
	  "qedctl info vm1", verb_info },
	{ "status", "[--json] NAME", "how a device is", JSON_HELP, "qedctl status --json vm1",
	  verb_status },
	{ "stats", "[--json|--prometheus] NAME", "counters of a device",
	  "  --json        one JSON object\n"
	  "  --prometheus  text for a metrics collector\n",
	  "qedctl stats --prometheus vm1", verb_stats },
	{ "stream", "[OPTION...] NAME", "fill the image from its backing file, then do without it",
	  "  --base FILE    a file of the backing chain that stays\n"
	  "  --speed RATE   at most so many bytes a second from the source (0: no limit)\n"
	  "  --wait         until it is done\n"
	  "  -p             wait, and show progress\n"
	  "  --pause, --resume, --cancel\n"
	  "                 of the stream that runs\n"
	  "  --json         print how it is, one JSON object\n"
	  "\nWhere a stream runs, --speed changes its speed and --wait waits for it.\n",
	  "qedctl stream --speed 50M -p vm1", verb_stream },
	{ "trace", "NAME start FILE | NAME stop [FILE]",
	  "record which parts of a device are read first",
	  "With FILE, stop ends only what is recorded to that.\n",
	  "qedctl trace vm1 start boot.trace", verb_trace },
	{ "table", "[--json] NAME", "the device-mapper table of a device", JSON_HELP,
	  "qedctl table vm1", verb_table },
	{ "message", "NAME WORD...", "send a message to the device-mapper target",
	  "To the target qed: detect_zeroes off|on|unmap, stats reset, forget.\n"
	  "To linear: the first of them.\n",
	  "qedctl message vm1 detect_zeroes unmap", verb_message },
	{ "reload", "[OPTION...] NAME", "another device-mapper table, live",
	  "  --target auto|linear|qed         (as it is)\n"
	  "  --detect-zeroes off|on|unmap     what becomes of writes of zeroes (as it is)\n"
	  "  --known-zero, --no-known-zero    whether the target qed remembers zeroes (as it is)\n",
	  "qedctl reload --target qed --detect-zeroes on vm1", verb_reload },
	{ "suspend", "[OPTION...] NAME", "hold new I/O; all written before is durable then",
	  "  --noflush    do not wait for I/O in flight\n"
	  "  --nolockfs   do not freeze the file system\n",
	  "qedctl suspend vm1", verb_suspend },
	{ "resume", "NAME", "let I/O go on", NULL, "qedctl resume vm1", verb_resume },
	{ "features", "[--json]", "what this kernel's ublk and device-mapper offer", JSON_HELP,
	  "qedctl features --json", verb_features },
	{ "version", "", "versions of this program, of libdevmapper and of the kernel's part", NULL,
	  "qedctl version", verb_version },
};

int main(int argc, char **argv)
{
	static const struct verb_table table = { "qedctl", "QED images as block devices.", verbs,
						 ARRAY_SIZE(verbs) };

	return verbs_main(&table, argc, argv);
}
