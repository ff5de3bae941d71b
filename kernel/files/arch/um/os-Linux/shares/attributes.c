// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of files. What the host does not let its user set (owners, modes
 * that would bar that user, special files) is kept in an extended attribute,
 * as other engines do: "uid:gid:mode[:type]", the mode in octal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "broker.h"

#define RECORD_SIZE	64

/* A number that ends in @end; the rest of the text, or NULL */
static const char *number(const char *text, int base, char end, uint32_t *value)
{
	unsigned long n;
	char *rest;

	if (!text || *text < '0' || *text > '9')
		return NULL;
	n = strtoul(text, &rest, base);
	if (n > UINT32_MAX || (*rest != end && *rest))
		return NULL;
	*value = n;
	return *rest ? rest + 1 : rest;
}

static uint32_t type_named(const char *type, uint32_t *rdev)
{
	uint32_t major, minor;
	const char *rest = NULL;
	uint32_t mode = 0;

	if (!strcmp(type, "pipe"))
		return S_IFIFO;
	if (!strcmp(type, "socket"))
		return S_IFSOCK;
	if (!strncmp(type, "block-", 6))
		mode = S_IFBLK;
	else if (!strncmp(type, "char-", 5))
		mode = S_IFCHR;
	if (mode)
		rest = number(strchr(type, '-') + 1, 10, '-', &major);
	if (!rest || !number(rest, 10, 0, &minor) || major > 0xfff || minor > 0xfffff)
		return 0;
	*rdev = (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
	return mode;
}

/* What the record says, if it says anything that makes sense */
static void see_record(struct seen *seen, const char *text)
{
	uint32_t uid, gid, mode, type;

	text = number(text, 10, ':', &uid);
	text = number(text, 10, ':', &gid);
	text = number(text, 8, ':', &mode);
	if (!text)
		return;
	seen->kept = 1;
	seen->uid = uid;
	seen->gid = gid;
	seen->mode = (seen->mode & S_IFMT) | (mode & 07777);
	type = S_ISREG(seen->mode) ? type_named(text, &seen->rdev) : 0;
	if (type)
		seen->mode = type | (mode & 07777);
}

static int can_have_record(const struct seen *seen)
{
	return S_ISREG(seen->st.stx_mode) || S_ISDIR(seen->st.stx_mode);
}

static void see_host(struct seen *seen)
{
	seen->kept = 0;
	seen->mode = seen->st.stx_mode;
	seen->uid = seen->st.stx_uid;
	seen->gid = seen->st.stx_gid;
	seen->rdev = (seen->st.stx_rdev_minor & 0xff) | seen->st.stx_rdev_major << 8 |
		     (seen->st.stx_rdev_minor & ~0xffU) << 12;
}

static void see_name_record(const char *name, struct seen *seen)
{
	char text[RECORD_SIZE];
	ssize_t len;

	see_host(seen);
	if (!can_have_record(seen))
		return;
	len = lgetxattr(name, KEPT_NAME, text, sizeof(text) - 1);
	if (len <= 0)
		return;
	text[len] = 0;
	see_record(seen, text);
}

/**
 * see_name() - looks at a file in the working directory
 */
int see_name(const char *name, struct seen *seen)
{
	if (statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, SEEN_MASK, &seen->st))
		return -errno;
	see_name_record(name, seen);
	return 0;
}

/**
 * see_descriptor() - looks at a file that is open
 */
int see_descriptor(int fd, struct seen *seen)
{
	char text[RECORD_SIZE];
	ssize_t len;

	if (statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &seen->st))
		return -errno;
	see_host(seen);
	if (!can_have_record(seen))
		return 0;
	len = fgetxattr(fd, KEPT_NAME, text, sizeof(text) - 1);
	if (len <= 0)
		return 0;
	text[len] = 0;
	see_record(seen, text);
	return 0;
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
	if (!err) {
		node->mode = seen->mode;
		node->uid = seen->uid;
		node->gid = seen->gid;
	}
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

/**
 * host_mode() - the permissions on the host of a file with a record
 * @mode:	as the guest wants it
 *
 * The host's user must be able to change the record, and to use the file for
 * the guest.
 */
uint32_t host_mode(uint32_t mode)
{
	if (S_ISDIR(mode))
		return (mode & 01777) | 0700;
	return (S_ISREG(mode) ? mode & 01777 : 0) | 0600;
}

/* Can the host hold all that? Without set-user-id bits: none are left on the host. */
static int fits_host(const struct seen *seen, uint32_t mode, uint32_t uid, uint32_t gid)
{
	uint32_t least = S_ISDIR(mode) ? 0700 : 0400;

	return uid == seen->st.stx_uid && gid == seen->st.stx_gid &&
	       (S_ISREG(mode) || S_ISDIR(mode)) && !(mode & 06000) && (mode & least) == least;
}

static void write_record(char *text, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t rdev)
{
	static const char * const names[] = {
		[S_IFREG >> 12] = "file", [S_IFDIR >> 12] = "dir", [S_IFIFO >> 12] = "pipe",
		[S_IFSOCK >> 12] = "socket", [S_IFBLK >> 12] = "block", [S_IFCHR >> 12] = "char",
	};
	int len = snprintf(text, RECORD_SIZE, "%u:%u:%04o:%s", uid, gid, mode & 07777,
			   names[mode >> 12]);

	if (S_ISBLK(mode) || S_ISCHR(mode))
		snprintf(text + len, RECORD_SIZE - len, "-%u-%u", rdev >> 8 & 0xfff,
			 (rdev & 0xff) | (rdev >> 12 & 0xfff00));
}

