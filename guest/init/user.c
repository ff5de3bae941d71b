// SPDX-License-Identifier: Apache-2.0
/* Users and groups as the container's own /etc/passwd and /etc/group have them. */
#define _GNU_SOURCE
#include "user.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX	(16L << 20)
#define FIELDS		7

static char no_text[1];

/* A colon-separated field: not NUL-terminated. */
struct field {
	const char *text;
	size_t size;
};

/* The whole of a regular file; empty if there is none. */
static char *load(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;
	size_t used = 0;
	ssize_t got;
	char *text;

	if (fd < 0)
		return no_text;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > FILE_BYTES_MAX) {
		close(fd);
		return no_text;
	}
	text = malloc((size_t)status.st_size + 1);
	while (text && used < (size_t)status.st_size) {
		got = read(fd, text + used, (size_t)status.st_size - used);
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	if (!text)
		return no_text;
	text[used] = 0;
	return text;
}

/* Takes the next line apart; missing fields are empty. False at the end. */
static bool next_line(const char **text, struct field *fields)
{
	const char *at = *text;
	const char *end = at + strcspn(at, "\n");

	if (!*at)
		return false;
	*text = *end ? end + 1 : end;
	for (int i = 0; i < FIELDS; i++) {
		const char *colon = memchr(at, ':', (size_t)(end - at));

		if (!colon)
			colon = end;
		fields[i].text = at;
		fields[i].size = (size_t)(colon - at);
		at = colon < end ? colon + 1 : end;
	}
	return true;
}

static bool same(const struct field *field, const char *text)
{
	return strlen(text) == field->size && !memcmp(field->text, text, field->size);
}

static bool number(const struct field *field, uint32_t *value)
{
	uint64_t sum = 0;

	if (!field->size || field->size > 10)
		return false;
	for (size_t i = 0; i < field->size; i++) {
		if (field->text[i] < '0' || field->text[i] > '9')
			return false;
		sum = sum * 10 + (uint64_t)(field->text[i] - '0');
	}
	*value = (uint32_t)sum;
	return sum <= 0x7fffffff;
}

static bool text_number(const char *text, uint32_t *value)
{
	struct field field = { text, strlen(text) };

	return number(&field, value);
}

/* By name, or by number where the wanted name is one. */
static bool find(const char *list, const char *wanted, struct field *fields)
{
	uint32_t id = 0;
	uint32_t listed = 0;
	bool numeric = text_number(wanted, &id);

	while (next_line(&list, fields)) {
		if (!number(&fields[2], &listed) || !fields[0].size)
			continue;
		if (same(&fields[0], wanted) || (numeric && listed == id))
			return true;
	}
	return false;
}

static void add_group(struct user *user, gid_t gid)
{
	for (size_t i = 0; i < user->count; i++)
		if (user->groups[i] == gid)
			return;
	if (user->count < USER_GROUPS_MAX)
		user->groups[user->count++] = gid;
}

static bool is_member(const struct field *members, const struct field *name)
{
	const char *at = members->text;
	const char *end = at + members->size;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t size = (size_t)((comma ? comma : end) - at);

		if (size == name->size && !memcmp(at, name->text, size))
			return true;
		at += size + 1;
	}
	return false;
}

static bool group_id(const char *list, const char *wanted, gid_t *gid)
{
	struct field fields[FIELDS];

	if (find(list, wanted, fields))
		return number(&fields[2], gid);
	return text_number(wanted, gid);
}

static const char *find_groups(struct user *user, const struct field *name,
			       const char *wanted, char **extra, const char *group)
{
	struct field fields[FIELDS];
	const char *list = group;
	gid_t gid;

	if (wanted && *wanted) {
		if (!group_id(group, wanted, &user->gid)) {
			user->culprit = wanted;
			return "no such group";
		}
	} else if (name->size) {
		while (next_line(&list, fields))
			if (number(&fields[2], &gid) && is_member(&fields[3], name))
				add_group(user, gid);
	}
	for (; *extra; extra++) {
		if (!group_id(group, *extra, &gid)) {
			user->culprit = *extra;
			return "no such group";
		}
		add_group(user, gid);
	}
	return NULL;
}

const char *user_parse(struct user *user, char *wanted, char **extra, const char *passwd,
		       const char *group)
{
	struct field fields[FIELDS];
	struct field name = { NULL, 0 };
	char *colon = strchr(wanted, ':');

	if (colon)
		*colon = 0;
	if (!*wanted)
		wanted = (char *)"0";
	user->uid = 0;
	user->gid = 0;
	user->count = 0;
	strcpy(user->home, "/");
	if (find(passwd, wanted, fields)) {
		name = fields[0];
		number(&fields[2], &user->uid);
		if (!number(&fields[3], &user->gid))
			user->gid = 0;
		if (fields[5].size && fields[5].size < sizeof(user->home)) {
			memcpy(user->home, fields[5].text, fields[5].size);
			user->home[fields[5].size] = 0;
		}
	} else if (!text_number(wanted, &user->uid)) {
		user->culprit = wanted;
		return "no such user";
	}
	return find_groups(user, &name, colon ? colon + 1 : NULL, extra, group);
}

const char *user_find(struct user *user, const char *wanted, char **extra)
{
	char *copy = strdup(wanted);

	user->culprit = wanted;
	if (!copy)
		return "out of memory for user";
	return user_parse(user, copy, extra, load("/etc/passwd"), load("/etc/group"));
}
