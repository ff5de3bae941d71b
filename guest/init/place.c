// SPDX-License-Identifier: Apache-2.0
/* Paths inside the new root, resolved so that no link leads out of it. */
#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From linux/openat2.h, which musl does not bring. */
#ifndef SYS_openat2
#define SYS_openat2		437
#endif
#define RESOLVE_NO_MAGICLINKS	0x02
#define RESOLVE_IN_ROOT		0x10

struct open_how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};

static int resolve(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

int place_open(int root, const char *path)
{
	char prefix[PATH_MAX] = "";
	size_t used = 0;
	int place = resolve(root, path, O_DIRECTORY);
	int error;

	if (place >= 0 || errno != ENOENT)
		return place;
	if (strlen(path) + 2 > sizeof(prefix)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* Component by component: each parent is resolved anew, inside the root. */
	place = resolve(root, "", O_DIRECTORY);
	while (place >= 0) {
		const char *name;
		size_t length;
		int next;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (!length)
			break;
		name = prefix + used + !!used;
		if (used)
			prefix[used++] = '/';
		memcpy(prefix + used, path, length);
		used += length;
		prefix[used] = 0;
		path += length;
		next = resolve(root, prefix, O_DIRECTORY);
		if (next < 0 && errno == ENOENT) {
			if (mkdirat(place, name, 0755) == 0 || errno == EEXIST)
				next = resolve(root, prefix, O_DIRECTORY);
		}
		error = errno;
		close(place);
		errno = error;
		place = next;
	}
	return place;
}

int place_find(int root, const char *path)
{
	return resolve(root, path, 0);
}

int place_file(int root, const char *path)
{
	const char *name = strrchr(path, '/');
	char parent[PATH_MAX];
	int directory, file, error;

	if (!name || (size_t)(name - path) >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, path, (size_t)(name - path));
	parent[name - path] = 0;
	name++;
	directory = place_open(root, parent);
	if (directory < 0)
		return -1;
	file = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 && errno == ENOENT &&
	    (mknodat(directory, name, S_IFREG | 0644, 0) == 0 || errno == EEXIST))
		file = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	error = errno;
	close(directory);
	errno = error;
	return file;
}

int place_mount(int place, const char *source, const char *type, unsigned long flags,
		const char *options)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
	return mount(source, path, type, flags, options);
}
