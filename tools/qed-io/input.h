/* SPDX-License-Identifier: GPL-2.0 */
/* Lines of standard input. */
#ifndef QEDBLK_QED_IO_INPUT_H
#define QEDBLK_QED_IO_INPUT_H

/*
 * Print the prompt, and return the next line without its newline (heap), or NULL at the end.
 * On a terminal the line can be edited. Coroutine; yields.
 */
char *io_co_read_line(void);
/* Restore the terminal's settings. Any thread; also before the end by a signal. */
void io_input_restore(void);
void io_input_free(void);

#endif
