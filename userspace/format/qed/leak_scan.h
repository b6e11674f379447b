/* SPDX-License-Identifier: GPL-2.0 */
/* The search for clusters that a crash leaked (leak_scan.c).  All functions yield. */
#ifndef QEDBLK_FORMAT_QED_LEAK_SCAN_H
#define QEDBLK_FORMAT_QED_LEAK_SCAN_H

struct qed_image;

/*
 * Start the scan, if there may be leaks, before the first request.  Returns 0 or a negative errno.
 */
int qed_co_leak_scan_start(struct qed_image *img);
/* Before the image is closed: wait for a short scan to finish, and stop a long one. */
void qed_co_leak_scan_end(struct qed_image *img);
void qed_co_leak_scan_stop(struct qed_image *img);

#endif
