// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names: looking them up, making and removing them. A name is one component,
 * relative to a directory that is open, and is never followed.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include "broker.h"

#define NAME_MOST	255

/**
 * name_at() - a name among a request's arguments
 * @offset:	where it begins
 * @end:	where what follows it begins; or NULL
 */
int name_at(const struct request *request, size_t offset, const char **name, size_t *end)
{
	size_t len;

	if (offset >= request->in_len)
		return -EINVAL;
	*name = request->in + offset;
	len = strlen(*name);	/* there is a NUL behind all arguments */
	if (len > NAME_MOST)
		return -ENAMETOOLONG;
	if (!len || strchr(*name, '/') || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return -EINVAL;
	if (end)
		*end = offset + len + 1;
	return 0;
}

/* The directory that a request is about, which becomes the working directory */
static struct node *enter(struct request *request, uint64_t id, int *err)
{
	struct node *directory = node_find(request, id);

	*err = directory ? node_enter(directory) : -ESTALE;
	return *err ? NULL : directory;
}

/* The same, and a name in it */
static struct node *enter_for(struct request *request, size_t offset, const char **name, int *err)
{
	*err = name_at(request, offset, name, NULL);
	return *err ? NULL : enter(request, request->header.nodeid, err);
}

/**
 * answer_entry() - what the guest is told of a name that is there
 */
int answer_entry(struct request *request, struct node *parent, const char *name,
		 const struct seen *seen, struct fuse_entry_out *entry)
{
	struct node *node = node_get(parent, name, &seen->st);

	if (!node)
		return -ENFILE;
	node->lookups++;
	node->mode = seen->mode;
	node->uid = seen->uid;
	node->gid = seen->gid;
	memset(entry, 0, sizeof(*entry));
	entry->nodeid = node_id(node);
	entry->entry_valid = BROKER_VALID_S;
	entry->attr_valid = BROKER_VALID_S;
	fill_attributes(node_find(request, FUSE_ROOT_ID), seen, &entry->attr);
	return 0;
}

static int answer_name(struct request *request, struct node *parent, const char *name,
		       const struct seen *seen)
{
	struct fuse_entry_out entry;
	int err = answer_entry(request, parent, name, seen, &entry);

	return err ? err : broker_answer(request, &entry, sizeof(entry));
}

int do_lookup(struct request *request)
{
	const struct fuse_entry_out nothing = { .entry_valid_nsec = BROKER_NO_NAME_NS };
	struct node *parent;
	struct seen seen;
	const char *name;
	int err;

	parent = enter_for(request, 0, &name, &err);
	if (!parent)
		return err;
	err = see_name(name, &seen);
	if (err == -ENOENT)
		return broker_answer(request, &nothing, sizeof(nothing));
	return err ? err : answer_name(request, parent, name, &seen);
}

static void forget(struct request *request, uint64_t id, uint64_t count)
{
	struct node *node = node_find(request, id);

	if (node && id != FUSE_ROOT_ID)
		node_forget(node, count);
}

int do_forget(struct request *request)
{
	const struct fuse_forget_in *in = ARGUMENT(request, struct fuse_forget_in);

	if (in)
		forget(request, request->header.nodeid, in->nlookup);
	return 0;
}

int do_batch_forget(struct request *request)
{
	const struct fuse_batch_forget_in *in = ARGUMENT(request, struct fuse_batch_forget_in);
	const struct fuse_forget_one *one = (const void *)(in + 1);
	uint32_t i, count;

	if (!in)
		return 0;
	count = (request->in_len - sizeof(*in)) / sizeof(*one);
	count = in->count < count ? in->count : count;
	for (i = 0; i < count; i++)
		forget(request, one[i].nodeid, one[i].nlookup);
	return 0;
}

int do_mknod(struct request *request)
{
	const struct fuse_mknod_in *in = ARGUMENT(request, struct fuse_mknod_in);
	uint32_t mode = in ? in->mode & (S_IFMT | 07777) : 0;
	struct node *parent;
	struct seen seen;
	const char *name;
	int err, fd;

	if (!in || (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode) && !S_ISBLK(mode) &&
		    !S_ISCHR(mode)))
		return -EINVAL;
	parent = enter_for(request, sizeof(*in), &name, &err);
	if (!parent)
		return err;
	fd = openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    host_mode(mode));
	if (fd < 0)
		return -errno;
	err = keep_new(request, parent, name, fd, mode, in->rdev, &seen);
	close(fd);
	if (err) {
		unlinkat(AT_FDCWD, name, 0);
		return err;
	}
	return answer_name(request, parent, name, &seen);
}

