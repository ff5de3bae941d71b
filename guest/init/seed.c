// SPDX-License-Identifier: Apache-2.0
/* The first use of a volume: it gets what the image has at that place. */
#define _GNU_SOURCE
#include "seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MOST_DEPTH	200	/* each level takes descriptors */
#define CHUNK		(1 << 20)
#define MARK		"user.drupe.unfinished"

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static DIR *list(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);

	if (!entries && fd >= 0)
		close(fd);
	return entries;
}

int seed_wanted(int directory)
{
	DIR *entries = list(directory);
	struct dirent *entry = NULL;

	if (entries && fgetxattr(directory, MARK, NULL, 0) >= 0) {
		closedir(entries);
		return 1;
	}
	if (!entries)
		return 0;
	do
		entry = readdir(entries);
	while (entry && is_dots(entry->d_name));
	closedir(entries);
	return !entry;
}

static int copy_data(int from, int to, const char *name)
{
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int out = openat(to, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t moved = in < 0 || out < 0 ? -1 : 1;

	while (moved > 0)
		moved = sendfile(out, in, NULL, CHUNK);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return (int)moved;
}

/* Something may be there from a copy that came to no end */
static int unless_there(int failed)
{
	return failed < 0 && errno == EEXIST ? 0 : failed;
}

static int copy_link(int from, int to, const char *name)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(from, name, target, sizeof(target) - 1);

	if (size < 0)
		return -1;
	target[size] = 0;
	return unless_there(symlinkat(target, to, name));
}

static int copy_all(int from, int to, int depth);

static int copy_directory(int from, int to, const char *name, int depth)
{
	int in = -1, out = -1, failed = -1;

	if (depth == MOST_DEPTH) {
		errno = ELOOP;
		return -1;
	}
	in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in >= 0 && unless_there(mkdirat(to, name, 0700)) == 0)
		out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out >= 0)
		failed = copy_all(in, out, depth + 1);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return failed;
}

/* Owners before modes: a change of owner takes set-id bits away. */
static int copy_attributes(int to, const char *name, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return -1;
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_one(int from, int to, const char *name, int depth)
{
	struct stat st;
	int failed;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		failed = copy_directory(from, to, name, depth);
	else if (S_ISREG(st.st_mode))
		failed = copy_data(from, to, name);
	else if (S_ISLNK(st.st_mode))
		failed = copy_link(from, to, name);
	else
		failed = unless_there(mknodat(to, name, st.st_mode, st.st_rdev));
	return failed ? failed : copy_attributes(to, name, &st);
}

static int copy_all(int from, int to, int depth)
{
	DIR *entries = list(from);
	struct dirent *entry;
	int failed = entries ? 0 : -1;

	while (!failed && (entry = readdir(entries)))
		if (!is_dots(entry->d_name))
			failed = copy_one(from, to, entry->d_name, depth);
	if (entries)
		closedir(entries);
	return failed;
}

int seed_copy(int from, int to)
{
	struct stat st;

	if (fsetxattr(to, MARK, "", 0, 0) < 0 && errno != EOPNOTSUPP)
		return errno;
	if (copy_all(from, to, 0) < 0 || fstat(from, &st) < 0)
		return errno;
	fremovexattr(to, MARK);
	return copy_attributes(to, ".", &st) < 0 ? errno : 0;
}
