/* SPDX-License-Identifier: Apache-2.0 */
/* From a tree of files to a tar stream, or to what else is said of each. */
#ifndef FILES_PACK_H
#define FILES_PACK_H

#include <stdbool.h>
#include <sys/stat.h>

#include "names.h"

struct packer;

/* One entry on the way; @parent and @name find it, @path is what it is called. */
struct found {
	int parent;
	const char *name;
	const char *path;
	const struct stat *file;
};

struct packer {
	struct path path;
	/* Instead of packing: 0: done; 1: pack it after all; -1: leave it out, with all below. */
	int (*visit)(struct packer *packer, const struct found *found);
	/* After a directory itself, before what is in it. */
	void (*inside)(struct packer *packer, const struct found *found);
	void *cookie;
};

/* Walks from @name in @parent, which is called packer->path. 0, or the status of a failure. */
int pack_walk(struct packer *packer, int parent, const char *name);
/* The bytes of the value of an attribute; -1: it has none. */
int pack_xattr(const struct found *found, const char *name, char *value, int size);

#endif
