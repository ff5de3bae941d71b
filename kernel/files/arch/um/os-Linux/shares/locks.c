// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks: what the guest's processes have locked of a file, taken together, is
 * the broker's lock on the host, of a description that is open for that alone.
 * It is never waited for here; the guest asks again.
 */
#include <stdio.h>
#include <sys/file.h>
#include "broker.h"

static int open_again(struct node *node)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	const char *name;
	struct statx st;
	int err, fd;

	if (!S_ISREG(node->mode))
		return -EINVAL;
	name = node_place(node, &err);
	if (!name)
		return err;
	fd = openat(AT_FDCWD, name, O_RDWR | flags);
	if (fd < 0)
		fd = openat(AT_FDCWD, name, O_RDONLY | flags);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -ESTALE : -errno;
	if (statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &st) || !node_is(node, &st)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* Returns -ESTALE for a file that is no longer there for others */
static int lock_descriptor(struct node *node)
{
	if (node->lock_fd < 0)
		node->lock_fd = open_again(node);
	return node->lock_fd;
}

/**
 * locks_end() - the guest has no handle of that file any more
 */
void locks_end(struct node *node)
{
	if (node->lock_fd >= 0)
		close(node->lock_fd);
	node->lock_fd = -1;
}

static int set_flock(int fd, uint32_t type)
{
	int operation = type == F_UNLCK ? LOCK_UN : type == F_WRLCK ? LOCK_EX : LOCK_SH;

	return flock(fd, operation | LOCK_NB) ? -errno : 0;
}

static int fill(struct flock *lock, const struct fuse_file_lock *wanted)
{
	if (wanted->type > F_UNLCK || wanted->start > wanted->end || wanted->end > INT64_MAX)
		return -EINVAL;
	*lock = (struct flock){ .l_type = wanted->type, .l_whence = SEEK_SET };
	lock->l_start = wanted->start;
	lock->l_len = wanted->end == INT64_MAX ? 0 : wanted->end - wanted->start + 1;
	return 0;
}

int do_setlk(struct request *request)
{
	const struct fuse_lk_in *in = ARGUMENT(request, struct fuse_lk_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct flock lock;
	int err, fd;

	if (!handle)
		return in ? -EBADF : -EINVAL;
	err = fill(&lock, &in->lk);
	if (err)
		return err;
	if (lock.l_type == F_UNLCK && handle_node(handle)->lock_fd < 0)
		return 0;
	fd = lock_descriptor(handle_node(handle));
	if (fd < 0)
		return fd == -ESTALE ? 0 : -ENOLCK;
	if (in->lk_flags & FUSE_LK_FLOCK)
		return set_flock(fd, in->lk.type);
	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	/* It could be opened for reading only */
	return errno == EBADF ? -ENOLCK : errno == EACCES ? -EAGAIN : -errno;
}

int do_getlk(struct request *request)
{
	const struct fuse_lk_in *in = ARGUMENT(request, struct fuse_lk_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct fuse_lk_out out = { .lk.type = F_UNLCK };
	struct flock lock;
	int err, fd;

	if (!handle)
		return in ? -EBADF : -EINVAL;
	err = fill(&lock, &in->lk);
	if (err || lock.l_type == F_UNLCK)
		return err ? err : -EINVAL;
	fd = lock_descriptor(handle_node(handle));
	if (fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	if (fd >= 0 && lock.l_type != F_UNLCK) {
		out.lk.type = lock.l_type;
		out.lk.start = lock.l_start;
		out.lk.end = lock.l_len ? lock.l_start + lock.l_len - 1 : INT64_MAX;
	}
	return broker_answer(request, &out, sizeof(out));
}
