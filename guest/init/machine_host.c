// SPDX-License-Identifier: Apache-2.0
/*
 * The fake guest: the init as an ordinary program, for tests of itself and of
 * the host's side. Inherited descriptors: 3 the listening control socket,
 * 4 the status file, 5 the log file, 6 to 8 streams (all but the first may be absent). It mounts nothing,
 * powers nothing off, and kills only what descends from it.
 */
#define _GNU_SOURCE
#include "machine.h"
#include "services.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"

#define FIRST_FD	3

void machine_init(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int fd = FIRST_FD; fd <= FIRST_FD + DRUPE_HOST_STDERR; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST_FD + DRUPE_HOST_CONTROL, F_SETFL, O_NONBLOCK);
}

int machine_open(enum drupe_host_file file)
{
	int fd = FIRST_FD + (int)file;

	if (file >= DRUPE_HOST_STDIN)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fcntl(fd, F_GETFD) < 0 ? -ENOENT : fd;
}

int machine_accept(int control)
{
	int fd = accept4(control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int machine_boot(const struct boot *boot, char *text, size_t size)
{
	(void)boot;
	(void)text;
	(void)size;
	return 0;
}

void machine_layers(struct layers *layers)
{
	layers->lower = -1;
	layers->upper = -1;
}

int machine_proc(void)
{
	static int proc = -1;

	if (proc < 0)
		proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return proc;
}

/* It made no files; as if it had one. */
int machine_update(const struct file_text *file)
{
	return strcmp(file->path, "/etc/hosts") ? ENOENT : 0;
}

int machine_ptmx(void)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void machine_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int machine_limit_pids(uint64_t most)
{
	(void)most;
	return 0;
}

static int exit_status;

void machine_exit_status(int status)
{
	exit_status = status;
}

/* Orphans become our children, so that repetition reaches all of them. */
int machine_signal_all(int signal)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	if (!file)
		return errno;
	while (fscanf(file, "%d", &pid) == 1)
		kill(pid, signal);
	fclose(file);
	return 0;
}

_Noreturn void machine_power_off(void)
{
	exit(exit_status);
}
