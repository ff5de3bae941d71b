// SPDX-License-Identifier: Apache-2.0
/* From a tree of files to a tar stream. */
#define _GNU_SOURCE
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "links.h"
#include "out.h"
#include "report.h"
#include "services.h"
#include "tarwrite.h"

/* Linux's limits. */
#define XATTR_NAMES_MAX	65536
#define XATTR_VALUE_MAX	65536

/* A path that the calls for attributes take, without a descriptor of the file. */
static void name_of(const struct found *found, char *text, size_t size)
{
	snprintf(text, size, "/proc/self/fd/%d/%s", found->parent, found->name);
}

int pack_xattr(const struct found *found, const char *name, char *value, int size)
{
	char path[320];

	name_of(found, path, sizeof(path));
	return (int)lgetxattr(path, name, value, (size_t)size);
}

static bool travels(const char *name)
{
	if (!strncmp(name, "trusted.overlay.", 16) || !strncmp(name, "user.overlay.", 13))
		return false;
	return !strncmp(name, "user.", 5) || !strncmp(name, "security.", 9) ||
	       !strncmp(name, "trusted.", 8);
}

static void put_xattrs(const struct found *found)
{
	static char names[XATTR_NAMES_MAX];
	static char value[XATTR_VALUE_MAX];
	char path[320];
	ssize_t size;

	name_of(found, path, sizeof(path));
	size = llistxattr(path, names, sizeof(names));
	for (const char *name = names; name < names + size; name += strlen(name) + 1) {
		ssize_t length = travels(name) ? lgetxattr(path, name, value, sizeof(value)) : -1;

		if (length >= 0)
			tar_put_xattr(name, value, (size_t)length);
	}
}

/* Where the data of a file with holes lies; NULL: it has none, or too many. */
static struct tar_piece *find_pieces(int fd, const struct stat *file, uint32_t *count)
{
	struct tar_piece *pieces = NULL;
	off_t at = 0;

	*count = 0;
	if ((uint64_t)file->st_blocks * 512 >= (uint64_t)file->st_size)
		return NULL;
	while (at < file->st_size) {
		off_t data = lseek(fd, at, SEEK_DATA);
		off_t hole;

		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || *count == TAR_PIECES_MAX || (!data && hole >= file->st_size)) {
			free(pieces);
			return NULL;
		}
		if (data >= file->st_size)
			break;
		if (!(*count & (*count - 1))) {
			pieces = realloc(pieces, 2 * (*count + 1) * sizeof(*pieces));
			if (!pieces)
				abort();
		}
		pieces[*count].offset = (uint64_t)data;
		pieces[*count].size = (uint64_t)((hole < file->st_size ? hole : file->st_size) - data);
		at = hole;
		++*count;
	}
	return pieces ? pieces : calloc(1, sizeof(*pieces));
}

/* What has gone meanwhile is zeros: the header has told the size. */
static void put_data(int fd, uint64_t offset, uint64_t size)
{
	while (size) {
		size_t room;
		uint8_t *place = out_space(&room);
		ssize_t got;

		if (room > size)
			room = (size_t)size;
		got = pread(fd, place, room, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			memset(place, 0, room);
			got = (ssize_t)room;
		}
		out_took((size_t)got);
		offset += (uint64_t)got;
		size -= (uint64_t)got;
	}
}

static int put_file(const struct found *found, struct tar_entry *entry)
{
	int fd = openat(found->parent, found->name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	uint64_t stored = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : report(errno, "failed to read '%s'", found->path);
	entry->pieces = find_pieces(fd, found->file, &entry->piece_count);
	put_xattrs(found);
	tar_put_entry(entry);
	if (entry->pieces) {
		for (uint32_t i = 0; i < entry->piece_count; i++) {
			put_data(fd, entry->pieces[i].offset, entry->pieces[i].size);
			stored += entry->pieces[i].size;
		}
		free(entry->pieces);
	} else {
		put_data(fd, 0, entry->size);
		stored = entry->size;
	}
	tar_put_padding(stored);
	close(fd);
	return 0;
}

static int put_symlink(const struct found *found, struct tar_entry *entry)
{
	static char target[4097];
	ssize_t size = readlinkat(found->parent, found->name, target, sizeof(target) - 1);

	if (size < 0)
		return errno == ENOENT ? 0 : report(errno, "failed to read link '%s'", found->path);
	target[size] = 0;
	entry->type = TAR_SYMLINK;
	entry->target = target;
	put_xattrs(found);
	tar_put_entry(entry);
	return 0;
}

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCKDEV;
	case S_IFIFO:
		return TAR_FIFO;
	default:
		return 0;
	}
}

