// SPDX-License-Identifier: Apache-2.0
/*
 * Tells who passt becomes: it goes to the background by a fork, whose process
 * whoever started it is to know. It is the one fork that passt makes.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((visibility("default"))) pid_t fork(void)
{
	const char *ready = getenv("DRUPE_NET_POLICY_READY");
	pid_t pid = _Fork();

	if (pid > 0 && ready)
		dprintf(atoi(ready), "%d", pid);
	return pid;
}
