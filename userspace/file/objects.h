/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of --object, to which options of images refer by an id, such as a folder
 * with certificates.  They are added before images are opened, on one thread, and last
 * until the program ends.
 */
#ifndef QEDBLK_FILE_OBJECTS_H
#define QEDBLK_FILE_OBJECTS_H

#include "file/options.h"

/*
 * Add @object, which has an "id"; takes ownership on success.  Returns 0, or a negative errno with
 * QEMU's error line.
 */
int blk_object_add(struct blk_options *object, struct error *err);

/* Return the object with @id, or NULL.  Its options: "qom-type", "id" and others. */
struct blk_options *blk_object_find(const char *id);

#endif
