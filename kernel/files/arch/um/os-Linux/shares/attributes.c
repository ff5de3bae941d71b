// SPDX-License-Identifier: GPL-2.0-only
/* Attributes of files: telling and setting them */
#include <sys/syscall.h>
#include "broker.h"

static void note_owner(struct node *node, const struct seen *seen)
{
	node->mode = seen->mode;
	node->uid = seen->uid;
	node->gid = seen->gid;
}

/**
 * see_node() - looks at a file that the guest knows
 * @handle:	where it is open, or NULL
 */
int see_node(struct node *node, struct handle *handle, struct seen *seen)
{
	const char *name;
	int err, fd;

	if (handle) {
		err = see_descriptor(handle->fd, seen);
		goto out;
	}
	name = node_reach(node, &seen->st, &err);
	if (name) {
		see_name_record(name, seen);
		goto out;
	}
	fd = S_ISDIR(node->mode) ? node_fd(node) : -1;
	if (fd >= 0) {	/* one that may not be entered */
		err = statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &seen->st) ? -errno : 0;
		see_host(seen);
		goto out;
	}
	fd = node_descriptor(node);
	if (fd >= 0)
		err = see_descriptor(fd, seen);
out:
	if (!err)
		note_owner(node, seen);
	return err;
}

/**
 * fill_attributes() - in FUSE's words
 * @root:	of the share: files of other file systems below it have numbers
 *		that could be those of its own
 */
void fill_attributes(const struct node *root, const struct seen *seen, struct fuse_attr *attr)
{
	const struct statx *st = &seen->st;
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;

	memset(attr, 0, sizeof(*attr));
	attr->ino = st->stx_ino;
	if (dev != root->dev)
		attr->ino ^= (dev * 0x9e3779b97f4a7c15ULL) & ~0xffffffffULL;
	attr->size = st->stx_size;
	attr->blocks = st->stx_blocks;
	attr->atime = st->stx_atime.tv_sec;
	attr->atimensec = st->stx_atime.tv_nsec;
	attr->mtime = st->stx_mtime.tv_sec;
	attr->mtimensec = st->stx_mtime.tv_nsec;
	attr->ctime = st->stx_ctime.tv_sec;
	attr->ctimensec = st->stx_ctime.tv_nsec;
	attr->mode = seen->mode;
	attr->nlink = st->stx_nlink;
	attr->uid = seen->uid;
	attr->gid = seen->gid;
	attr->rdev = seen->rdev;
	attr->blksize = st->stx_blksize;
}

static int answer_attributes(struct request *request, struct node *node, const struct seen *seen)
{
	struct fuse_attr_out out = { .attr_valid = BROKER_VALID_S };

	fill_attributes(node_find(request, FUSE_ROOT_ID), seen, &out.attr);
	return broker_answer(request, &out, sizeof(out));
}

int do_getattr(struct request *request)
{
	const struct fuse_getattr_in *in = ARGUMENT(request, struct fuse_getattr_in);
	struct node *node = node_find(request, request->header.nodeid);
	struct handle *handle = NULL;
	struct seen seen;
	int err;

	if (!in || !node)
		return in ? -ESTALE : -EINVAL;
	if (in->getattr_flags & FUSE_GETATTR_FH)
		handle = handle_find(request, in->fh);
	err = see_node(node, handle, &seen);
	return err ? err : answer_attributes(request, node, &seen);
}

static int set_size(struct node *node, struct handle *handle, uint64_t size)
{
	struct statx st;
	const char *name;
	int err, fd;

	if (!S_ISREG(node->mode) || size > INT64_MAX)
		return -EINVAL;
	if (handle && handle->writes)
		return ftruncate(handle->fd, size) ? -errno : 0;
	name = node_reach(node, &st, &err);
	if (!name)
		return err;
	fd = open_own(name, O_WRONLY);
	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &st) || !node_is(node, &st))
		err = -ESTALE;
	else
		err = ftruncate(fd, size) ? -errno : 0;
	close(fd);
	return err;
}

