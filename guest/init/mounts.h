/* SPDX-License-Identifier: Apache-2.0 */
/* The container's root and what is mounted below it. */
#ifndef INIT_MOUNTS_H
#define INIT_MOUNTS_H

#include <stddef.h>

struct boot;

/*
 * Mounts all and makes the new root the init's own. @pts: see devices.h.
 * 0, or an errno with the reason in @text.
 */
int mounts_make(const struct boot *boot, int *pts, char *text, size_t size);

#endif
