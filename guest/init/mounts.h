/* SPDX-License-Identifier: Apache-2.0 */
/* The container's root and what is mounted below it. */
#ifndef INIT_MOUNTS_H
#define INIT_MOUNTS_H

#include <stddef.h>

#include "services.h"

struct boot;

/* The parts of the root, once it is made. */
extern struct layers mounts_layers;

/*
 * Mounts all and makes the new root the init's own. @pts: see devices.h.
 * 0, or an errno with the reason in @text.
 */
int mounts_make(const struct boot *boot, int *pts, char *text, size_t size);

#endif
