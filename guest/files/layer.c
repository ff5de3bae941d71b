// SPDX-License-Identifier: Apache-2.0
/*
 * What was changed above the image: the overlay's upper directory, as a layer
 * of an OCI image or as a list.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "out.h"
#include "pack.h"
#include "report.h"
#include "services.h"
#include "tarwrite.h"

/* From linux/stat.h and linux/mount.h, which musl does not bring. */
#define ATTR_MOUNT_ROOT		0x2000u
#define OPEN_TREE_CLONE		1
#ifndef SYS_open_tree
#define SYS_open_tree		428
#endif
#ifndef SYS_statx
#define SYS_statx		332
#endif

struct statx_head {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint8_t rest[240];
};

_Static_assert(sizeof(struct statx_head) == 256, "as large as the kernel's");

static bool is_whiteout(const struct stat *file)
{
	return S_ISCHR(file->st_mode) && !file->st_rdev;
}

static bool is_mounted(const char *path)
{
	struct statx_head head;

	memset(&head, 0, sizeof(head));
	return syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0, &head) == 0 &&
	       (head.attributes & ATTR_MOUNT_ROOT);
}

static bool is_stub(const struct layers *layers, const struct found *found);

/* Whether all in a directory is stubs, of which there are some. */
static bool holds_stubs(const struct layers *layers, const struct found *found)
{
	int fd = openat(found->parent, found->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	char **names = fd < 0 ? NULL : names_in(fd);
	bool all = names && names[0];
	struct path path = { 0 };
	struct stat file;

	path_set(&path, found->path);
	for (size_t i = 0; all && names[i]; i++) {
		size_t before = path_add(&path, names[i]);
		struct found inner = { fd, names[i], path.text, &file };

		all = fstatat(fd, names[i], &file, AT_SYMLINK_NOFOLLOW) == 0 &&
		      is_stub(layers, &inner);
		path_cut(&path, before);
	}
	free(path.text);
	names_free(names);
	if (fd >= 0)
		close(fd);
	return all;
}

/*
 * Whether it was made for a mount of the container: what that hides, or a
 * directory on the way to it that is nothing else.
 */
static bool is_stub(const struct layers *layers, const struct found *found)
{
	const struct stat *file = found->file;
	struct stat below;
	char *path;
	bool mounted;
	bool there;

	if (!S_ISDIR(file->st_mode) && (!S_ISREG(file->st_mode) || file->st_size))
		return false;
	there = fstatat(layers->lower, found->path, &below, AT_SYMLINK_NOFOLLOW) == 0;
	if (there && (below.st_mode != file->st_mode || below.st_uid != file->st_uid ||
		      below.st_gid != file->st_gid))
		return false;
	if (S_ISDIR(file->st_mode) && holds_stubs(layers, found))
		return true;
	if (there)
		return false;
	if (asprintf(&path, "/%s", found->path) < 0)
		abort();
	mounted = is_mounted(path);
	free(path);
	return mounted;
}

static void put_empty(const char *directory, const char *prefix, const char *name)
{
	struct tar_entry entry = { .type = TAR_FILE, .target = "", .mode = 0600 };
	size_t size = strlen(directory);
	char *path;

	if (asprintf(&path, "%s%s%s%s", directory, size ? "/" : "", prefix, name) < 0)
		abort();
	entry.name = path;
	tar_put_entry(&entry);
	free(path);
}

static int visit_layer(struct packer *packer, const struct found *found)
{
	if (!*found->path)
		return 0;
	if (is_whiteout(found->file)) {
		char *directory = strdup(found->path);
		char *slash;

		if (!directory)
			abort();
		slash = strrchr(directory, '/');
		*(slash ? slash : directory) = 0;
		put_empty(directory, ".wh.", found->name);
		free(directory);
		return -1;
	}
	return is_stub(packer->cookie, found) ? -1 : 1;
}

static void inside_layer(struct packer *packer, const struct found *found)
{
	char value[2];

	(void)packer;
	if (pack_xattr(found, "trusted.overlay.opaque", value, sizeof(value)) == 1 && *value == 'y')
		put_empty(found->path, ".wh..wh.", ".opq");
}

static void tell(char kind, const char *path)
{
	char head[4] = { kind, ' ', '/' };

	out_put(head, 3);
	out_put(path, strlen(path) + 1);
}

/* What the image has there and an opaque directory hides. */
static void tell_hidden(const struct layers *layers, const struct found *found)
{
	int lower = openat(layers->lower, found->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	int upper = openat(found->parent, found->name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	char **names = lower < 0 || upper < 0 ? NULL : names_in(lower);
	struct path path = { 0 };
	struct stat file;

	path_set(&path, found->path);
	for (size_t i = 0; names && names[i]; i++) {
		size_t before = path_add(&path, names[i]);

		if (fstatat(upper, names[i], &file, AT_SYMLINK_NOFOLLOW) < 0)
			tell('D', path.text);
		path_cut(&path, before);
	}
	names_free(names);
	free(path.text);
	close(lower);
	close(upper);
}

static int visit_changes(struct packer *packer, const struct found *found)
{
	const struct layers *layers = packer->cookie;
	struct stat below;

	if (!*found->path)
		return 0;
	if (is_whiteout(found->file)) {
		tell('D', found->path);
		return -1;
	}
	if (is_stub(layers, found))
		return -1;
	tell(fstatat(layers->lower, found->path, &below, AT_SYMLINK_NOFOLLOW) == 0 ? 'C' : 'A',
	     found->path);
	return 0;
}

static void inside_changes(struct packer *packer, const struct found *found)
{
	char value[2];

	if (pack_xattr(found, "trusted.overlay.opaque", value, sizeof(value)) == 1 && *value == 'y')
		tell_hidden(packer->cookie, found);
}

static int walk_upper(struct packer *packer, const struct layers *layers)
{
	if (layers->upper < 0 || layers->lower < 0)
		return report(0, "the root has no writable layer of its own");
	path_set(&packer->path, "");
	packer->cookie = (void *)layers;
	return pack_walk(packer, layers->upper, ".");
}

int pack_layer(const struct layers *layers)
{
	struct packer packer = { .visit = visit_layer, .inside = inside_layer };
	int failed = walk_upper(&packer, layers);

	if (!failed)
		tar_put_end();
	return failed;
}

int list_changes(const struct layers *layers)
{
	struct packer packer = { .visit = visit_changes, .inside = inside_changes };
	int failed = walk_upper(&packer, layers);

	out_flush();
	return failed;
}

static int visit_root(struct packer *packer, const struct found *found)
{
	(void)packer;
	return *found->path != 0;
}

int pack_root(void)
{
	struct packer packer = { .visit = visit_root };
	/* The root without what is mounted below it. */
	int root = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | O_CLOEXEC);
	int failed;

	if (root < 0)
		return report(errno, "failed to open the root");
	path_set(&packer.path, "");
	failed = pack_walk(&packer, root, ".");
	if (!failed)
		tar_put_end();
	return failed;
}
