// SPDX-License-Identifier: Apache-2.0
/*
 * Single files and directories: what is there, read, write, make, remove.
 *
 * A record of stat and list is these, with NUL behind each:
 *
 *	MODE UID GID SIZE SECONDS NANOSECONDS LINKS DEVICE	numbers, by blanks
 *	name		list: in its directory; stat: the path without links
 *	target		of a symbolic link, else empty
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "out.h"
#include "report.h"
#include "services.h"

static void put_record(const struct stat *file, const char *name, int parent, const char *base)
{
	static char target[4097];
	char numbers[160];
	ssize_t size = 0;

	if (S_ISLNK(file->st_mode))
		size = readlinkat(parent, base, target, sizeof(target) - 1);
	target[size > 0 ? size : 0] = 0;
	snprintf(numbers, sizeof(numbers), "%u %u %u %llu %lld %ld %lu %llu", file->st_mode,
		 file->st_uid, file->st_gid, (unsigned long long)file->st_size,
		 (long long)file->st_mtim.tv_sec, (long)file->st_mtim.tv_nsec,
		 (unsigned long)file->st_nlink, (unsigned long long)file->st_rdev);
	out_put(numbers, strlen(numbers) + 1);
	out_put(name, strlen(name) + 1);
	out_put(target, strlen(target) + 1);
}

int tree_stat(const char *path, bool follow)
{
	static char real[4097];
	int fd = open(path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	char link[40];
	struct stat file;
	ssize_t size;

	if (fd < 0 || fstat(fd, &file) < 0)
		return report(errno, "failed to look at '%s'", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = readlink(link, real, sizeof(real) - 1);
	if (size < 0)
		return report(errno, "failed to look at '%s'", path);
	real[size] = 0;
	put_record(&file, real, fd, "");
	out_flush();
	return 0;
}

int tree_list(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char **names = fd < 0 ? NULL : names_in(fd);
	struct stat file;

	if (!names)
		return report(errno, "failed to list '%s'", path);
	for (size_t i = 0; names[i]; i++)
		/* It may have gone meanwhile. */
		if (fstatat(fd, names[i], &file, AT_SYMLINK_NOFOLLOW) == 0)
			put_record(&file, names[i], fd, names[i]);
	out_flush();
	return 0;
}

int tree_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return report(errno, "failed to read '%s'", path);
	for (;;) {
		size_t room;
		uint8_t *place = out_space(&room);
		ssize_t got = read(fd, place, room);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return report(errno, "failed to read '%s'", path);
		if (!got)
			break;
		out_took((size_t)got);
	}
	out_flush();
	return 0;
}

int tree_write(const char *path, unsigned int mode)
{
	static uint8_t data[64 * 1024];
	int fd;

	umask(0);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, mode);
	if (fd < 0)
		return report(errno, "failed to write '%s'", path);
	for (;;) {
		ssize_t got = read(STDIN_FILENO, data, sizeof(data));
		ssize_t done = 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		while (done < got) {
			ssize_t size = write(fd, data + done, (size_t)(got - done));

			if (size < 0 && errno != EINTR)
				return report(errno, "failed to write '%s'", path);
			if (size > 0)
				done += size;
		}
	}
	return close(fd) < 0 ? report(errno, "failed to write '%s'", path) : 0;
}

static int remove_below(int parent, const char *name, struct path *path)
{
	char **names;
	int failed = 0;
	int fd;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return report(errno, "failed to remove '%s'", path->text);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	names = fd < 0 ? NULL : names_in(fd);
	if (!names)
		return report(errno, "failed to remove '%s'", path->text);
	for (size_t i = 0; names[i] && !failed; i++) {
		size_t before = path_add(path, names[i]);

		failed = remove_below(fd, names[i], path);
		path_cut(path, before);
	}
	names_free(names);
	close(fd);
	if (!failed && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		failed = report(errno, "failed to remove '%s'", path->text);
	return failed;
}

int tree_remove(const char *path, bool whole)
{
	struct path text = { 0 };

	if (whole) {
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return report(errno, "failed to remove '%s'", path);
		path_set(&text, path);
		return remove_below(AT_FDCWD, path, &text);
	}
	if (unlink(path) == 0)
		return 0;
	if ((errno == EISDIR || errno == EPERM) && rmdir(path) == 0)
		return 0;
	return report(errno, "failed to remove '%s'", path);
}

int tree_mkdir(const char *path, unsigned int mode, bool parents)
{
	char *copy = strdup(path);
	struct stat file;

	if (!copy)
		abort();
	umask(0);
	for (char *at = copy + 1; parents && *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		mkdir(copy, 0755);
		*at = '/';
	}
	free(copy);
	if (mkdir(path, mode) == 0)
		return 0;
	if (parents && errno == EEXIST && stat(path, &file) == 0 && S_ISDIR(file.st_mode))
		return 0;
	return report(errno, "failed to make directory '%s'", path);
}
