// SPDX-License-Identifier: Apache-2.0
/* execve() with a search in the PATH that the process is given. */
#include "exec.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *path_of(char **env)
{
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return *env + 5;
	return DEFAULT_PATH;
}

/* Execution, or a look at whether it could be; that returns 0. */
static int run(const char *path, char **args, char **env, bool look)
{
	struct stat status;

	if (!look)
		execve(path, args, env);
	else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		errno = EACCES;
	else if (access(path, X_OK) == 0)
		return 0;
	return errno;
}

static int search(char **args, char **env, bool look)
{
	const char *file = args[0];
	const char *path = path_of(env);
	size_t name = strlen(file);
	char full[PATH_MAX];
	int denied = 0;
	int error;

	if (!name)
		return ENOENT;
	if (strchr(file, '/'))
		return run(file, args, env, look);
	for (;;) {
		size_t length = strcspn(path, ":");

		/* An empty entry is the working directory. */
		if (length + 1 + name < sizeof(full)) {
			memcpy(full, path, length);
			if (length)
				full[length] = '/';
			memcpy(full + length + !!length, file, name + 1);
			error = run(full, args, env, look);
			if (error == EACCES)
				denied = EACCES;
			else if (error != ENOENT && error != ENOTDIR)
				return error;
		}
		if (!path[length])
			return denied ? denied : ENOENT;
		path += length + 1;
	}
}

int exec_search(char **args, char **env)
{
	return search(args, env, false);
}

int exec_look(char **args, char **env)
{
	return search(args, env, true);
}
