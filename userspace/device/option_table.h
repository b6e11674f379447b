/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of a device, one row each. A row defines the field of struct
 * device_options, the parsing, --help of qedd and of qedctl create, the parameters of
 * nbdkit's plugin, the options that a successor of a server gets, and the lists in the
 * manual pages.
 *
 * Included with DEVICE_OPTION() defined:
 *
 *	DEVICE_OPTION(type, field, name, value, max, programs, successor, changes,
 *		      preset, help, manual)
 *
 * @type		an enum device_option_type
 * @value	name of its value in the help; for a choice, all its words
 * @max		the largest number that is allowed, 0: no limit
 * @programs	the programs that take it
 * @successor	how a successor of the server gets it, see options.h
 * @changes	the verb that changes it on a live device, or NULL
 * @preset	the default, as it would be typed, or NULL
 * @help	a few words, which the help wraps
 * @manual	more sentences for the manual pages, in reST, or NULL
 */

#define EVERYWHERE (DEVICE_QEDD | DEVICE_QEDCTL | DEVICE_PLUGIN)
#define ON_UBLK	   (DEVICE_QEDD | DEVICE_QEDCTL)

DEVICE_OPTION(DEVICE_NAME, name, "name", "NAME", 0, DEVICE_QEDD, SUCCESSOR_SAME, NULL, NULL,
	      "name of the device (required)",
	      "It has " DEVICE_NAME_TEXT ". One server may have a name at a time.")

DEVICE_OPTION(DEVICE_FILE, image, "image", "FILE", 0, DEVICE_QEDD | DEVICE_PLUGIN, SUCCESSOR_SAME,
	      NULL, NULL, "the image (required)",
	      "It is made when it does not exist and a "
	      "size or a backing file is given, and removed again when the device cannot be made.")

DEVICE_OPTION(DEVICE_FORMAT, format, "format", "FORMAT", 0, EVERYWHERE, SUCCESSOR_SAME, NULL, NULL,
	      "format of the image; by default it is probed, and a new image is qed",
	      "Give it for raw images: where raw was guessed, writes that would make the image "
	      "look like another format are refused.")

DEVICE_OPTION(DEVICE_FLAG, read_only, "read-only", NULL, 0, ON_UBLK, SUCCESSOR_SAME, NULL, NULL,
	      "open the image for reading only, and make a read-only device", NULL)

DEVICE_OPTION(DEVICE_SIZE, size, "size", "SIZE", INT64_MAX - SECTOR_SIZE, EVERYWHERE,
	      SUCCESSOR_SAME, NULL, NULL,
	      "make the image if it does not exist, of that size (with a backing file: of its "
	      "size)",
	      "Of an image that exists, this and the other options for a new image say what it "
	      "must be like; a contradiction is an error. So the same command can be given again "
	      "after a reboot.")

DEVICE_OPTION(DEVICE_FILE, backing, "backing", "FILE", 0, EVERYWHERE, SUCCESSOR_BACKING, NULL, NULL,
	      "make the image if it does not exist, on top of this backing file; none: refuse "
	      "an image that has one",
	      "What the image does not have is read from the backing file, which is never "
	      "written. A relative name counts from the current directory. It is stored as typed "
	      "when it names the same file as seen from the image's directory, else as a full "
	      "path. When it could mean either of two files it is refused. It may be a network "
	      "image, see **qedctl**\\(8). A file that is called none is ``./none``.")

DEVICE_OPTION(DEVICE_DIRECTORY, backing_dir, "backing-dir", "DIR", 0, EVERYWHERE, SUCCESSOR_SAME,
	      NULL, NULL, "refuse backing files that do not lie below DIR, symbolic links followed",
	      "This holds for the whole chain, and network names are refused. It is for images "
	      "from people who are not trusted: the names of backing files come from the images, "
	      "and without this option an image can name any file of the host, as with QEMU. "
	      "What lies elsewhere is not opened. The image itself may be anywhere.")

DEVICE_OPTION(DEVICE_FORMAT, backing_format, "backing-format", "FORMAT", 0, EVERYWHERE,
	      SUCCESSOR_BACKING, NULL, NULL,
	      "format of the backing file; by default it is probed when the image is made",
	      "It needs a backing file. *nbd* is the bytes of a network image as they are, which "
	      "is raw. A file that is compressed, an archive or a text is refused unless raw is "
	      "given. A new image records that its backing file is raw, which is not probed "
	      "again. Where an image that exists does not say the format, the backing file is "
	      "opened with this one.")

DEVICE_OPTION(DEVICE_FLAG, strict_backing, "strict-backing", NULL, 0, EVERYWHERE, SUCCESSOR_SAME,
	      NULL, NULL, "refuse backing files that changed since the image was first served",
	      "Without it a warning is given. What counts is size, time of modification and the "
	      "first 4 KiB of each file of the chain. Where these cannot be recorded with the "
	      "image, it is refused, too.")

