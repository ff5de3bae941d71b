/* SPDX-License-Identifier: Apache-2.0 */
/* The container's /dev. */
#ifndef INIT_DEVICES_H
#define INIT_DEVICES_H

/*
 * Mounts and fills /dev below @root. The new devpts instance is left open in
 * @pts, so that terminals can be had whatever the container does to its /dev.
 * 0, or an errno.
 */
int devices_make(int root, int *pts);

#endif
