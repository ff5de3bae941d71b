/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a directory, and names that grow and shrink along a path. */
#ifndef FILES_NAMES_H
#define FILES_NAMES_H

#include <stddef.h>

/* All names in the directory @fd, sorted, NULL at the end; NULL and errno. */
char **names_in(int fd);
void names_free(char **names);

struct path {
	char *text;		/* always a string */
	size_t used;
	size_t space;
};

void path_set(struct path *path, const char *text);
/* Appends "/NAME", or NAME to an empty path; returns what path_cut() takes it back with. */
size_t path_add(struct path *path, const char *name);
void path_cut(struct path *path, size_t used);

#endif
