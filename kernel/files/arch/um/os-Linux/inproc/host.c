// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host processes: one stands for each guest address space. The first one, in
 * which the kernel booted, never has guest memory; all others are its clones.
 * Those whose address space has ended wait in a pool for the next one.
 *
 * One host process at a time has the processor. Handing it over moves a stack
 * pointer: all else that the kernel is made of lies in shared memory.
 */
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/futex.h>
#include <as-layout.h>
#include <init.h>
#include <kern_util.h>
#include <os.h>
#include <um_malloc.h>
#include <inproc.h>
#include "raw.h"
#include "../internal.h"

#define ALTSTACK_ORDER	3
#define FLAGS_KERNEL	0x202

static char first_stack[INPROC_ALTSTACK_SIZE] __attribute__((aligned(INPROC_ALTSTACK_SIZE)));
static struct inproc_host first = { .altstack = first_stack, .ready = 1 };
static struct inproc_host *pool;
static int waiting, waiting_least;	/* in the pool: now, and since the last trim */
static struct inproc_host *leaving, *spare;
/* Grows only: inproc_reap() reads it while another host process has the processor */
static struct inproc_host *all;
static int jailed;

void inproc_end(const char *why)
{
	static const char prefix[] = "in-process mode: ";

	raw_syscall3(__NR_write, 2, (long)prefix, sizeof(prefix) - 1);
	raw_syscall3(__NR_write, 2, (long)why, strlen(why));
	raw_syscall3(__NR_write, 2, (long)"\n", 1);
	for (;;)
		raw_syscall3(__NR_exit_group, 1, 0, 0);
}

/**
 * inproc_end_with() - ends with a message that has a number
 * @why:	ends with as many spaces as the number may have digits
 */
void inproc_end_with(char *why, unsigned int value)
{
	char *end = why + strlen(why);

	do {
		*--end = '0' + value % 10;
		value /= 10;
	} while (value);
	inproc_end(why);
}

/*
 * Sets the signal stack as the end of a signal handler does: one call less that
 * the jail has to let through.
 */
static void use_altstack(struct inproc_host *host)
{
	ucontext_t state = {
		.uc_stack = { .ss_sp = host->altstack, .ss_size = INPROC_ALTSTACK_SIZE },
		.uc_mcontext.gregs[REG_EFL] = FLAGS_KERNEL,
		.uc_mcontext.gregs[REG_CSGSFS] = INPROC_SELECTORS,
	};
	greg_t *registers = state.uc_mcontext.gregs;
	ucontext_t *frame = &state;
	long nr = __NR_rt_sigreturn;

	*(struct inproc_host **)host->altstack = host;
	sigaddset(&state.uc_sigmask, SIGPIPE);	/* writing tells by an error */
	asm volatile("movq %%rsp, %c[rsp](%%rdi)\n\t"
		     "movq %%rbp, %c[rbp](%%rdi)\n\t"
		     "movq $1f, %c[rip](%%rdi)\n\t"
		     "movq %%rsi, %%rsp\n\t"
		     "syscall\n"
		     "1:"
		     : "+D" (registers), "+S" (frame), "+a" (nr)
		     : [rsp] "i" (8 * REG_RSP),
		       [rbp] "i" (8 * REG_RBP), [rip] "i" (8 * REG_RIP)
		     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		       "cc", "memory");
}

/**
 * inproc_hosts_init() - makes the process that booted the first host process
 */
void __init inproc_hosts_init(void)
{
	asm volatile("rdfsbase %0" : "=r" (inproc_vcpu.host_fs));
	first.pid = raw_syscall3(__NR_getpid, 0, 0, 0);
	inproc_vcpu.running = &first;
	use_altstack(&first);
	/* Sleeps and timers end when they should, not 50 us later. Inherited. */
	raw_syscall3(__NR_prctl, PR_SET_TIMERSLACK, 1, 0);
	inproc_place_init();
	inproc_set_handler(SIGSYS);
}

int inproc_first_pid(void)
{
	return first.pid;
}

int inproc_is_first(const struct inproc_host *host)
{
	return host == &first;
}

/**
 * inproc_host_main() - the first that a clone does
 *
 * It has no kernel stack and no turn: no C library, no kernel function.
 */