static int put(const struct found *found)
{
	const struct stat *file = found->file;
	struct tar_entry entry = {
		.type = TAR_FILE,
		.name = found->path,
		.target = "",
		.mode = file->st_mode & 07777,
		.uid = file->st_uid,
		.gid = file->st_gid,
		.mtime = file->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)file->st_mtim.tv_nsec,
	};

	if (!S_ISDIR(file->st_mode) && file->st_nlink > 1) {
		const char *first = S_ISSOCK(file->st_mode) ? NULL : links_seen(file, found->path);

		if (first) {
			entry.type = TAR_LINK;
			entry.target = first;
			tar_put_entry(&entry);
			return 0;
		}
	}
	if (S_ISREG(file->st_mode)) {
		entry.size = (uint64_t)file->st_size;
		return put_file(found, &entry);
	}
	if (S_ISLNK(file->st_mode))
		return put_symlink(found, &entry);
	entry.type = type_of(file->st_mode);
	entry.major = major(file->st_rdev);
	entry.minor = minor(file->st_rdev);
	/* A socket is of no use without who listens. */
	if (!entry.type)
		return 0;
	put_xattrs(found);
	tar_put_entry(&entry);
	return 0;
}

static void put_directory(const struct found *found, struct path *path)
{
	struct tar_entry entry = {
		.type = TAR_DIRECTORY,
		.target = "",
		.mode = found->file->st_mode & 07777,
		.uid = found->file->st_uid,
		.gid = found->file->st_gid,
		.mtime = found->file->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)found->file->st_mtim.tv_nsec,
	};
	size_t before = path_add(path, "");

	put_xattrs(found);
	entry.name = path->text;
	tar_put_entry(&entry);
	path_cut(path, before);
}

static int walk_directory(struct packer *packer, const struct found *found)
{
	int fd = openat(found->parent, found->name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char **names = fd < 0 ? NULL : names_in(fd);
	int failed = 0;

	if (!names) {
		if (errno != ENOENT)
			failed = report(errno, "failed to read directory '%s'", packer->path.text);
		if (fd >= 0)
			close(fd);
		return failed;
	}
	for (size_t i = 0; names[i] && !failed; i++) {
		size_t before = path_add(&packer->path, names[i]);

		failed = pack_walk(packer, fd, names[i]);
		path_cut(&packer->path, before);
	}
	names_free(names);
	close(fd);
	return failed;
}

int pack_walk(struct packer *packer, int parent, const char *name)
{
	struct stat file;
	struct found found = { parent, name, packer->path.text, &file };
	int wanted = 1;

	if (fstatat(parent, name, &file, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : report(errno, "failed to read '%s'", found.path);
	if (packer->visit)
		wanted = packer->visit(packer, &found);
	if (wanted < 0)
		return 0;
	if (!S_ISDIR(file.st_mode))
		return wanted ? put(&found) : 0;
	if (wanted)
		put_directory(&found, &packer->path);
	if (packer->inside)
		packer->inside(packer, &found);
	return walk_directory(packer, &found);
}

int pack_tree(char *path, const char *name)
{
	struct packer packer = { 0 };
	int parent = AT_FDCWD;
	int failed;

	/* A last link is packed as one, "link/" is what it leads to: as lstat(2) has it. */
	if (*path != '/') {
		errno = EINVAL;
		parent = -1;
	} else if (path[strlen(path) - 1] == '/' || !strcmp(name, ".")) {
		parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		path = (char *)".";
	} else if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		parent = -1;
	} else {
		/* Attributes are asked for below a descriptor. */
		char *slash = strrchr(path, '/');

		*slash = 0;
		parent = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		path = slash + 1;
	}
	if (parent < 0)
		return report(errno, "failed to read '%s'", name);
	path_set(&packer.path, name);
	failed = pack_walk(&packer, parent, path);
	if (!failed)
		tar_put_end();
	else
		out_flush();
	return failed;
}
