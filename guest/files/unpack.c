// SPDX-License-Identifier: Apache-2.0
/* From a tar stream to a tree of files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "report.h"
#include "services.h"
#include "tarread.h"

/* A directory, by the name that it has in the stream. */
struct place {
	char *name;
	int fd;
};

/* A directory whose times are set when all that is in it has been made. */
struct pending {
	struct pending *outer;
	uint32_t mode;
	struct timespec mtime;
	char name[];
};

static int root;
static bool keep_owners;
static struct pending *pendings;

static struct timespec mtime_of(const struct tar_entry *entry)
{
	return (struct timespec){ .tv_sec = entry->mtime, .tv_nsec = entry->mtime_ns };
}

/* The name without what means nothing: "/", "./", "//"; NULL: it leads upwards. */
static char *plain(const char *name)
{
	char *text = malloc(strlen(name) + 1);
	size_t used = 0;

	if (!text)
		abort();
	while (*name) {
		size_t length = strcspn(name, "/");

		if (length == 2 && name[0] == '.' && name[1] == '.') {
			free(text);
			return NULL;
		}
		if (length && !(length == 1 && *name == '.')) {
			if (used)
				text[used++] = '/';
			memcpy(text + used, name, length);
			used += length;
		}
		name += length;
		name += *name == '/';
	}
	text[used] = 0;
	return text;
}

static int enter(int parent, const char *name)
{
	int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && (mkdirat(parent, name, 0755) == 0 || errno == EEXIST))
		fd = openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

/*
 * The directory that @path lies in, made if missing. It is kept open: the next
 * path is most often in the same one. @base becomes the last name.
 */
static int parent_of(struct place *place, char *path, const char **base)
{
	char *slash = strrchr(path, '/');
	char *at = path;
	int fd;

	*base = slash ? slash + 1 : path;
	if (!slash)
		return root;
	*slash = 0;
	if (place->name && !strcmp(place->name, path)) {
		*slash = '/';
		return place->fd;
	}
	fd = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (;;) {
		char *next = strchr(at, '/');
		int inner;
		int error;

		if (next)
			*next = 0;
		inner = fd < 0 ? -1 : enter(fd, at);
		error = errno;
		if (fd >= 0)
			close(fd);
		errno = error;
		fd = inner;
		if (!next)
			break;
		*next = '/';
		at = next + 1;
	}
	if (fd >= 0) {
		if (place->name) {
			close(place->fd);
			free(place->name);
		}
		place->name = strdup(path);
		place->fd = fd;
		if (!place->name)
			abort();
	}
	*slash = '/';
	return fd;
}

static void settle(struct pending *pending)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, pending->mtime };
	struct place place = { 0 };
	const char *base;
	int parent = parent_of(&place, pending->name, &base);

	if (parent >= 0) {
		fchmodat(parent, base, pending->mode, 0);
		utimensat(parent, base, times, 0);
	}
	if (place.name) {
		close(place.fd);
		free(place.name);
	}
	free(pending);
}

/* Settles the directories that @name does not lie in; NULL: all. */
static void leave(const char *name)
{
	while (pendings) {
		size_t length = strlen(pendings->name);
		struct pending *outer = pendings->outer;

		if (name && !strncmp(name, pendings->name, length) && name[length] == '/')
			return;
		settle(pendings);
		pendings = outer;
	}
}

static int set_owner(int parent, const char *base, const struct tar_entry *entry)
{
	if (!keep_owners)
		return 0;
	return fchownat(parent, base, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW);
}

static void set_xattrs(int parent, const char *base, const struct tar_reader *reader)
{
	char path[320];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", parent, base);
	/* A file system without them takes the file all the same. */
	for (uint32_t i = 0; i < reader->xattr_count; i++)
		lsetxattr(path, reader->xattrs[i].name, reader->xattrs[i].value,
			  reader->xattrs[i].size, 0);
}

