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

/* What F_GETFL shows of files that are opened with O_LARGEFILE, as all are */
#define O_LARGEFILE_BIT 0100000

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
static int starting;
static int disk_fd = -1;
static int terminal_fd = -1;

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

/* A call that is not carried out, and fails like that: the kernel can do without */
static void answer(int nr, int error)
{
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error);
}

/* Beside these, those with conditions in allow_some() */
static const int always[] = {
	__NR_futex,		/* hands the processor over */
	__NR_munmap,		/* the guest's memory */
	__NR_mprotect,		/* the guest's memory */
	__NR_rt_sigreturn,	/* the end of an interrupt; a host process' signal stack */
	__NR_setitimer,		/* the clock event device */
	__NR_ppoll,		/* idle; the block device's thread */
	__NR_sched_setaffinity,	/* all on one processor of the host */
	__NR_tgkill,		/* passes interrupts on */
	__NR_wait4,		/* host processes that have ended */
	__NR_read,		/* sessions, console, helper threads */
	__NR_write,		/* sessions, console, status, log, helper threads */
	__NR_epoll_wait,	/* which files are ready */
	__NR_epoll_ctl,		/* a new session */
	__NR_accept4,		/* a new session */
	__NR_close,		/* a session has ended */
	__NR_pread64,		/* the image, by the block device's thread */
	__NR_exit_group,	/* the end */
};

/* The one block device that is written, by its thread: holes for what is discarded */
static void allow_disk(void)
{
	const int modes[] = { FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE };
	unsigned int i;

	allow(__NR_pwrite64, (struct condition[]){ IS_INT(0, disk_fd) }, 1);
	allow(__NR_fdatasync, (struct condition[]){ IS_INT(0, disk_fd) }, 1);
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		allow(__NR_fallocate, (struct condition[]){ IS_INT(0, disk_fd),
		      IS_INT(1, modes[i] | FALLOC_FL_KEEP_SIZE) }, 2);
}

static void allow_some(int memory_fd)
{
	const unsigned long text = (unsigned long)_text, text_len = _etext - _text;
	const unsigned long prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	const unsigned long modes = O_ACCMODE | O_APPEND | O_NONBLOCK | O_ASYNC | O_LARGEFILE_BIT;
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
	allow(__NR_prctl, (struct condition[]){ IS_INT(0, PR_SET_PDEATHSIG) }, 1);
	allow(__NR_prctl, (struct condition[]){ IS_INT(0, PR_SET_SYSCALL_USER_DISPATCH),
	      IS(1, PR_SYS_DISPATCH_ON), IS(2, text), IS(3, text_len) }, 4);
	/* A new session is watched by signals, which go to the first process */
	allow(__NR_fcntl, (struct condition[]){ IS_INT(1, F_GETFL) }, 1);
	allow(__NR_fcntl, (struct condition[]){ IS_INT(1, F_SETFL), { 2, ~modes, 0 } }, 2);
	allow(__NR_fcntl, (struct condition[]){ IS_INT(1, F_SETSIG), IS_INT(2, SIGIO) }, 2);
	allow(__NR_fcntl, (struct condition[]){ IS_INT(1, F_SETOWN),
	      IS_INT(2, inproc_first_pid()) }, 2);
	if (disk_fd >= 0)
		allow_disk();
	/* Only where the host's vDSO has no clock to read */
	if (inproc_clock_calls)
		allow(__NR_clock_gettime, NULL, 0);
	/* The size of the terminal that the container was given, if it was */
	if (terminal_fd >= 0)
		allow(__NR_ioctl, (struct condition[]){ IS_INT(0, terminal_fd),
		      IS_INT(1, TIOCGWINSZ) }, 2);
	/* No console is a terminal; random numbers were seeded at start */
	answer(__NR_ioctl, ENOTTY);
	answer(__NR_getrandom, EPERM);
}

/**
 * inproc_may_write() - the block device's thread may write a file
 * @fd:	its descriptor; there is one such file
 */
void inproc_may_write(int fd)
{
	disk_fd = fd;
}

/**
 * inproc_may_size() - the kernel may ask for the size of a terminal of the host
 * @fd:	its descriptor; there is one such file
 */
void inproc_may_size(int fd)
{
	terminal_fd = fd;
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

static void begin(void)
{
	length = 0;
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
}

/* What was not allowed so far comes back as a signal */
static long install(void)
{
	struct sock_fprog program = { .filter = code };

	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP);
	program.len = length;
	raw_syscall6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	return raw_syscall3(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_TSYNC, (long)&program);
}

/**
 * inproc_jail() - from here on, only what is listed
 * @memory_fd:	the memory file
 *
 * For the process that calls, all of its threads, and all clones.
 */
void inproc_jail(int memory_fd)
{
	begin();
	allow_any(always, ARRAY_SIZE(always));
	allow_some(memory_fd);
	await_threads();
	if (install())
		panic("in-process mode: failed to filter system calls\n");
}
