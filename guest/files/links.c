// SPDX-License-Identifier: Apache-2.0
/* Hard links: a table of files that have several names, by device and number. */
#define _GNU_SOURCE
#include "links.h"

#include <stdlib.h>
#include <string.h>

struct link {
	struct link *next;
	dev_t device;
	ino_t number;
	nlink_t left;		/* names that may yet come */
	char name[];
};

static struct link *table[1024];

const char *links_seen(const struct stat *file, const char *name)
{
	/* The last name stays valid until the next call. */
	static struct link *over;
	struct link **place = &table[(file->st_ino ^ file->st_dev) % 1024];
	struct link *link;

	free(over);
	over = NULL;
	for (; (link = *place); place = &link->next) {
		if (link->device != file->st_dev || link->number != file->st_ino)
			continue;
		if (!--link->left) {
			*place = link->next;
			over = link;
		}
		return link->name;
	}
	link = malloc(sizeof(*link) + strlen(name) + 1);
	if (!link)
		abort();
	link->next = NULL;
	link->device = file->st_dev;
	link->number = file->st_ino;
	link->left = file->st_nlink - 1;
	strcpy(link->name, name);
	*place = link;
	return NULL;
}
