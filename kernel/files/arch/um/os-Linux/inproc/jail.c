// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host system calls that are left once the guest runs. Its code can jump
 * to a system call instruction of the kernel, so this list is what holds it.
 * Whoever started the kernel has filtered what it needs to boot; this filter
 * is added to that one, before the first host process is cloned, so all have
 * it. A call that is not listed does not happen, and ends the container.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <init.h>
#include <os.h>
#include <inproc.h>
#include "raw.h"

#define MAX_CODE 512

/* A condition: (argument & mask) == value */
struct condition {
	int argument;
	unsigned long mask;
	unsigned long value;
};

#define IS(n, v)	{ n, ~0UL, v }
#define IS_INT(n, v)	{ n, 0xffffffffUL, v }

static struct sock_filter code[MAX_CODE];
static int length;
static int has_files;
static int starting;

static int __init files_setup(char *line, int *add)
{
	*add = 0;
	has_files = atoi(line);
	return 0;
}
__uml_setup("inproc_files=", files_setup,
"inproc_files=<0 or 1>\n"
"    1: the guest may use files of the host (hostfs), so the calls for that\n"
"    are left to it.\n\n"
);

static void emit(unsigned short op, unsigned char jt, unsigned char jf, unsigned int k)
{
	if (length == MAX_CODE)
		panic("in-process mode: the filter of system calls is too long\n");
	code[length++] = (struct sock_filter){ op, jt, jf, k };
}

/* Emits a comparison of one half of an argument; falls through if it holds */
static void emit_half(const struct condition *c, int half, unsigned char skip)
{
	unsigned int mask = c->mask >> (32 * half), value = c->value >> (32 * half);

	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0,
	     offsetof(struct seccomp_data, args) + 8 * c->argument + 4 * half);
	emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value);
}

/* Allows a call if all conditions hold; else goes on with the next rule */
static void allow(int nr, const struct condition *conditions, int count)
{
	int body = 6 * count + 1, i;

	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, body, nr);
	for (i = 0; i < count; i++) {
		int left = 6 * (count - i) + 1;

		emit_half(&conditions[i], 0, left - 3);
		emit_half(&conditions[i], 1, left - 6);
	}
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void allow_any(const int *calls, int count)
{
	int i;

	for (i = 0; i < count; i++)
		allow(calls[i], NULL, 0);
}

/* Beside these, those with conditions in allow_some() */
static const int always[] = {
	__NR_futex,		/* hands the processor over */
	__NR_munmap,		/* the guest's memory */
	__NR_mprotect,		/* the guest's memory */
	__NR_rt_sigreturn,	/* the end of an interrupt */
	__NR_sigaltstack,	/* a new host process: where its signals are handled */
	__NR_timer_settime,	/* the clock event device */
	__NR_clock_gettime,	/* where the vDSO has no clock to read */
	__NR_ppoll,		/* idle */
	__NR_poll,		/* the block device's thread, the one that watches files */
	__NR_tgkill,		/* passes interrupts on */
	__NR_wait4,		/* host processes that have ended */
	__NR_read,		/* sessions, console, helper threads */
	__NR_write,		/* sessions, console, status, log, helper threads */
	__NR_pread64,		/* the image, by the block device's thread */
	__NR_epoll_wait,	/* which files are ready */
	__NR_epoll_ctl,		/* a new session */
	__NR_accept,		/* a new session */
	__NR_close,		/* a session has ended */
	__NR_getrandom,		/* seeds the guest's random numbers */
	__NR_gettimeofday,	/* the host's vsyscall page, if a program uses it */
	__NR_time,		/* the same */
	__NR_getcpu,		/* the same */
	__NR_exit_group,	/* the end */
};

