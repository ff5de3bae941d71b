/* SPDX-License-Identifier: Apache-2.0 */
/* The writable layer above the root: what the container has changed. */
#ifndef INIT_UPPER_H
#define INIT_UPPER_H

#include <stdbool.h>

struct boot_mount;
struct reason;

/*
 * Mounts the layer, on @disk or, without that, in memory, and at @root the
 * overlay of it above /lower. 0, or an errno with the reason.
 */
int upper_make(const struct boot_mount *disk, const char *root, struct reason *reason);

/* The last thing before the end: all of it is on its disk, which needs no repair then. */
bool upper_settle(void);

#endif
