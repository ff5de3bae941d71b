// SPDX-License-Identifier: Apache-2.0
/*
 * Bounds on the container's processes. They live in a control group below the
 * root of the hierarchy, where the init and the kernel's threads are; it is
 * made when the first limit is set. The hierarchy is held open: what is mounted
 * over /sys later, read-only or by the container, does not matter.
 */
#define _GNU_SOURCE
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP		"container"

static int hierarchy_fd = -1;
static int procs_fd = -1;
static int pids_fd = -1;

static int put(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? errno : 0;
}

/* All but the init itself; the kernel's threads refuse to be moved. */
static void move_all(void)
{
	int fd = openat(hierarchy_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[32];

	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fgets(line, sizeof(line), file))
		if (strcmp(line, "1\n"))
			put(procs_fd, line);
	fclose(file);
}

static int make_group(void)
{
	int fd = openat(hierarchy_fd, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return errno;
	error = put(fd, "+pids");
	close(fd);
	if (error)
		return error;
	if (mkdirat(hierarchy_fd, GROUP, 0755) < 0 && errno != EEXIST)
		return errno;
	procs_fd = openat(hierarchy_fd, GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
	pids_fd = openat(hierarchy_fd, GROUP "/pids.max", O_WRONLY | O_CLOEXEC);
	if (procs_fd < 0 || pids_fd < 0)
		return errno;
	move_all();
	return 0;
}

void group_take(int hierarchy)
{
	hierarchy_fd = hierarchy;
}

int group_limit_pids(uint64_t most)
{
	char text[32] = "max";
	int error = 0;

	if (pids_fd < 0)
		error = make_group();
	if (error)
		return error;
	if (most)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)most);
	return put(pids_fd, text);
}

void group_join(void)
{
	if (procs_fd >= 0)
		put(procs_fd, "0");
}