/**
 * without_set_id() - a mode as it is after somebody else has written
 */
uint32_t without_set_id(uint32_t mode)
{
	return mode & ~(S_ISUID | (mode & 0010 ? S_ISGID : 0));
}

/**
 * keep() - sets mode and owner of an open file, and keeps what the host cannot
 *	hold; as little as possible
 * @seen:	what they are
 */
int keep(int fd, struct seen *seen, uint32_t mode, uint32_t uid, uint32_t gid)
{
	int fits = !seen->kept && fits_host(seen, mode, uid, gid);
	uint32_t wanted = fits ? mode & 07777 : host_mode(mode);
	char text[RECORD_SIZE];

	if ((seen->st.stx_mode & 07777) != wanted && fchmod(fd, wanted)) {
		if (errno != EPERM)
			return -errno;
		fits = 0;
	}
	if (fits)
		return 0;
	write_record(text, mode, uid, gid, seen->rdev);
	if (!fsetxattr(fd, KEPT_NAME, text, strlen(text), 0))
		return 0;
	return errno == EOPNOTSUPP ? -EPERM : -errno;
}

/**
 * keep_new() - a file was made for the guest: it is its user's
 * @name:	in the working directory, which is @parent
 * @fd:		where it is open, or -1
 * @mode:	as the guest wants it
 * @seen:	filled in
 */
int keep_new(const struct request *request, struct node *parent, const char *name, int fd,
	     uint32_t mode, uint32_t rdev, struct seen *seen)
{
	uint32_t uid = request->header.uid, gid = request->header.gid;
	char text[RECORD_SIZE];

	if (fd < 0 ? statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, SEEN_MASK, &seen->st)
		   : statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &seen->st))
		return -errno;
	see_host(seen);
	if (parent->mode & S_ISGID) {
		gid = parent->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	if (!can_have_record(seen))
		return 0;
	if (fits_host(seen, mode, uid, gid)) {
		if (fd >= 0 && (seen->st.stx_mode & 07777) != (mode & 07777))
			fchmod(fd, mode & 07777);
		seen->mode = mode;
		return 0;
	}
	write_record(text, mode, uid, gid, rdev);
	if (fd < 0 ? lsetxattr(name, KEPT_NAME, text, strlen(text), 0)
		   : fsetxattr(fd, KEPT_NAME, text, strlen(text), 0))
		return errno == EOPNOTSUPP && S_ISREG(mode) ? 0 : -errno;
	seen->kept = 1;
	seen->mode = mode;
	seen->uid = uid;
	seen->gid = gid;
	seen->rdev = rdev;
	return 0;
}

/**
 * open_own() - opens a file in the working directory
 *
 * Where its own permissions bar the host's user, who owns it, they are
 * widened, and what they were is kept: the guest decides who may do what.
 *
 * Returns: a descriptor or a negative error number.
 */
int open_own(const char *name, int flags)
{
	struct seen seen;
	int fd, reader;

	flags |= O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	fd = openat(AT_FDCWD, name, flags);
	if (fd >= 0 || errno != EACCES || (flags & O_ACCMODE) == O_RDONLY)
		return fd < 0 ? -errno : fd;
	reader = openat(AT_FDCWD, name, (flags & ~(O_ACCMODE | O_TRUNC)) | O_RDONLY);
	if (reader < 0)
		return -EACCES;
	if (!see_descriptor(reader, &seen) && S_ISREG(seen.st.stx_mode) &&
	    !fchmod(reader, host_mode(seen.st.stx_mode))) {
		char text[RECORD_SIZE];

		write_record(text, seen.mode, seen.uid, seen.gid, seen.rdev);
		if (seen.kept || !fsetxattr(reader, KEPT_NAME, text, strlen(text), 0))
			fd = openat(AT_FDCWD, name, flags);
		else
			fchmod(reader, seen.st.stx_mode & 07777);
	}
	close(reader);
	return fd < 0 ? -EACCES : fd;
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

static int set_owner(struct node *node, const struct fuse_setattr_in *in, struct seen *seen)
{
	uint32_t mode = seen->mode, uid = seen->uid, gid = seen->gid;
	int fd = node_descriptor(node), own = -1, err;
	const char *name;
	struct statx st;

	if (!can_have_record(seen))	/* links and the host's own special files */
		return 0;
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
	if (fd < 0) {
		name = node_reach(node, &st, &err);
		if (!name)
			return err;
		own = openat(AT_FDCWD, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (own < 0)
			return errno == EACCES ? -EPERM : -errno;
		fd = own;
		if (see_descriptor(fd, seen) || !node_is(node, &seen->st)) {
			close(own);
			return -ESTALE;
		}
	}
	err = keep(fd, seen, mode, uid, gid);
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
	int err = 0;

	if (!in || !node)
		return in ? -ESTALE : -EINVAL;
	if (in->valid & FATTR_FH)
		handle = handle_find(request, in->fh);
	if (handle && handle_node(handle) != node)
		return -EBADF;
	if (in->valid & FATTR_SIZE)
		err = set_size(node, handle, in->size);
	if (!err && changes_owner(node, in)) {
		err = see_node(node, handle, &seen);
		if (!err)
			err = set_owner(node, in, &seen);
	}
	if (!err && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
		err = set_times(node, in);
	if (!err)
		err = see_node(node, handle, &seen);
	return err ? err : answer_attributes(request, node, &seen);
}
