/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside the new root, resolved so that no link leads out of it. */
#ifndef INIT_PLACE_H
#define INIT_PLACE_H

/* An O_PATH descriptor of a directory below @root, made if missing; -1 and errno. */
int place_open(int root, const char *path);
/*
 * An O_PATH descriptor of a file below @root, made with its parents if missing; a
 * link at the end of @path is not followed. -1 and errno.
 */
int place_file(int root, const char *path);
/* An O_PATH descriptor of what is there; -1 and errno. */
int place_find(int root, const char *path);
/* Mounts on what @place is. 0 or -1 and errno. */
int place_mount(int place, const char *source, const char *type, unsigned long flags,
		const char *options);

#endif
