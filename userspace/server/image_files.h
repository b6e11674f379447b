/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether the files of the image and its backing chain are still found by their names. A file that
 * was deleted, or replaced by another one, exists only as long as the server does.
 */
#ifndef QEDBLK_SERVER_IMAGE_FILES_H
#define QEDBLK_SERVER_IMAGE_FILES_H

#include <jansson.h>

struct server;
struct image_files;

/*
 * Look for the files. Coroutine of the main loop; yields, for half a second at most: a file server
 * may not answer. Returns what image_files_tell() takes, or NULL when nothing was found out.
 */
struct image_files *image_files_co_look(struct server *server);

/*
 * Add to @status, as status_describe() makes it, "image-file", for each backing file "file", and a
 * warning of the image: "present"; "deleted" or "replaced", the name is free or another file's;
 * "renamed", the file has another name; null, not known, or no file of a folder. Frees @files (may
 * be NULL).
 */
void image_files_tell(const struct server *server, struct image_files *files, json_t *status);

#endif
