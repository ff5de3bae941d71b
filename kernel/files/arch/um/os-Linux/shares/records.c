// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host does not let its user set (owners, modes that would bar that
 * user, special files) is kept in an extended attribute, as other engines do:
 * "uid:gid:mode[:type]", the mode in octal.
 */
#include <stdio.h>
#include <stdlib.h>
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

/**
 * can_have_record() - is there a place for one?
 */
int can_have_record(const struct seen *seen)
{
	return S_ISREG(seen->st.stx_mode) || S_ISDIR(seen->st.stx_mode);
}

/**
 * see_host() - what it is without a record
 */
void see_host(struct seen *seen)
{
	seen->kept = 0;
	seen->mode = seen->st.stx_mode;
	seen->uid = seen->st.stx_uid;
	seen->gid = seen->st.stx_gid;
	seen->rdev = (seen->st.stx_rdev_minor & 0xff) | seen->st.stx_rdev_major << 8 |
		     (seen->st.stx_rdev_minor & ~0xffU) << 12;
}

/**
 * see_name_record() - the same, and its record, if it has one
 */
void see_name_record(const char *name, struct seen *seen)
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