DEVICE_OPTION(DEVICE_FLAG, accept_backing, "accept-backing", NULL, 0, EVERYWHERE, SUCCESSOR_LIVE,
	      NULL, NULL, "take the backing files as they are now, and record that",
	      "Give it once, where they were changed on purpose and the image fits to what they "
	      "are now.")

DEVICE_OPTION(DEVICE_SIZE, cluster_size, "cluster-size", "SIZE", UINT32_MAX, EVERYWHERE,
	      SUCCESSOR_SAME, NULL, NULL, "cluster size of a new image, if its format has clusters",
	      "**qed-img**\\(1), *create*, has the limits and the default.")

DEVICE_OPTION(DEVICE_COUNT, table_size, "table-size", "N", UINT32_MAX, EVERYWHERE, SUCCESSOR_SAME,
	      NULL, NULL, "clusters in an L1 or L2 table of a new image, if its format has tables",
	      "Limits and default are in **qed-img**\\(1), too.")

DEVICE_OPTION(DEVICE_FLAG, copy_on_read, "copy-on-read", NULL, 0, EVERYWHERE, SUCCESSOR_SAME, "set",
	      NULL,
	      "keep in the image what is read from its backing file, which is the default where "
	      "there is one",
	      "Zeroes are kept without taking space. Nothing is kept where the device is "
	      "read-only.")

DEVICE_OPTION(DEVICE_FLAG, no_copy_on_read, "no-copy-on-read", NULL, 0, ON_UBLK, SUCCESSOR_SAME,
	      NULL, NULL, "keep nothing", NULL)

DEVICE_OPTION(DEVICE_FLAG, stream, "stream", NULL, 0, ON_UBLK, SUCCESSOR_LIVE, "stream", NULL,
	      "fill the image from its backing file in the background, then do without it",
	      "Given again for an image that was streamed before, the stream goes on, or has "
	      "nothing to do.")

DEVICE_OPTION(DEVICE_FILE, stream_base, "stream-base", "FILE", 0, DEVICE_QEDD, SUCCESSOR_LIVE, NULL,
	      NULL,
	      "with --stream: a file of the backing chain that stays; what lies above it goes "
	      "into the image",
	      NULL)

DEVICE_OPTION(DEVICE_FLAG, stream_paused, "stream-paused", NULL, 0, DEVICE_QEDD, SUCCESSOR_LIVE,
	      NULL, NULL, "the stream, or the prefetch, begins paused", NULL)

DEVICE_OPTION(DEVICE_RATE, speed, "speed", "RATE", 0, ON_UBLK, SUCCESSOR_LIVE, "set", NULL,
	      "read at most so many bytes a second from the backing file for the stream; 0: no "
	      "limit",
	      NULL)

DEVICE_OPTION(DEVICE_FILE, prefetch, "prefetch", "TRACE", 0, ON_UBLK, SUCCESSOR_LIVE, NULL, NULL,
	      "fetch first what the trace lists, in its order",
	      "**qedctl**\\(8), *trace*, records one. Without ``--stream`` nothing else is "
	      "fetched.")

DEVICE_OPTION(DEVICE_CHOICE, finish_pending, "pending", "drop|finish", 0, ON_UBLK, SUCCESSOR_SAME,
	      "set", "drop",
	      "what becomes, at an orderly end, of clusters that were read from the backing file "
	      "and are not kept yet",
	      "With finish they are kept first, however long that takes.")

DEVICE_OPTION(DEVICE_CHOICE, detect_zeroes, "detect-zeroes", "off|on|unmap", 0, ON_UBLK,
	      SUCCESSOR_LIVE, "reload", "off",
	      "make write-zeroes of guests' writes of zeroes; on keeps the space, unmap may free "
	      "it",
	      "This is done for writes whose data is all zeroes over at least one whole cluster. "
	      "Large writes are cut where such clusters begin and end. Writes that are to be "
	      "durable at once (FUA) are left as they are. With a mapping, the device-mapper "
	      "target *qed* does this where the kernel has it, before the data is copied to the "
	      "server; else the server does, in the same way. **qedctl info** says which.")

DEVICE_OPTION(DEVICE_CHOICE, discard, "discard", "ignore|unmap", 0, EVERYWHERE, SUCCESSOR_SAME,
	      NULL, "unmap", "what a discard does: nothing, or free the clusters", NULL)

DEVICE_OPTION(DEVICE_WAIT, on_full, "on-full", "wait[=SECONDS]|error", 86400, ON_UBLK,
	      SUCCESSOR_SAME, "set", "wait=60",
	      "what requests do that find no room in the image's file system: wait for some, "
	      "then fail, or fail at once",
	      "All others go on. As soon as there is room, within a second, those that wait go on "
	      "by themselves. **qedctl status** says since when, and how many. A server that is "
	      "to end fails them. They keep their places among the --depth requests of a queue: "
	      "when all of these wait, other requests of that queue wait, too.")

