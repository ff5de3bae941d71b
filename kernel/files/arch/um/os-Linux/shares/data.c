// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that are open: their data goes between the host's files and the memory
 * of the guest without a copy in between.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include "broker.h"

#define FLAGS		(O_ACCMODE | O_APPEND | O_DSYNC | O_SYNC | O_TRUNC)
#define MOST_AT_ONCE	(1U << 20)	/* copied before anybody else is served */
#define RECENT_NS	20000000LL	/* a change right after one may have the same time */

static int64_t time_ns(const struct statx_timestamp *time)
{
	return time->tv_sec * 1000000000ULL + time->tv_nsec;
}

static void note_seen(struct node *node, const struct statx *st)
{
	node->seen_mtime = time_ns(&st->stx_mtime);
	node->seen_ctime = time_ns(&st->stx_ctime);
	node->seen_size = st->stx_size;
}

/* May the guest go on with what it has of the file's data? Notes what it is now. */
static uint32_t keeps(struct node *node, const struct statx *st)
{
	int same = node->seen_mtime == time_ns(&st->stx_mtime) &&
		   node->seen_ctime == time_ns(&st->stx_ctime) &&
		   node->seen_size == st->stx_size;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	note_seen(node, st);
	if ((int64_t)(now.tv_sec * 1000000000ULL + now.tv_nsec - node->seen_ctime) < RECENT_NS)
		node->seen_ctime = 0;
	return same ? FOPEN_KEEP_CACHE : 0;
}

/* Whoever may not set these bits has written to a file that has them */
static void drop_set_id(struct node *node, int fd)
{
	struct seen seen;
	uint32_t mode;

	if (!(node->mode & (S_ISUID | S_ISGID)) || see_descriptor(fd, &seen))
		return;
	mode = without_set_id(seen.mode);
	if (!keep(fd, &seen, mode, seen.uid, seen.gid))
		node->mode = mode;
}

static int writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

static int opened(struct request *request, struct node *node, int fd, int flags,
		  const struct statx *st, struct fuse_open_out *out)
{
	struct handle *handle;

	memset(out, 0, sizeof(*out));
	out->open_flags = FOPEN_NOFLUSH | keeps(node, st);
	handle = handle_new(node, fd, writes(flags));
	if (!handle)
		return -ENFILE;
	out->fh = handle_id(handle);
	return 0;
}

int do_open(struct request *request)
{
	const struct fuse_open_in *in = ARGUMENT(request, struct fuse_open_in);
	struct node *node = node_find(request, request->header.nodeid);
	struct fuse_open_out out;
	struct statx st;
	const char *name;
	int err, fd, flags;

	if (!in || !node)
		return in ? -ESTALE : -EINVAL;
	if (!S_ISREG(node->mode))
		return -EINVAL;
	flags = in->flags & FLAGS;
	name = node_place(node, &err);
	if (!name)
		return err;
	fd = open_own(name, flags & ~O_TRUNC);
	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP ? -ESTALE : fd;
	if (statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &st) || !node_is(node, &st))
		err = -ESTALE;
	else if ((flags & O_TRUNC) && writes(flags) && ftruncate(fd, 0))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	if (in->open_flags & FUSE_OPEN_KILL_SUIDGID)
		drop_set_id(node, fd);
	err = opened(request, node, fd, flags, &st, &out);
	return err ? err : broker_answer(request, &out, sizeof(out));
}

/* Makes a file and opens it; or opens it, if it is there and may be */
static int make(const char *name, int flags, uint32_t mode, int exclusive, int *made)
{
	struct stat st;
	int fd = openat(AT_FDCWD, name, (flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_CLOEXEC,
			host_mode(mode));

	*made = fd >= 0;
	if (fd >= 0 || errno != EEXIST || exclusive)
		return fd < 0 ? -errno : fd;
	if (fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;	/* the guest looks again */
	fd = open_own(name, flags & ~O_TRUNC);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode) ||
			((flags & O_TRUNC) && writes(flags) && ftruncate(fd, 0)))) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int do_create(struct request *request)
{
	const struct fuse_create_in *in = ARGUMENT(request, struct fuse_create_in);
	struct node *parent = node_find(request, request->header.nodeid), *node;
	uint32_t mode = in ? S_IFREG | (in->mode & 07777) : 0;
	struct fuse_entry_out entry;
	struct fuse_open_out out;
	struct seen seen;
	const char *name;
	int err, fd, made;

	if (!in || !parent)
		return in ? -ESTALE : -EINVAL;
	err = name_at(request, sizeof(*in), &name, NULL);
	if (!err)
		err = node_enter(parent);
	if (err)
		return err;
	fd = make(name, in->flags & FLAGS, mode, in->flags & O_EXCL, &made);
	if (fd < 0)
		return fd;
	if (made)
		err = keep_new(request, parent, name, fd, mode, 0, &seen);
	else
		err = see_descriptor(fd, &seen);
	if (!err)
		err = answer_entry(request, parent, name, &seen, &entry);
	if (err) {
		close(fd);
		if (made)
			unlinkat(AT_FDCWD, name, 0);
		return err;
	}
	node = node_find(request, entry.nodeid);
	if (in->open_flags & FUSE_OPEN_KILL_SUIDGID)
		drop_set_id(node, fd);
	err = opened(request, node, fd, in->flags, &seen.st, &out);
	if (!err)
		err = broker_answer(request, &entry, sizeof(entry));
	return err ? err : broker_answer(request, &out, sizeof(out));
}

