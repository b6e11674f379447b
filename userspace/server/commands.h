/* SPDX-License-Identifier: GPL-2.0 */
/* The commands of the control socket, one row of a table each. */
#ifndef QEDBLK_SERVER_COMMANDS_H
#define QEDBLK_SERVER_COMMANDS_H

#include <stddef.h>

struct server;

/*
 * Carry out the command in @line (its newline left off) and return the answer,
 * a line on the heap, or NULL when memory is short.  Coroutine of the main loop.
 */
char *commands_co_answer(struct server *server, const char *line, size_t len);

#endif
