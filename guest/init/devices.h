/* SPDX-License-Identifier: Apache-2.0 */
/* The container's /dev. */
#ifndef INIT_DEVICES_H
#define INIT_DEVICES_H

#include <stdint.h>

/*
 * Mounts and fills /dev below @root. The new devpts instance is left open in
 * @pts, so that terminals can be had whatever the container does to its /dev.
 * /dev/shm holds @shm_bytes; 0: as much as a tmpfs holds by default. 0, or an
 * errno.
 */
int devices_make(int root, uint64_t shm_bytes, int *pts);

#endif
