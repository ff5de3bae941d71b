// SPDX-License-Identifier: Apache-2.0
/* The names in a directory, and names that grow and shrink along a path. */
#define _GNU_SOURCE
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_bytes(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

void names_free(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

char **names_in(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = again < 0 ? NULL : fdopendir(again);
	char **names = calloc(1, sizeof(*names));
	size_t space = 1;
	size_t count = 0;
	struct dirent *entry;

	if (!directory || !names) {
		free(names);
		return NULL;
	}
	while ((errno = 0, entry = readdir(directory))) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (count + 1 == space) {
			char **wider = realloc(names, (space *= 2) * sizeof(*names));

			if (!wider)
				abort();
			names = wider;
		}
		names[count] = strdup(name);
		if (!names[count])
			abort();
		names[++count] = NULL;
	}
	if (errno) {
		int error = errno;

		closedir(directory);
		names_free(names);
		errno = error;
		return NULL;
	}
	closedir(directory);
	qsort(names, count, sizeof(*names), by_bytes);
	return names;
}

static void append(struct path *path, const char *text)
{
	size_t size = strlen(text);

	if (path->used + size + 1 > path->space) {
		path->space = (path->used + size + 1) * 2;
		path->text = realloc(path->text, path->space);
		if (!path->text)
			abort();
	}
	memcpy(path->text + path->used, text, size + 1);
	path->used += size;
}

void path_set(struct path *path, const char *text)
{
	path->used = 0;
	append(path, text);
}

size_t path_add(struct path *path, const char *name)
{
	size_t before = path->used;

	if (before)
		append(path, "/");
	append(path, name);
	return before;
}

void path_cut(struct path *path, size_t used)
{
	path->used = used;
	path->text[used] = 0;
}
