/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Things that options of images refer to by an id, such as a folder with
 * certificates: those of --object.  Made before images are opened, on one thread; they last as
 * long as the program.
 */
#ifndef QEDBLK_FILE_OBJECTS_H
#define QEDBLK_FILE_OBJECTS_H

#include "file/options.h"

/* Add @object, which has an "id"; it is kept.  Returns 0, or a negative errno with QEMU's words. */
int blk_object_add(struct blk_options *object, struct error *err);

/* The object of that id, or NULL.  Its options: "qom-type", "id" and others. */
struct blk_options *blk_object_find(const char *id);

#endif
