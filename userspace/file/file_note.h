/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The note of an image file: a text of ours that is kept with it, and that no other program reads.
 *
 * It is the extended attribute user.qedblk.backing, which moves with the file and dies with it.  On
 * file systems without such attributes it is a file of its own beside the image, NAME.qedblk-note:
 *
 *	qedblk-note 1 131		its version, and the image's inode number: another file that
 *	TEXT				has got the name has no note.  Some file systems (FAT) make
 *					these numbers up anew at each mount.
 */
#ifndef QEDBLK_FILE_FILE_NOTE_H
#define QEDBLK_FILE_FILE_NOTE_H

struct blk_file;

/*
 * Set *@note to the note, for the caller to free.  Returns 0, -ENODATA (it has none), -ESTALE (the
 * one in its place is about another inode), -EOPNOTSUPP (it cannot have one: a protocol's file, a
 * block device), or another negative errno.  Coroutine; yields.
 */
int blk_file_co_get_note(struct blk_file *file, char **note);

/*
 * Set the note, durably; NULL removes it.  After a crash it is the old one or the new one.  Returns
 * 0, -EOPNOTSUPP as above, -EEXIST (a file of another kind has its name), or another negative
 * errno.  Coroutine; yields.
 */
int blk_file_co_set_note(struct blk_file *file, const char *note);

#endif
