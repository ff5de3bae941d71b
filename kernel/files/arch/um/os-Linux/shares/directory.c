// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing directories. The guest says where it goes on; so there is nothing to
 * remember.
 */
#include <dirent.h>
#include <sys/syscall.h>
#include "broker.h"

struct host_entry {
	uint64_t ino;
	int64_t next;
	unsigned short len;
	unsigned char type;
	char name[];
};

int do_opendir(struct request *request)
{
	struct node *node = node_find(request, request->header.nodeid);
	struct fuse_open_out out = { 0 };
	struct handle *handle;
	int fd;

	if (!node)
		return -ESTALE;
	fd = node_fd(node);
	if (fd < 0)
		return fd;
	fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	handle = handle_new(node, fd, 0);
	if (!handle)
		return -ENFILE;
	out.fh = handle_id(handle);
	return broker_answer(request, &out, sizeof(out));
}

static int is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Returns 0, -EIO if it does not fit, or another error */
static int answer_one(struct request *request, struct node *directory,
		      const struct host_entry *entry, int plus)
{
	struct fuse_direntplus out = {
		.dirent = {
			.ino = entry->ino,
			.off = entry->next,
			.namelen = strlen(entry->name),
			.type = entry->type,
		},
	};
	size_t begin = plus ? 0 : offsetof(struct fuse_direntplus, dirent);
	size_t len = sizeof(out) - begin, pad = -(out.dirent.namelen) & 7;
	struct seen seen;

	if (len + out.dirent.namelen + pad > request->room - request->out_len)
		return -EIO;
	if (plus && !is_dots(entry->name) && !see_name(entry->name, &seen) &&
	    !answer_entry(request, directory, entry->name, &seen, &out.entry_out))
		out.dirent.type = seen.mode >> 12;
	broker_answer(request, (char *)&out + begin, len);
	broker_answer(request, entry->name, out.dirent.namelen);
	return broker_answer(request, "\0\0\0\0\0\0\0", pad);
}

static int list(struct request *request, int plus)
{
	const struct fuse_read_in *in = ARGUMENT(request, struct fuse_read_in);
	struct handle *handle = in ? handle_find(request, in->fh) : NULL;
	struct node *directory = handle ? handle_node(handle) : NULL;
	long len, at;
	int err;

	if (!handle)
		return in ? -EBADF : -EINVAL;
	if (!S_ISDIR(directory->mode))
		return -ENOTDIR;
	if (plus) {	/* one that may be listed but not entered */
		err = node_enter(directory);
		if (err)
			return err;
	}
	if (lseek(handle->fd, in->offset, SEEK_SET) < 0)
		return -errno;
	len = syscall(__NR_getdents64, handle->fd, broker_buffer,
		      request->room < sizeof(broker_buffer) ? request->room : sizeof(broker_buffer));
	if (len < 0)
		return -errno;
	for (at = 0; at < len;) {
		const struct host_entry *entry = (const void *)(broker_buffer + at);

		if (answer_one(request, directory, entry, plus))
			break;
		at += entry->len;
	}
	return 0;
}

int do_readdir(struct request *request)
{
	return list(request, 0);
}

int do_readdirplus(struct request *request)
{
	return list(request, 1);
}
