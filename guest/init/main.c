// SPDX-License-Identifier: Apache-2.0
/* The guest's init: process 1 of a container kernel. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "loop.h"
#include "machine.h"
#include "process.h"

/* Time for the main process when the init itself is told to end. */
#define TERMINATE_GRACE_MS	10000

static struct source signals;

static void take_signal(struct source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			process_reap();
		else
			container_stop(SIGTERM, TERMINATE_GRACE_MS);
	}
}

int main(void)
{
	/* The kernel's struct sigaction. */
	static const unsigned long by_default[4];
	sigset_t set;

	/*
	 * Children inherit these: all by default, and none but at execve(). The
	 * C library would leave out the two signals that it keeps for itself.
	 */
	for (int i = 1; i < NSIG; i++)
		syscall(SYS_rt_sigaction, i, by_default, NULL, sizeof(long));
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	machine_init();
	loop_init();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	source_init(&signals, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), take_signal);
	if (source_watch(&signals, EPOLLIN) < 0)
		machine_power_off();
	container_init();
	loop_run(container_sweep);
}
