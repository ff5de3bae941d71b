// SPDX-License-Identifier: Apache-2.0
/*
 * passt goes to the background by a fork, the only one that it makes. That is
 * where it tells who it becomes, for whoever started it; and where its tables are
 * filled, and no guest has been heard yet.
 *
 * DRUPE_NET_TABLES names a descriptor of the file that its tables are shared by.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "memory.h"

static int descriptor(const char *name)
{
	const char *text = getenv(name);

	return text ? atoi(text) : -1;
}

__attribute__((visibility("default"))) pid_t fork(void)
{
	int ready = descriptor("DRUPE_NET_POLICY_READY"), file = descriptor("DRUPE_NET_TABLES");
	pid_t pid;

	memory_record(file);
	pid = _Fork();
	if (pid > 0 && ready >= 0)
		dprintf(ready, "%d", pid);
	if (!pid) {
		memory_settle(file);
		if (file >= 0)
			close(file);
	}
	return pid;
}
