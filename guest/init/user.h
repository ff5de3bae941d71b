/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups as the container's own /etc/passwd and /etc/group have them. */
#ifndef INIT_USER_H
#define INIT_USER_H

#include <drupe/protocol.h>
#include <sys/types.h>

#define USER_HOME_MAX	4096
/* What DRUPE_GROUP frames may name and as many from /etc/group. */
#define USER_GROUPS_MAX	(2 * DRUPE_GROUPS_MAX)

struct user {
	uid_t uid;
	gid_t gid;
	size_t count;
	gid_t groups[USER_GROUPS_MAX];
	char home[USER_HOME_MAX];
	const char *culprit;		/* the name that was not found */
};

/*
 * Resolves user[:group] as docker does: a number need not be listed (its group
 * is 0 then), a name must be; the user's supplementary groups come from
 * /etc/group unless a group is given; @extra groups come on top. An empty
 * @wanted is user 0. NULL, or what is wrong.
 */
const char *user_find(struct user *user, const char *wanted, char **extra);

/* The same on the files' texts (NUL-terminated). @wanted is taken apart. */
const char *user_parse(struct user *user, char *wanted, char **extra, const char *passwd,
		       const char *group);

#endif