static int make_directory(int parent, const char *base, const char *name,
			  const struct tar_reader *reader)
{
	const struct tar_entry *entry = &reader->entry;
	struct pending *pending;
	struct stat there;

	if (mkdirat(parent, base, 0700) < 0) {
		if (errno != EEXIST)
			return report(errno, "failed to make directory '%s'", name);
		/* A link to a directory stays one. */
		if (fstatat(parent, base, &there, 0) < 0 || !S_ISDIR(there.st_mode))
			return report(ENOTDIR, "failed to make directory '%s'", name);
		if (fstatat(parent, base, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(there.st_mode))
			return 0;
	}
	if (set_owner(parent, base, entry) < 0)
		return report(errno, "failed to give '%s' to %u:%u", name, entry->uid, entry->gid);
	set_xattrs(parent, base, reader);
	pending = malloc(sizeof(*pending) + strlen(name) + 1);
	if (!pending)
		abort();
	pending->outer = pendings;
	pending->mode = entry->mode;
	pending->mtime = mtime_of(entry);
	strcpy(pending->name, name);
	pendings = pending;
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t size, off_t at)
{
	while (size) {
		ssize_t done = pwrite(fd, data, size, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		data += done;
		at += done;
		size -= (size_t)done;
	}
	return 0;
}

static int take_data(int fd, struct tar_reader *reader, const char *name)
{
	static uint8_t data[64 * 1024];
	const struct tar_entry *entry = &reader->entry;
	struct tar_piece whole = { 0, entry->size };
	const struct tar_piece *pieces = entry->pieces ? entry->pieces : &whole;
	uint32_t count = entry->pieces ? entry->piece_count : 1;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t done = 0;

		while (done < pieces[i].size) {
			uint64_t left = pieces[i].size - done;
			ssize_t got = tar_data(reader, data,
					       left < sizeof(data) ? (size_t)left : sizeof(data));

			if (got <= 0)
				return report(0, "failed to read the archive at '%s': %s", name,
					      reader->why);
			if (write_all(fd, data, (size_t)got, (off_t)(pieces[i].offset + done)) < 0)
				return report(errno, "failed to write '%s'", name);
			done += (uint64_t)got;
		}
	}
	if (entry->pieces && ftruncate(fd, (off_t)entry->size) < 0)
		return report(errno, "failed to write '%s'", name);
	return 0;
}

static int make_file(int parent, const char *base, const char *name, struct tar_reader *reader)
{
	const struct tar_entry *entry = &reader->entry;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, mtime_of(entry) };
	int fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int failed;

	/* A mount cannot be replaced, but what it holds. */
	if (fd < 0 && errno == EEXIST)
		fd = openat(parent, base, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return report(errno, "failed to make '%s'", name);
	failed = take_data(fd, reader, name);
	if (!failed && (set_owner(parent, base, entry) < 0 || fchmod(fd, entry->mode) < 0))
		failed = report(errno, "failed to set owner and mode of '%s'", name);
	if (!failed)
		set_xattrs(parent, base, reader);
	futimens(fd, times);
	if (close(fd) < 0 && !failed)
		failed = report(errno, "failed to write '%s'", name);
	return failed;
}

static int make_link(int parent, const char *base, const char *name, const char *target)
{
	static struct place targets;
	char *from = plain(target);
	const char *from_base;
	int from_parent = from && *from ? parent_of(&targets, from, &from_base) : -1;
	int failed = 0;

	if (!from || !*from)
		failed = report(0, "failed to link '%s': '%s' leads out of the archive", name, target);
	else if (from_parent < 0 || linkat(from_parent, from_base, parent, base, 0) < 0)
		failed = report(errno, "failed to link '%s' to '%s'", name, target);
	free(from);
	return failed;
}

static int make_node(int parent, const char *base, const char *name,
		     const struct tar_reader *reader)
{
	const struct tar_entry *entry = &reader->entry;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, mtime_of(entry) };
	mode_t kind = entry->type == TAR_CHAR ? S_IFCHR
		    : entry->type == TAR_BLOCKDEV ? S_IFBLK : S_IFIFO;
	int failed;

	if (entry->type == TAR_SYMLINK)
		failed = symlinkat(entry->target, parent, base);
	else
		failed = mknodat(parent, base, kind | 0600, makedev(entry->major, entry->minor));
	if (failed < 0 || set_owner(parent, base, entry) < 0 ||
	    (entry->type != TAR_SYMLINK && fchmodat(parent, base, entry->mode, 0) < 0))
		return report(errno, "failed to make '%s'", name);
	set_xattrs(parent, base, reader);
	utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* Makes room for what is no directory. */
static int clear(int parent, const char *base, const char *name)
{
	if (unlinkat(parent, base, 0) == 0 || errno == ENOENT || errno == EBUSY)
		return 0;
	return report(errno == EPERM ? EISDIR : errno, "failed to replace '%s'", name);
}

static int make(char *name, struct tar_reader *reader)
{
	static struct place place;
	const struct tar_entry *entry = &reader->entry;
	const char *base;
	int parent = parent_of(&place, name, &base);
	int failed;

	if (parent < 0)
		return report(errno, "failed to make the directory of '%s'", name);
	if (entry->type == TAR_DIRECTORY)
		return make_directory(parent, base, name, reader);
	failed = clear(parent, base, name);
	if (failed)
		return failed;
	switch (entry->type) {
	case TAR_FILE:
		return make_file(parent, base, name, reader);
	case TAR_LINK:
		return make_link(parent, base, name, entry->target);
	case TAR_SYMLINK:
	case TAR_CHAR:
	case TAR_BLOCKDEV:
	case TAR_FIFO:
		return make_node(parent, base, name, reader);
	default:
		return report(0, "failed to make '%s': an entry of the unknown type '%c'", name,
			      entry->type);
	}
}

static ssize_t read_stdin(void *cookie, void *data, size_t size)
{
	(void)cookie;
	return read(STDIN_FILENO, data, size);
}

int unpack_tree(const char *directory, bool owners)
{
	static struct tar_reader reader = { .read = read_stdin };
	int failed = 0;
	int found;

	keep_owners = owners;
	umask(0);
	root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return report(errno, "failed to open '%s'", directory);
	while (!failed && (found = tar_next(&reader)) > 0) {
		char *name = plain(reader.entry.name);

		if (!name) {
			failed = report(0, "failed to make '%s': it leads out of the archive",
					reader.entry.name);
			break;
		}
		leave(name);
		/* The top itself is the directory that is there. */
		if (*name)
			failed = make(name, &reader);
		free(name);
	}
	if (!failed && found < 0)
		failed = report(0, "failed to read the archive: %s", reader.why);
	leave(NULL);
	return failed;
}
