// SPDX-License-Identifier: Apache-2.0
/* The fork, and the pipes or the terminal around it. */
#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "child.h"
#include "machine.h"
#include "process.h"
#include "spec.h"

#ifndef TIOCSPTLCK
#define TIOCSPTLCK	0x40045431
#endif

#define PIPE_BYTES	(256 * 1024)

/* Descriptors of a fork to be; -1 where unused. */
struct plumbing {
	int report[2];
	int go[2];
	int in[2];
	int out[2];
	int err[2];
	int master;
};

static void close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		pair[i] = -1;
	}
}

static void close_all(struct plumbing *p)
{
	close_pair(p->report);
	close_pair(p->go);
	close_pair(p->in);
	close_pair(p->out);
	close_pair(p->err);
	if (p->master >= 0)
		close(p->master);
}

/* A pipe whose end @ours does not block, and which holds much if it may. */
static int wide_pipe(int pair[2], int ours)
{
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	fcntl(pair[0], F_SETPIPE_SZ, PIPE_BYTES);
	return fcntl(pair[ours], F_SETFL, O_NONBLOCK);
}

static int open_terminal(struct plumbing *p, const struct drupe_window *window)
{
	struct winsize size = { .ws_row = window->rows, .ws_col = window->columns };
	int unlock = 0;

	p->master = machine_ptmx();
	if (p->master < 0) {
		errno = -p->master;
		return -1;
	}
	if (ioctl(p->master, TIOCSPTLCK, &unlock) < 0 || ioctl(p->master, TIOCSWINSZ, &size) < 0)
		return -1;
	return fcntl(p->master, F_SETFL, O_NONBLOCK);
}

static int open_pipes(struct plumbing *p, bool takes_stdin)
{
	if (takes_stdin && wide_pipe(p->in, 1) < 0)
		return -1;
	return wide_pipe(p->out, 0) < 0 || wide_pipe(p->err, 0) < 0 ? -1 : 0;
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int spawn(struct process *process, const struct spec *spec, uint32_t flags, const char **text)
{
	struct plumbing p = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, -1 };
	bool takes_stdin = process->takes_stdin || (flags & DRUPE_START_FILES);
	struct child child;
	int input = -1;
	int error = 0;

	*text = "failed to make pipes";
	if (pipe2(p.report, O_CLOEXEC) < 0 || fcntl(p.report[0], F_SETFL, O_NONBLOCK) < 0)
		goto fail;
	if ((flags & DRUPE_START_HELD) && pipe2(p.go, O_CLOEXEC) < 0)
		goto fail;
	if (process->terminal) {
		*text = "failed to allocate a terminal";
		if (open_terminal(&p, &spec->window) < 0)
			goto fail;
		/* A descriptor of its own, so that each direction is watched by itself. */
		if (process->takes_stdin) {
			input = fcntl(p.master, F_DUPFD_CLOEXEC, 3);
			if (input < 0)
				goto fail;
		}
	} else if (open_pipes(&p, takes_stdin) < 0) {
		goto fail;
	}
	child.spec = spec;
	child.helper = flags & DRUPE_START_HELPER;
	child.go = p.go[0];
	child.report = p.report[1];
	child.in = p.in[0];
	child.out = p.out[1];
	child.err = p.err[1];
	child.master = p.master;
	*text = "failed to fork";
	process->pid = fork();
	if (process->pid < 0)
		goto fail;
	if (!process->pid)
		child_run(&child);
	process->report.fd = take(&p.report[0]);
	process->go = take(&p.go[1]);
	process->input.fd = process->terminal ? input : take(&p.in[1]);
	process->input_dead = process->input.fd < 0;
	process->out[0].source.fd = process->terminal ? take(&p.master) : take(&p.out[0]);
	process->out[1].source.fd = take(&p.err[0]);
	close_all(&p);
	return 0;
fail:
	error = errno;
	if (input >= 0)
		close(input);
	close_all(&p);
	return error;
}
