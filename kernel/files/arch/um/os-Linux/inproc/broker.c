// SPDX-License-Identifier: GPL-2.0-only
/*
 * The broker: a process that makes calls on files of the host for the kernel.
 * It is forked before the kernel's memory becomes shared, so its code, data
 * and stack are its own; of the memory file it has a mapping, not executable,
 * at a place of its own. All that it reads there is hostile.
 *
 * It can do no more than one who could make its calls directly. What it adds
 * is that only such calls reach the host, and that their descriptors and
 * structures lie where the guest cannot touch them.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <asm/unistd.h>
#include <linux/futex.h>
#include <as-layout.h>
#include <mem_user.h>
#include <init.h>
#include <inproc.h>
#include "files.h"
#include "raw.h"

#define STDERR		2
#define INHERITED	64	/* descriptors that the kernel may have been started with */

int inproc_has_files, inproc_broker_pid;

static char *memory;
static unsigned long memory_size;

/* Returns the argument as the host takes it; or a negative error number in @err */
static long get_argument(const struct files_call *call, int i, struct files_request *request,
			 const long *args, int *err)
{
	unsigned long at = args[i], len;

	switch (call->kinds[i]) {
	case FILES_PATH:
		if (args[i] < 0)
			return 0;
		if (args[i] < FILES_PATHS)
			return (long)request->paths[args[i]];
		break;
	case FILES_IN:
	case FILES_OUT:
		return args[i] == -1 ? 0 : (long)request->data;
	case FILES_SOURCE:
	case FILES_SINK:
		len = args[i + 1];
		if (at < memory_size && len <= memory_size - at)
			return (long)(memory + at);
		break;
	case FILES_FD_ARG:
	case FILES_INT:
		return args[i];
	}
	*err = -EFAULT;
	return 0;
}

static long answer(struct files_request *request)
{
	const struct files_call *call = files_find(request->nr);
	long asked[FILES_ARGS], args[FILES_ARGS] = { 0 };
	int i, err = 0;

	if (!call)
		return -EPERM;
	/* Once: the guest may write there all the time */
	for (i = 0; i < FILES_ARGS; i++)
		asked[i] = ((volatile long *)request->args)[i];
	for (i = 0; i < call->count; i++)
		args[i] = get_argument(call, i, request, asked, &err);
	if (err)
		return err;
	return raw_syscall6(call->nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static void __attribute__((noreturn)) serve(struct files_request *request)
{
	int *state = &request->state;

	for (;;) {
		int now;

		while ((now = __atomic_load_n(state, __ATOMIC_ACQUIRE)) != FILES_ASKED)
			raw_syscall4(__NR_futex, (long)state, FUTEX_WAIT, now, 0);
		request->result = answer(request);
		__atomic_store_n(state, FILES_IDLE, __ATOMIC_RELEASE);
		raw_syscall3(__NR_futex, (long)state, FUTEX_WAKE, 1);
	}
}

static void __init __attribute__((noreturn)) broker(int memory_fd, unsigned long kernel_memory)
{
	int fd, sig;
	long at;

	raw_syscall3(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	at = raw_syscall6(__NR_mmap, 0, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd,
			  0);
	if (at < 0 && at > -UM_KERN_PAGE_SIZE)
		inproc_end("the broker of files has no memory");
	memory = (char *)at;
	raw_syscall3(__NR_munmap, kernel_memory, end_vm - kernel_memory, 0);
	for (fd = 0; fd < INHERITED; fd++)
		if (fd != STDERR)
			raw_syscall3(__NR_close, fd, 0, 0);
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	inproc_jail_broker();
	/* The console is no file of a share */
	raw_syscall3(__NR_close, STDERR, 0, 0);
	serve((struct files_request *)(memory + ((unsigned long)&files_request - uml_physmem)));
}

static int __init files_setup(char *line, int *add)
{
	*add = 0;
	inproc_has_files = atoi(line);
	return 0;
}
__uml_setup("inproc_files=", files_setup,
"inproc_files=<0 or 1>\n"
"    1: the guest may use files of the host (hostfs): a process that does so\n"
"    for it is started.\n\n"
);

/**
 * inproc_start_broker() - forks the broker, if the guest may have files
 * @memory_fd:		the memory file
 * @kernel_memory:	where the kernel's memory begins that is shared already
 */
void __init inproc_start_broker(int memory_fd, unsigned long kernel_memory)
{
	long pid;

	if (!inproc_has_files)
		return;
	memory_size = physmem_size;
	pid = raw_syscall4(__NR_clone, SIGCHLD, 0, 0, 0);
	if (!pid)
		broker(memory_fd, kernel_memory);
	inproc_broker_pid = pid;
	if (pid < 0)
		panic("in-process mode: failed to fork the broker of files: %ld\n", pid);
}