static int set_times(struct node *node, const struct fuse_setattr_in *in)
{
	struct timespec times[2] = {
		{ .tv_sec = in->atime, .tv_nsec = in->atimensec },
		{ .tv_sec = in->mtime, .tv_nsec = in->mtimensec },
	};
	int err, fd = node_descriptor(node);
	struct statx st;
	const char *name;

	if (!(in->valid & FATTR_ATIME))
		times[0].tv_nsec = UTIME_OMIT;
	else if (in->valid & FATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	if (!(in->valid & FATTR_MTIME))
		times[1].tv_nsec = UTIME_OMIT;
	else if (in->valid & FATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	if (fd >= 0)	/* no path: the C library knows that as futimens() */
		return syscall(__NR_utimensat, fd, NULL, times, 0) ? -errno : 0;
	name = node_reach(node, &st, &err);
	if (name && utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	return err;
}

/* Opens what the host can hold a record of, and looks at it */
static int open_seen(struct node *node, struct seen *seen)
{
	const char *name;
	int err, fd;

	name = node_place(node, &err);
	if (!name)
		return err;
	fd = openat(AT_FDCWD, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES ? -EPERM : errno == ENOENT ? -ESTALE : -errno;
	err = see_descriptor(fd, seen);
	if (!err && node_is(node, &seen->st))
		return fd;
	close(fd);
	return err ? err : -ESTALE;
}

/* Sets mode and owner of a file that is open, and tells what they are */
static int set_owner_of(int fd, const struct fuse_setattr_in *in, struct seen *seen)
{
	uint32_t mode = seen->mode, uid = seen->uid, gid = seen->gid;
	int err;

	if (in->valid & FATTR_UID)
		uid = in->uid;
	if (in->valid & FATTR_GID)
		gid = in->gid;
	if (in->valid & FATTR_MODE)
		mode = (mode & S_IFMT) | (in->mode & 07777);
	else if (!S_ISDIR(mode))
		mode = without_set_id(mode);
	if (mode == seen->mode && uid == seen->uid && gid == seen->gid)
		return 0;
	if (fd < 0)
		return -EPERM;
	err = keep(fd, seen, mode, uid, gid);
	if (!err && statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &seen->st))
		err = -errno;
	seen->mode = mode;
	seen->uid = uid;
	seen->gid = gid;
	return err;
}

static int set_owner(struct node *node, struct handle *handle, const struct fuse_setattr_in *in,
		     struct seen *seen)
{
	int fd = handle ? handle->fd : node_descriptor(node), own = -1, err;

	if (fd >= 0) {
		err = see_descriptor(fd, seen);
	} else {
		/* What is no file for the guest may be none for the host */
		err = S_ISREG(node->mode) || S_ISDIR(node->mode) ? 0 : see_node(node, NULL, seen);
		if (err || (!S_ISREG(node->mode) && !S_ISDIR(node->mode) && !can_have_record(seen)))
			return err;	/* links, and the host's own special files, stay */
		fd = open_seen(node, seen);
		own = fd;
		/* One that may not be opened can be left as it is */
		err = fd == -EPERM ? see_node(node, NULL, seen) : fd < 0 ? fd : 0;
	}
	if (!err)
		err = set_owner_of(fd, in, seen);
	if (own >= 0)
		close(own);
	return err;
}

static int changes_owner(const struct node *node, const struct fuse_setattr_in *in)
{
	return (in->valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) ||
	       ((in->valid & FATTR_KILL_SUIDGID) && (node->mode & (S_ISUID | S_ISGID)));
}

int do_setattr(struct request *request)
{
	const struct fuse_setattr_in *in = ARGUMENT(request, struct fuse_setattr_in);
	struct node *node = node_find(request, request->header.nodeid);
	struct handle *handle = NULL;
	struct seen seen;
	int err = 0, owner, times;

	if (!in || !node)
		return in ? -ESTALE : -EINVAL;
	if (in->valid & FATTR_FH)
		handle = handle_find(request, in->fh);
	if (handle && handle_node(handle) != node)
		return -EBADF;
	if (in->valid & FATTR_SIZE)
		err = set_size(node, handle, in->size);
	owner = changes_owner(node, in);
	times = in->valid & (FATTR_ATIME | FATTR_MTIME);
	if (!err && owner)
		err = set_owner(node, handle, in, &seen);
	if (!err && times)
		err = set_times(node, in);
	if (!err && (times || !owner))
		err = see_node(node, handle, &seen);
	if (err)
		return err;
	note_owner(node, &seen);
	return answer_attributes(request, node, &seen);
}
