// SPDX-License-Identifier: Apache-2.0
/* execve() with a search in the PATH that the process is given. */
#include "exec.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATH	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *path_of(char **env)
{
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return *env + 5;
	return DEFAULT_PATH;
}

int exec_search(char **args, char **env)
{
	const char *file = args[0];
	const char *path = path_of(env);
	size_t name = strlen(file);
	char full[PATH_MAX];
	int denied = 0;

	if (!name)
		return ENOENT;
	if (strchr(file, '/')) {
		execve(file, args, env);
		return errno;
	}
	for (;;) {
		size_t length = strcspn(path, ":");

		/* An empty entry is the working directory. */
		if (length + 1 + name < sizeof(full)) {
			memcpy(full, path, length);
			if (length)
				full[length] = '/';
			memcpy(full + length + !!length, file, name + 1);
			execve(full, args, env);
			if (errno == EACCES)
				denied = EACCES;
			else if (errno != ENOENT && errno != ENOTDIR)
				return errno;
		}
		if (!path[length])
			return denied ? denied : ENOENT;
		path += length + 1;
	}
}
