// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended attributes: those of users. The one that keeps what the host cannot
 * hold is nobody's to see or to set.
 */
#include <sys/xattr.h>
#include "broker.h"

#define PREFIX		"user."

/* Where an operation happens: an open file, or a name in the working directory */
struct place {
	int fd;
	const char *name;
};

static int find_name(struct request *request, const char **name)
{
	struct node *node = node_find(request, request->header.nodeid);
	struct statx st;
	int err = -ESTALE;

	*name = node ? node_reach(node, &st, &err) : NULL;
	return err;
}

/* One that is open may have no name any more */
static int find_place(struct request *request, struct place *place)
{
	struct node *node = node_find(request, request->header.nodeid);

	place->fd = node && S_ISREG(node->mode) ? node_descriptor(node) : -1;
	return place->fd >= 0 ? 0 : find_name(request, &place->name);
}

static int check_name(struct request *request, size_t offset, const char **name, size_t *end)
{
	size_t len;

	if (offset >= request->in_len)
		return -EINVAL;
	*name = request->in + offset;
	len = strlen(*name);
	if (end)
		*end = offset + len + 1;
	if (len > XATTR_NAME_MAX || strncmp(*name, PREFIX, sizeof(PREFIX) - 1))
		return -EOPNOTSUPP;
	return 0;
}

static int is_kept(const char *name)
{
	return !strcmp(name, KEPT_NAME);
}

/* A value, or only its size where the guest has no room for it */
static int answer_value(struct request *request, ssize_t len, uint32_t size)
{
	struct fuse_getxattr_out out = { 0 };

	if (!size) {
		out.size = len;
		return broker_answer(request, &out, sizeof(out));
	}
	return (size_t)len > size ? -ERANGE : broker_answer(request, broker_buffer, len);
}

int do_getxattr(struct request *request)
{
	const struct fuse_getxattr_in *in = ARGUMENT(request, struct fuse_getxattr_in);
	struct place place;
	const char *name;
	ssize_t len;
	int err;

	if (!in)
		return -EINVAL;
	err = check_name(request, sizeof(*in), &name, NULL);
	if (!err && is_kept(name))
		err = -ENODATA;
	if (!err)
		err = find_place(request, &place);
	if (err)
		return err;
	if (place.fd >= 0)
		len = fgetxattr(place.fd, name, broker_buffer, XATTR_SIZE_MAX);
	else
		len = lgetxattr(place.name, name, broker_buffer, XATTR_SIZE_MAX);
	return len < 0 ? -errno : answer_value(request, len, in->size);
}

int do_setxattr(struct request *request)
{
	/* The older form of it: without what comes behind flags */
	const struct fuse_getxattr_in *in = ARGUMENT(request, struct fuse_getxattr_in);
	size_t at, len, i;
	struct place place;
	const char *name;
	uint32_t size, flags;
	int err;

	if (!in)
		return -EINVAL;
	size = in->size;
	flags = in->padding;
	err = check_name(request, sizeof(*in), &name, &at);
	if (!err && is_kept(name))
		err = -EPERM;
	if (!err && (size > XATTR_SIZE_MAX || at + size > request->in_len + request->in_pages_len ||
		     at > request->in_len))
		err = -E2BIG;
	if (!err)
		err = find_place(request, &place);
	if (err)
		return err;
	len = request->in_len - at;
	memcpy(broker_buffer, request->in + at, len);
	for (i = 0; i < request->in_pages && len < size; i++) {
		size_t part = request->pages[i].iov_len;

		part = part < size - len ? part : size - len;
		memcpy(broker_buffer + len, request->pages[i].iov_base, part);
		len += part;
	}
	if (place.fd >= 0)
		err = fsetxattr(place.fd, name, broker_buffer, size, flags);
	else
		err = lsetxattr(place.name, name, broker_buffer, size, flags);
	return err ? -errno : 0;
}

int do_listxattr(struct request *request)
{
	const struct fuse_getxattr_in *in = ARGUMENT(request, struct fuse_getxattr_in);
	ssize_t len, at, size, kept = 0;
	const char *name;
	int err;

	if (!in)
		return -EINVAL;
	err = find_name(request, &name);
	if (err)
		return err;
	len = llistxattr(name, broker_buffer, XATTR_LIST_MAX);
	if (len < 0)
		return -errno;
	for (at = 0; at < len;) {
		name = broker_buffer + at;
		size = strlen(name) + 1;

		if (!strncmp(name, PREFIX, sizeof(PREFIX) - 1) && !is_kept(name)) {
			memmove(broker_buffer + kept, name, size);
			kept += size;
		}
		at += size;
	}
	return answer_value(request, kept, in->size);
}

int do_removexattr(struct request *request)
{
	const char *name, *place;
	int err = check_name(request, 0, &name, NULL);

	if (!err && is_kept(name))
		err = -ENODATA;
	if (!err)
		err = find_name(request, &place);
	return !err && lremovexattr(place, name) ? -errno : err;
}
