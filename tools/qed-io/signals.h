/* SPDX-License-Identifier: GPL-2.0 */
/* Signals that end the program. */
#ifndef QEDBLK_QED_IO_SIGNALS_H
#define QEDBLK_QED_IO_SIGNALS_H

#include "qed-io/session.h"

/*
 * From now on SIGINT, SIGTERM and SIGHUP end the program only after completed writes
 * are saved in the image. Call once, before other threads start.
 */
void io_signals_init(struct io_session *io);
/* The session starts on @loop; the session ends. The latter does not return after a signal. */
void io_signals_begin(struct aio_loop *loop);
void io_signals_co_end(void);
/* raise(3), without saving. */
void io_signals_raise(int number);

#endif