DEVICE_OPTION(DEVICE_CHOICE, cache, "cache", "none|writeback", 0, EVERYWHERE, SUCCESSOR_SAME, NULL,
	      "none", "whether image files go through the host's page cache",
	      "With none they are opened with O_DIRECT, where the file system has it. Both make "
	      "flushed data durable.")

DEVICE_OPTION(DEVICE_COUNT, queues, "queues", "N", DEVICE_MAX_QUEUES, ON_UBLK, SUCCESSOR_SAME, NULL,
	      NULL, "hardware queues, a thread each; if not given, one a CPU, at most 4",
	      "The kernel may make fewer queues than asked for.")

DEVICE_OPTION(DEVICE_COUNT, depth, "depth", "N", UBLK_MAX_QUEUE_DEPTH, ON_UBLK, SUCCESSOR_SAME,
	      NULL, "128", "requests in flight in each queue", NULL)

DEVICE_OPTION(DEVICE_SIZE, l2_cache, "l2-cache", "SIZE", 0, EVERYWHERE, SUCCESSOR_SAME, NULL, NULL,
	      "memory for the image's cached L2 tables; 16M if not given", "At least 64K are used.")

DEVICE_OPTION(DEVICE_CHOICE, target, "target", "auto|linear|qed", 0, DEVICE_QEDCTL, SUCCESSOR_SAME,
	      "reload", "auto", "the device-mapper target of the mapping",
	      "With auto it is *qed* when there are zeroes to detect or to know and the kernel "
	      "has the target or can load it (module *dm-qed*), else *linear*.")

DEVICE_OPTION(DEVICE_FLAG, known_zero, "known-zero", NULL, 0, DEVICE_QEDCTL, SUCCESSOR_SAME,
	      "reload", NULL,
	      "let the target qed remember which clusters it saw become zero, and answer reads of "
	      "them without the server",
	      NULL)

DEVICE_OPTION(DEVICE_FLAG, no_dm, "no-dm", NULL, 0, DEVICE_QEDCTL, SUCCESSOR_SAME, NULL, NULL,
	      "make no /dev/mapper/NAME: the device is /dev/ublkbN", NULL)

DEVICE_OPTION(DEVICE_FLAG, partitions, "partitions", NULL, 0, DEVICE_QEDCTL, SUCCESSOR_SAME,
	      "partitions", NULL, "map the partitions of the device, too: NAMEp1, NAMEp2, ...",
	      "**qedctl partitions** does the same later. Where there is no partition table, a "
	      "warning says so.")

DEVICE_OPTION(
	DEVICE_FLAG, no_partitions, "no-partitions", NULL, 0, DEVICE_QEDD, SUCCESSOR_SAME, NULL,
	NULL, "have the kernel look for no partitions on the device",
	"Kernels before 7.0 look for them all the same. **qedctl create** gives this option to "
	"the server of a mapping, and removes what those kernels have found.")

DEVICE_OPTION(DEVICE_FLAG, recover, "recover", NULL, 0, DEVICE_QEDD, SUCCESSOR_LIVE, NULL, NULL,
	      "go on with the device of a server of this name that died, whose options are given "
	      "again",
	      "**qedctl recover** does that. The image is opened as it is. What the dead server "
	      "had answered and not made durable is taken from *NAME.rescue*; the end of what it "
	      "had begun to write is waited for, a minute at most. On an error the device waits "
	      "as before.")

DEVICE_OPTION(DEVICE_FLAG, foreground, "foreground", NULL, 0, ON_UBLK, SUCCESSOR_SAME, NULL, NULL,
	      "stay attached, and log to standard error",
	      "**qedctl create** then stays, too: SIGINT or SIGTERM removes the device, or has "
	      "it end at its last close when it is in use. When the server ends, for whatever "
	      "reason, the device is removed. When **qedctl** is killed, a device in use stays.")

DEVICE_OPTION(DEVICE_COUNT_FROM_0, ready_fd, "ready-fd", "N", INT32_MAX, DEVICE_QEDD,
	      SUCCESSOR_LIVE, NULL, NULL,
	      "write one line to this descriptor and close it: ready DEVICE [created] when the "
	      "device is live, or error TEXT",
	      "**qedd** does not go into the background then.")

DEVICE_OPTION(DEVICE_FLAG, help, "help", NULL, 0, DEVICE_QEDD, SUCCESSOR_LIVE, NULL, NULL,
	      "print the options", NULL)

DEVICE_OPTION(DEVICE_FLAG, version, "version", NULL, 0, DEVICE_QEDD, SUCCESSOR_LIVE, NULL, NULL,
	      "print the version", NULL)

#undef EVERYWHERE
#undef ON_UBLK
#undef DEVICE_OPTION