void inproc_host_main(struct inproc_host *host)
{
	use_altstack(host);
	raw_syscall3(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	if (raw_syscall6(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON,
			 (long)_text, _etext - _text, 0, 0))
		inproc_end("failed to turn on syscall user dispatch");
	__atomic_store_n(&host->ready, 1, __ATOMIC_RELEASE);
	raw_syscall3(__NR_futex, (long)&host->ready, FUTEX_WAKE, 1);
}

/* Signals for the processor need a signal stack of the process that has it */
static void await_ready(struct inproc_host *host)
{
	while (!__atomic_load_n(&host->ready, __ATOMIC_ACQUIRE))
		raw_syscall4(__NR_futex, (long)&host->ready, FUTEX_WAIT, 0, 0);
}

/**
 * inproc_switch_slowly() - goes on in another host process
 */
void inproc_switch_slowly(struct inproc_host *to)
{
	struct inproc_host *from = inproc_vcpu.running;
	int enabled = um_get_signals();

	block_signals();
	/* Vector registers and GS do not go along */
	if (inproc_vcpu.fp_live)
		inproc_leave((struct uml_pt_regs *)inproc_vcpu.regs);
	await_ready(to);
	inproc_place(to->pid, &to->pinned);
	inproc_handover(from, to);

	if (to->vm_generation != inproc_vm_generation) {
		raw_syscall3(__NR_munmap, start_vm, end_vm - start_vm, 0);
		to->vm_generation = inproc_vm_generation;
	}
	inproc_timer_arm();
	um_set_signals(enabled);
}

/**
 * inproc_switch_first() - goes on in the first host process
 *
 * The stack that the kernel was started on, and the host's threads, are there.
 */
void inproc_switch_first(void)
{
	inproc_switch(&first);
}

static void put_spare(struct inproc_host *host)
{
	int enabled = um_get_signals();

	free_stack((unsigned long)host->altstack, ALTSTACK_ORDER);
	block_signals();
	host->next = spare;
	spare = host;
	um_set_signals(enabled);
}

static void free_reaped(void)
{
	struct inproc_host **last = &leaving, *host;

	while ((host = *last)) {
		if (host->pid) {
			last = &host->next;
			continue;
		}
		*last = host->next;
		put_spare(host);
	}
}

/**
 * inproc_exit() - the orderly end
 */
void inproc_exit(int status)
{
	inproc_switch(&first);
	for (;;)
		raw_syscall3(__NR_exit_group, status, 0, 0);
}

/* Returns a structure for a new host process, with a signal stack; or NULL */
static struct inproc_host *get_spare(void)
{
	unsigned long stack = alloc_stack(ALTSTACK_ORDER, 0);
	int enabled = um_get_signals();
	struct inproc_host *host;

	if (!stack)
		return NULL;
	block_signals();
	host = spare;
	if (host)
		spare = host->next;
	um_set_signals(enabled);
	if (!host) {
		host = uml_kmalloc(sizeof(*host), UM_GFP_KERNEL);
		if (!host) {
			free_stack(stack, ALTSTACK_ORDER);
			return NULL;
		}
		memset(host, 0, sizeof(*host));
		block_signals();
		host->older = all;
		__atomic_store_n(&all, host, __ATOMIC_RELEASE);
		um_set_signals(enabled);
	}
	memset(host, 0, offsetof(struct inproc_host, older));
	host->altstack = (void *)stack;
	return host;
}

static struct inproc_host *new_host(void)
{
	struct inproc_host *host = get_spare();
	int pid;

	if (!host)
		return NULL;
	inproc_switch(&first);
	if (!jailed) {
		inproc_try_clock();
		inproc_jail(inproc_memory_fd);
		jailed = 1;
	}
	host->vm_generation = first.vm_generation;
	host->pinned = first.pinned;
	pid = inproc_clone(host->altstack + INPROC_ALTSTACK_SIZE, host, &host->pid);
	if (pid < 0) {
		os_warn("in-process mode: failed to clone a host process: %d\n", pid);
		put_spare(host);
		return NULL;
	}
	return host;
}

/*
 * One that may keep much of what it has mapped: a child of the same program
 * had it. Else one that is no loss to a program's next fork.
 */
static struct inproc_host **choose(unsigned long program, unsigned long forks)
{
	struct inproc_host **at, **any = &pool;

	for (at = &pool; *at; at = &(*at)->next) {
		if ((*at)->program == program)
			return at;
		if ((*any)->program == forks)
			any = at;
	}
	return any;
}

/**
 * inproc_host_get() - a host process for a new address space
 * @program:	that forks it; 0: it is going to execute one
 * @forks:	the program that runs, and may fork again
 *
 * Returns: the process, or NULL: the host refuses another.
 */
struct inproc_host *inproc_host_get(unsigned long program, unsigned long forks)
{
	int enabled = um_get_signals();
	struct inproc_host **at, *host;

	block_signals();
	at = choose(program, forks);
	host = *at;
	if (host) {
		*at = host->next;
		if (--waiting < waiting_least)
			waiting_least = waiting;
	}
	um_set_signals(enabled);
	if (!host)
		host = new_host();
	if (host)
		host->program = program;
	return host;
}

/**
 * inproc_host_put() - its address space has ended
 *
 * What it has mapped stays until its next one adopts it.
 */
void inproc_host_put(struct inproc_host *host)
{
	int enabled = um_get_signals();

	block_signals();
	host->stale = 1;
	host->next = pool;
	pool = host;
	waiting++;
	um_set_signals(enabled);
}

/**
 * inproc_hosts_trim() - ends host processes that nobody has needed since the
 *	last time
 * @keep:	how many may wait in any case
 *
 * Returns: how many wait that are more.
 */
int inproc_hosts_trim(int keep)
{
	int enabled = um_get_signals();
	struct inproc_host **last, *host;
	int needed, more;

	block_signals();
	free_reaped();
	needed = waiting - waiting_least;
	if (needed < keep)
		needed = keep;
	for (last = &pool; (host = *last);) {
		if (needed-- > 0 || host == inproc_vcpu.running) {
			last = &host->next;
			continue;
		}
		waiting--;
		*last = host->next;
		host->next = leaving;
		leaving = host;
		host->turn = INPROC_TURN_EXIT;
		raw_syscall3(__NR_futex, (long)&host->turn, FUTEX_WAKE, 1);
	}
	waiting_least = waiting;
	more = waiting - keep;
	um_set_signals(enabled);
	return more;
}

/**
 * inproc_reap() - host processes have ended
 *
 * Runs in the first process, at any time. One that ends without having been
 * told to takes the container with it.
 */
void inproc_reap(void)
{
	char killed[] = "a host process was ended, by signal     ";
	struct inproc_host *host;
	int pid, status;

	while ((pid = raw_syscall4(__NR_wait4, -1, (long)&status, WNOHANG, 0)) > 0) {
		if (WIFSIGNALED(status))
			inproc_end_with(killed, WTERMSIG(status));
		if (status)	/* it has said why */
			raw_syscall3(__NR_exit_group, 1, 0, 0);
		host = __atomic_load_n(&all, __ATOMIC_ACQUIRE);
		for (; host; host = host->older)
			if (host->pid == pid)
				host->pid = 0;
	}
}
