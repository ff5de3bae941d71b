// SPDX-License-Identifier: Apache-2.0
/* The file services by name. */
#include "services.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

enum service {
	PACK, EXPORT, LAYER, CHANGES, UNPACK, STAT, LIST, READ, WRITE, REMOVE, MKDIR, SERVICES,
};

static const struct {
	const char *name;
	int arguments;
} services[SERVICES] = {
	[PACK] = { "pack", 2 },
	[EXPORT] = { "export", 0 },
	[LAYER] = { "layer", 0 },
	[CHANGES] = { "changes", 0 },
	[UNPACK] = { "unpack", 2 },
	[STAT] = { "stat", 2 },
	[LIST] = { "list", 1 },
	[READ] = { "read", 1 },
	[WRITE] = { "write", 2 },
	[REMOVE] = { "remove", 2 },
	[MKDIR] = { "mkdir", 3 },
};

int service_find(char **args)
{
	int count = 0;

	while (args[count])
		count++;
	for (int i = 0; i < SERVICES; i++)
		if (count == services[i].arguments + 1 && !strcmp(args[0], services[i].name))
			return i;
	return -1;
}

static unsigned int mode_of(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 8) & 07777;
}

int service_run(int service, char **args, const struct layers *layers)
{
	switch (service) {
	case PACK:
		return pack_tree(args[1], args[2]);
	case EXPORT:
		return pack_root();
	case LAYER:
		return pack_layer(layers);
	case CHANGES:
		return list_changes(layers);
	case UNPACK:
		return unpack_tree(args[1], !strcmp(args[2], "owners"));
	case STAT:
		return tree_stat(args[1], !strcmp(args[2], "follow"));
	case LIST:
		return tree_list(args[1]);
	case READ:
		return tree_read(args[1]);
	case WRITE:
		return tree_write(args[1], mode_of(args[2]));
	case REMOVE:
		return tree_remove(args[1], !strcmp(args[2], "tree"));
	case MKDIR:
		return tree_mkdir(args[1], mode_of(args[2]), !strcmp(args[3], "parents"));
	default:
		return report(0, "no such service");
	}
}