int do_read(struct request *request)
{
	const struct fuse_read_in *in = ARGUMENT(request, struct fuse_read_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	ssize_t len;

	if (!handle)
		return in ? -EBADF : -EINVAL;
	/* The guest asks for pages; that is where they go */
	if (request->out_room)
		return -EINVAL;
	len = preadv(handle->fd, request->pages + request->in_pages, request->out_pages,
		     in->offset);
	if (len < 0)
		return -errno;
	request->out_len = len;
	return 0;
}

int do_write(struct request *request)
{
	const struct fuse_write_in *in = ARGUMENT(request, struct fuse_write_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct fuse_write_out out = { 0 };
	ssize_t len;

	if (!handle || request->in_pages_len != in->size)
		return handle || !in ? -EINVAL : -EBADF;
	len = pwritev(handle->fd, request->pages, request->in_pages, in->offset);
	if (len < 0)
		return -errno;
	if (in->write_flags & FUSE_WRITE_KILL_SUIDGID)
		drop_set_id(handle_node(handle), handle->fd);
	out.size = len;
	return broker_answer(request, &out, sizeof(out));
}

int do_release(struct request *request)
{
	const struct fuse_release_in *in = ARGUMENT(request, struct fuse_release_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct statx st;

	if (!handle)
		return in ? -EBADF : -EINVAL;
	/* What the guest has written, it has */
	if (handle->writes && !statx(handle->fd, "", AT_EMPTY_PATH, SEEN_MASK, &st))
		note_seen(handle_node(handle), &st);
	handle_free(handle);
	return 0;
}

int do_fsync(struct request *request)
{
	const struct fuse_fsync_in *in = ARGUMENT(request, struct fuse_fsync_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct slow_call call = { 0 };

	if (!handle)
		return in ? -EBADF : -EINVAL;
	call.number = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? __NR_fdatasync : __NR_fsync;
	call.arguments[0] = handle->fd;
	return slow(request, &call);
}

int do_fallocate(struct request *request)
{
	const struct fuse_fallocate_in *in = ARGUMENT(request, struct fuse_fallocate_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct slow_call call = { .number = __NR_fallocate };

	if (!handle)
		return in ? -EBADF : -EINVAL;
	call.arguments[0] = handle->fd;
	call.arguments[1] = in->mode;
	call.arguments[2] = in->offset;
	call.arguments[3] = in->length;
	return slow(request, &call);
}

int do_lseek(struct request *request)
{
	const struct fuse_lseek_in *in = ARGUMENT(request, struct fuse_lseek_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct fuse_lseek_out out;
	off_t at;

	if (!handle)
		return in ? -EBADF : -EINVAL;
	at = lseek(handle->fd, in->offset, in->whence);
	if (at < 0)
		return -errno;
	out.offset = at;
	return broker_answer(request, &out, sizeof(out));
}

int do_copy_file_range(struct request *request)
{
	const struct fuse_copy_file_range_in *in =
		ARGUMENT(request, struct fuse_copy_file_range_in);
	struct handle *from = in ? handle_find(request, in->fh_in) : NULL;
	struct handle *to = in ? handle_find(request, in->fh_out) : NULL;
	struct slow_call call = { .number = __NR_copy_file_range };
	struct fuse_write_out out = { 0 };
	off_t at, into;
	ssize_t len;

	if (!from || !to)
		return in ? -EBADF : -EINVAL;
	if (in->len > MOST_AT_ONCE) {
		call.arguments[0] = from->fd;
		call.arguments[1] = in->off_in;
		call.arguments[2] = to->fd;
		call.arguments[3] = in->off_out;
		call.arguments[4] = in->len < (1U << 30) ? in->len : 1U << 30;
		return slow(request, &call);
	}
	at = in->off_in;
	into = in->off_out;
	len = copy_file_range(from->fd, &at, to->fd, &into, in->len, 0);
	if (len < 0)
		return -errno;
	out.size = len;
	return broker_answer(request, &out, sizeof(out));
}

int do_statfs(struct request *request)
{
	struct node *root = node_find(request, FUSE_ROOT_ID);
	struct fuse_statfs_out out = { 0 };
	struct statfs st;
	int err = root ? node_enter(root) : -EINVAL;

	if (err || statfs(".", &st))
		return err ? err : -errno;
	out.st.blocks = st.f_blocks;
	out.st.bfree = st.f_bfree;
	out.st.bavail = st.f_bavail;
	out.st.files = st.f_files;
	out.st.ffree = st.f_ffree;
	out.st.bsize = st.f_bsize;
	out.st.namelen = st.f_namelen;
	out.st.frsize = st.f_frsize;
	return broker_answer(request, &out, sizeof(out));
}