int do_mkdir(struct request *request)
{
	const struct fuse_mkdir_in *in = ARGUMENT(request, struct fuse_mkdir_in);
	uint32_t mode = in ? S_IFDIR | (in->mode & 07777) : 0;
	struct node *parent;
	struct seen seen;
	const char *name;
	int err;

	if (!in)
		return -EINVAL;
	parent = enter_for(request, sizeof(*in), &name, &err);
	if (!parent)
		return err;
	if (mkdirat(AT_FDCWD, name, host_mode(mode)))
		return -errno;
	err = keep_new(request, parent, name, -1, mode, 0, &seen);
	if (err) {
		unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
		return err;
	}
	return answer_name(request, parent, name, &seen);
}

int do_symlink(struct request *request)
{
	struct node *parent;
	struct seen seen;
	const char *name;
	size_t target;
	int err = name_at(request, 0, &name, &target);

	if (err || target >= request->in_len)
		return err ? err : -EINVAL;
	parent = enter(request, request->header.nodeid, &err);
	if (!parent)
		return err;
	if (symlinkat(request->in + target, AT_FDCWD, name))
		return -errno;
	err = see_name(name, &seen);
	return err ? err : answer_name(request, parent, name, &seen);
}

int do_link(struct request *request)
{
	const struct fuse_link_in *in = ARGUMENT(request, struct fuse_link_in);
	struct node *parent, *node, *source;
	struct seen seen;
	const char *name, *old;
	int err, fd;

	if (!in)
		return -EINVAL;
	err = name_at(request, sizeof(*in), &name, NULL);
	if (err)
		return err;
	node = node_find(request, in->oldnodeid);
	parent = node_find(request, request->header.nodeid);
	if (!node || !parent)
		return -ESTALE;
	if (S_ISDIR(node->mode))
		return -EPERM;
	old = node_reach(node, &seen.st, &err);
	if (!old)
		return err == -ESTALE && node->opens ? -ENOENT : err;
	fd = node_fd(parent);
	if (fd < 0)
		return fd;
	if (linkat(AT_FDCWD, old, fd, name, 0))
		return -errno;
	source = node;
	err = node_enter(parent);
	if (!err)
		err = see_name(name, &seen);
	if (err)
		return err;
	if (!node_is(source, &seen.st)) {	/* somebody was quicker */
		unlinkat(AT_FDCWD, name, 0);
		return -ESTALE;
	}
	return answer_name(request, parent, name, &seen);
}

static int remove_name(struct request *request, int flags)
{
	const char *name;
	int err;

	if (!enter_for(request, 0, &name, &err))
		return err;
	return unlinkat(AT_FDCWD, name, flags) ? -errno : 0;
}

int do_unlink(struct request *request)
{
	return remove_name(request, 0);
}

int do_rmdir(struct request *request)
{
	return remove_name(request, AT_REMOVEDIR);
}

static int move(struct request *request, size_t offset, uint64_t newdir, unsigned int flags)
{
	struct node *from, *to;
	const char *old, *new;
	int err, fd;

	err = name_at(request, offset, &old, &offset);
	if (!err)
		err = name_at(request, offset, &new, NULL);
	if (err)
		return err;
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	from = node_find(request, request->header.nodeid);
	to = node_find(request, newdir);
	if (!from || !to)
		return -ESTALE;
	err = node_enter(to);
	if (err)
		return err;
	fd = node_fd(from);
	if (fd < 0)
		return fd;
	if (syscall(__NR_renameat2, fd, old, AT_FDCWD, new, flags))
		return -errno;
	node_moved(to, new);
	if ((flags & RENAME_EXCHANGE) && !node_enter(from))
		node_moved(from, old);
	return 0;
}

int do_rename(struct request *request)
{
	const struct fuse_rename_in *in = ARGUMENT(request, struct fuse_rename_in);

	return in ? move(request, sizeof(*in), in->newdir, 0) : -EINVAL;
}

int do_rename2(struct request *request)
{
	const struct fuse_rename2_in *in = ARGUMENT(request, struct fuse_rename2_in);

	return in ? move(request, sizeof(*in), in->newdir, in->flags) : -EINVAL;
}

int do_readlink(struct request *request)
{
	struct node *node = node_find(request, request->header.nodeid);
	struct statx st;
	const char *name;
	ssize_t len;
	int err;

	if (!node)
		return -ESTALE;
	name = node_reach(node, &st, &err);
	if (!name)
		return err;
	len = readlinkat(AT_FDCWD, name, broker_buffer, PATH_MAX);
	if (len < 0)
		return -errno;
	return broker_answer(request, broker_buffer, len);
}