/* Files of the host, for hostfs: until a process outside of the jail has them */
static const int files[] = {
	__NR_openat, __NR_statx, __NR_newfstatat, __NR_fstat, __NR_lstat, __NR_statfs,
	__NR_access, __NR_readlink, __NR_readlinkat, __NR_getdents64, __NR_lseek,
	__NR_pwrite64, __NR_fsync, __NR_fdatasync, __NR_ftruncate, __NR_truncate,
	__NR_fallocate, __NR_mkdir, __NR_rmdir, __NR_unlink, __NR_link, __NR_symlink,
	__NR_rename, __NR_renameat2, __NR_mknodat, __NR_chmod, __NR_fchmod, __NR_chown,
	__NR_fchown, __NR_lchown, __NR_utimes, __NR_futimesat, __NR_utimensat,
};

static void allow_some(int memory_fd)
{
	const unsigned long text = (unsigned long)_text, text_len = _etext - _text;
	const unsigned long prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	const int fcntls[] = { F_GETFL, F_SETFL, F_SETSIG, F_SETOWN, F_SETFD, F_GETFD };
	const unsigned long maps[] = {
		MAP_SHARED | MAP_FIXED | MAP_POPULATE, MAP_SHARED | MAP_FIXED,
	};
	unsigned int i;

	/* The memory file, where it is wanted, and nothing else */
	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		const struct condition c[] = {
			{ 2, ~prot, 0 }, IS(3, maps[i]), IS_INT(4, memory_fd),
		};

		allow(__NR_mmap, c, ARRAY_SIZE(c));
	}
	/* Free memory goes back; a host process forgets where sites are */
	allow(__NR_madvise, (struct condition[]){ IS_INT(2, MADV_REMOVE) }, 1);
	allow(__NR_madvise, (struct condition[]){ IS(0, INPROC_SITES), IS_INT(2, MADV_DONTNEED) },
	      2);
	/* A new host process; what it does first */
	allow(__NR_clone, (struct condition[]){ IS(0, INPROC_CLONE_FLAGS) }, 1);
	allow(__NR_timer_create, (struct condition[]){ IS_INT(0, CLOCK_MONOTONIC) }, 1);
	allow(__NR_prctl, (struct condition[]){ IS_INT(0, PR_SET_PDEATHSIG) }, 1);
	allow(__NR_prctl, (struct condition[]){ IS_INT(0, PR_SET_SYSCALL_USER_DISPATCH),
	      IS(1, PR_SYS_DISPATCH_ON), IS(2, text), IS(3, text_len) }, 4);
	/* What an open file is */
	allow(__NR_newfstatat, (struct condition[]){ IS_INT(3, AT_EMPTY_PATH) }, 1);
	/* Sessions are watched; consoles are asked whether they are terminals */
	for (i = 0; i < ARRAY_SIZE(fcntls); i++)
		allow(__NR_fcntl, (struct condition[]){ IS_INT(1, fcntls[i]) }, 1);
	allow(__NR_ioctl, (struct condition[]){ IS_INT(1, TCGETS) }, 1);
}

/**
 * inproc_thread_starts() - a thread of the host is about to start
 */
void inproc_thread_starts(void)
{
	__atomic_add_fetch(&starting, 1, __ATOMIC_SEQ_CST);
}

/**
 * inproc_thread_runs() - it has done what threads do first
 */
void inproc_thread_runs(void)
{
	__atomic_sub_fetch(&starting, 1, __ATOMIC_SEQ_CST);
}

/* The C library starts threads with calls that are not listed */
static void await_threads(void)
{
	const struct timespec moment = { .tv_nsec = 20000 };
	int patience = 10000;

	while (__atomic_load_n(&starting, __ATOMIC_SEQ_CST) > 0 && patience--)
		raw_syscall3(__NR_nanosleep, (long)&moment, 0, 0);
}

/**
 * inproc_jail() - from here on, only what is listed
 * @memory_fd:	the memory file
 *
 * For the process that calls, all of its threads, and all clones.
 */
void inproc_jail(int memory_fd)
{
	struct sock_fprog program = { .filter = code };

	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	allow_any(always, ARRAY_SIZE(always));
	allow_some(memory_fd);
	if (has_files)
		allow_any(files, ARRAY_SIZE(files));
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP);

	await_threads();
	program.len = length;
	raw_syscall6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (raw_syscall3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			 (long)&program))
		panic("in-process mode: failed to filter system calls\n");
}
