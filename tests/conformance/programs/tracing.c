// SPDX-License-Identifier: Apache-2.0
/* ptrace: what debuggers and tracers see and change. */
#define _GNU_SOURCE
#include "check.h"

#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

static volatile long watched = 5;

static struct user_regs_struct registers_of(pid_t child)
{
	struct user_regs_struct registers;

	CHECK(!ptrace(PTRACE_GETREGS, child, NULL, &registers));
	return registers;
}

static int wait_stop(pid_t child)
{
	int status;

	CHECK_EQ(waitpid(child, &status, __WALL), child);
	if (!WIFSTOPPED(status))
		fail("status %#x where a stop was expected", status);
	return status >> 8;
}

/* A child that is stopped, with good system call stops, and killed with its tracer. */
static pid_t start(void (*body)(void))
{
	pid_t child = fork();

	if (!child) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		body();
		_exit(0);
	}
	CHECK_EQ(wait_stop(child), SIGSTOP);
	CHECK(!ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
		      PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC));
	return child;
}

static void end(pid_t child)
{
	int status;

	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static void to_syscall(pid_t child)
{
	CHECK(!ptrace(PTRACE_SYSCALL, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGTRAP | 0x80);
}

static void some_calls(void)
{
	int i;

	for (i = 0; i < 10; i++) {
		CHECK_EQ(syscall(SYS_getppid), getppid());
		syscall(SYS_close, 1000 + i);
		syscall(SYS_mmap, 0, 4096, 3, 0x22, -1, 0);
	}
}

CASE(system_call_stops)
{
	pid_t child = start(some_calls);
	int i;

	for (i = 0; i < 10; i++) {
		struct user_regs_struct registers;

		to_syscall(child);
		registers = registers_of(child);
		CHECK_EQ(registers.orig_rax, SYS_getppid);
		CHECK_EQ(registers.rax, -ENOSYS);
		to_syscall(child);
		registers = registers_of(child);
		CHECK_EQ(registers.orig_rax, SYS_getppid);
		CHECK_EQ(registers.rax, getpid());
		to_syscall(child); /* getppid(), once more */
		to_syscall(child);
		to_syscall(child);
		registers = registers_of(child);
		CHECK_EQ(registers.orig_rax, SYS_close);
		CHECK_EQ(registers.rdi, 1000 + i);
		to_syscall(child);
		CHECK_EQ(registers_of(child).rax, -EBADF);
		to_syscall(child);
		registers = registers_of(child);
		CHECK_EQ(registers.orig_rax, SYS_mmap);
		CHECK_EQ(registers.rsi, 4096);
		CHECK_EQ(registers.rdx, 3);
		CHECK_EQ(registers.r10, 0x22);
		CHECK_EQ((int)registers.r8, -1);
		to_syscall(child);
		CHECK((long)registers_of(child).rax > 0);
	}
	end(child);
}

CASE(system_call_information)
{
	pid_t child = start(some_calls);
	struct __ptrace_syscall_info info;
	unsigned long rip;

	to_syscall(child);
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0);
	CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_ENTRY);
	CHECK_EQ(info.arch, 0xc000003e);
	CHECK_EQ(info.entry.nr, SYS_getppid);
	rip = registers_of(child).rip;
	CHECK_EQ(info.instruction_pointer, rip);
	CHECK_EQ(ptrace(PTRACE_PEEKTEXT, child, rip - 2, NULL) & 0xffff, 0x050f);
	to_syscall(child);
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0);
	CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_EXIT);
	CHECK_EQ(info.exit.rval, getpid());
	end(child);
}

static void changed_calls(void)
{
	CHECK_EQ(syscall(SYS_getppid), getpid());	/* another number */
	CHECK_EQ(syscall(SYS_getppid), 4711);		/* another result */
	CHECK_EQ(syscall(SYS_getppid), -1);		/* no call at all */
	CHECK_EQ(errno, 111);
	CHECK_EQ(syscall(SYS_close, 1000), -1);		/* another argument */
	CHECK_EQ(errno, EBADF);
}

CASE(calls_are_changed)
{
	pid_t child = start(changed_calls);
	struct user_regs_struct registers;

	to_syscall(child);
	registers = registers_of(child);
	registers.orig_rax = SYS_getpid;
	CHECK(!ptrace(PTRACE_SETREGS, child, NULL, &registers));
	to_syscall(child);
	CHECK_EQ(registers_of(child).rax, child);
	to_syscall(child); /* the program's own getpid() */
	if (registers_of(child).orig_rax == SYS_getpid) {
		to_syscall(child);
		to_syscall(child);
	}
	to_syscall(child);
	registers = registers_of(child);
	registers.rax = 4711;
	CHECK(!ptrace(PTRACE_SETREGS, child, NULL, &registers));
	to_syscall(child);
	registers = registers_of(child);
	CHECK_EQ(registers.orig_rax, SYS_getppid);
	registers.orig_rax = -1;
	CHECK(!ptrace(PTRACE_SETREGS, child, NULL, &registers));
	to_syscall(child);
	registers = registers_of(child);
	CHECK_EQ(registers.rax, -ENOSYS);
	registers.rax = -111;
	CHECK(!ptrace(PTRACE_SETREGS, child, NULL, &registers));
	end(child);
}

static void count_up(void)
{
	int i;

	for (i = 0; i < 100; i++)
		watched++;
	CHECK_EQ(watched, 105);
}

CASE(memory_is_read_and_written)
{
	pid_t child = start(count_up);
	int i;

	CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &watched, NULL), 5);
	CHECK(!ptrace(PTRACE_POKEDATA, child, &watched, 6));
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &watched, NULL), 6);
	CHECK(!ptrace(PTRACE_POKEDATA, child, &watched, 5));
	for (i = 0; i < 3; i++) {
		errno = 0;
		CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, (void *)8, NULL), -1);
		CHECK_EQ(errno, EIO);
	}
	end(child);
}

__attribute__((noinline))
static long broken_at(long value)
{
	__asm__ volatile("");
	return value + 1;
}

static void call_it(void)
{
	int i;

	for (i = 0; i < 20; i++)
		CHECK_EQ(broken_at(i), i + 1);
}

CASE(breakpoints)
{
	pid_t child = start(call_it);
	long text = ptrace(PTRACE_PEEKTEXT, child, broken_at, NULL);
	int i;

	CHECK(!ptrace(PTRACE_POKETEXT, child, broken_at, (text & ~0xffL) | 0xcc));
	for (i = 0; i < 20; i++) {
		struct user_regs_struct registers;

		CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
		CHECK_EQ(wait_stop(child), SIGTRAP);
		registers = registers_of(child);
		CHECK_EQ(registers.rip, (unsigned long)broken_at + 1);
		CHECK_EQ(registers.rdi, i);
		/* As a debugger goes on: the original byte, one step, the breakpoint again. */
		registers.rip--;
		CHECK(!ptrace(PTRACE_SETREGS, child, NULL, &registers));
		CHECK(!ptrace(PTRACE_POKETEXT, child, broken_at, text));
		CHECK(!ptrace(PTRACE_SINGLESTEP, child, NULL, NULL));
		CHECK_EQ(wait_stop(child), SIGTRAP);
		CHECK(registers_of(child).rip != (unsigned long)broken_at);
		CHECK(!ptrace(PTRACE_POKETEXT, child, broken_at, (text & ~0xffL) | 0xcc));
	}
	CHECK(!ptrace(PTRACE_POKETEXT, child, broken_at, text));
	end(child);
}

extern char step_begin[], step_call[], step_after[], step_end[];

static void step_through(void)
{
	__asm__ volatile("step_begin: int3\n"
			 "nop\n"
			 "mov $39, %%eax\n"
			 "step_call: syscall\n"
			 "step_after: nop\n"
			 "nop\n"
			 "step_end: nop\n" : : : "rax", "rcx", "r11", "memory");
}

CASE(single_steps_over_a_call)
{
	pid_t child = start(step_through);
	static char *const expected[] = { step_begin + 2, step_call, step_after, step_after + 1,
					  step_end };
	size_t i;

	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGTRAP);
	CHECK_EQ(registers_of(child).rip, (unsigned long)step_begin + 1);
	for (i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		CHECK(!ptrace(PTRACE_SINGLESTEP, child, NULL, NULL));
		CHECK_EQ(wait_stop(child), SIGTRAP);
		CHECK_EQ(registers_of(child).rip, (unsigned long)expected[i]);
		if (expected[i] == step_after)
			CHECK_EQ(registers_of(child).rax, child);
	}
	end(child);
}

CASE(many_single_steps)
{
	pid_t child = start(count_up);
	int status, steps = 0;

	for (;;) {
		CHECK(!ptrace(PTRACE_SINGLESTEP, child, NULL, NULL));
		CHECK_EQ(waitpid(child, &status, 0), child);
		if (!WIFSTOPPED(status))
			break;
		steps++;
	}
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	CHECK(steps > 300);
}

static void nothing_much(void)
{
}

CASE(vector_registers)
{
	pid_t child = start(nothing_much);
	static unsigned char state[16384] __attribute__((aligned(64)));
	struct user_fpregs_struct fp;
	struct iovec vector = { state, sizeof(state) };

	CHECK(!ptrace(PTRACE_GETFPREGS, child, NULL, &fp));
	CHECK_EQ(fp.mxcsr, 0x1f80);
	fp.xmm_space[0] = 0x12345678;
	CHECK(!ptrace(PTRACE_SETFPREGS, child, NULL, &fp));
	CHECK(!ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &vector));
	CHECK(vector.iov_len >= 576);
	CHECK_EQ(*(uint32_t *)(state + 160), 0x12345678);
	end(child);
}

static void fork_once(void)
{
	join_child(fork() ?: (_exit(0), 0));
}

CASE(children_are_followed)
{
	pid_t child = start(fork_once);
	unsigned long grandchild;
	int status;

	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGTRAP | PTRACE_EVENT_FORK << 8);
	CHECK(!ptrace(PTRACE_GETEVENTMSG, child, NULL, &grandchild));
	CHECK_EQ(wait_stop(grandchild), SIGSTOP);
	CHECK(!ptrace(PTRACE_CONT, grandchild, NULL, NULL));
	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(waitpid(grandchild, &status, __WALL), grandchild);
	CHECK(WIFEXITED(status));
	CHECK_EQ(wait_stop(child), SIGCHLD);
	end(child);
}

static void exec_once(void)
{
	execl("/bin/sh", "sh", "-c", "exit 0", NULL);
}

CASE(exec_is_told)
{
	pid_t child = start(exec_once);

	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGTRAP | PTRACE_EVENT_EXEC << 8);
	end(child);
}

CASE(attach_to_a_computing_process)
{
	int i;

	for (i = 0; i < 20; i++) {
		pid_t child = fork();
		unsigned long rip;

		if (!child)
			for (;;)
				watched++;
		sleep_ms(2);
		if (i % 2) {
			CHECK(!ptrace(PTRACE_ATTACH, child, NULL, NULL));
			CHECK_EQ(wait_stop(child), SIGSTOP);
		} else {
			CHECK(!ptrace(PTRACE_SEIZE, child, NULL, NULL));
			CHECK(!ptrace(PTRACE_INTERRUPT, child, NULL, NULL));
			CHECK_EQ(wait_stop(child) & 0xff, SIGTRAP);
		}
		rip = registers_of(child).rip;
		CHECK(rip >= 4096);
		CHECK(!ptrace(PTRACE_DETACH, child, NULL, NULL));
		kill(child, SIGKILL);
		join_killed(child, SIGKILL);
	}
}

CASE(attach_to_a_blocked_call)
{
	int fds[2];
	pid_t child;
	char byte;

	CHECK(!pipe(fds));
	child = fork();
	if (!child)
		_exit(read(fds[0], &byte, 1) != 1);
	sleep_ms(20);
	CHECK(!ptrace(PTRACE_ATTACH, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGSTOP);
	CHECK_EQ(registers_of(child).orig_rax, SYS_read);
	CHECK(!ptrace(PTRACE_DETACH, child, NULL, NULL));
	sleep_ms(20);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	join_child(child);
}

static void die(void)
{
	raise(SIGUSR1);
}

CASE(signals_are_taken_away)
{
	pid_t child = start(die);

	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGUSR1);
	end(child);
}

CASE(watchpoints)
{
	pid_t child = start(count_up);
	size_t debug = offsetof(struct user, u_debugreg);

	if (ptrace(PTRACE_POKEUSER, child, debug, &watched) ||
	    ptrace(PTRACE_POKEUSER, child, debug + 7 * 8, 0xd0101)) {
		fail("no debug registers: %d", errno);
	}
	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGTRAP);
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &watched, NULL), 6);
	CHECK(!ptrace(PTRACE_POKEUSER, child, debug + 7 * 8, 0));
	end(child);
}

static void fault(void)
{
	unsigned long place = 16;

	__asm__ volatile("" : "+r"(place));
	*(volatile int *)place = 1;
}

CASE(faults_stop_first)
{
	pid_t child = start(fault);
	siginfo_t info;

	CHECK(!ptrace(PTRACE_CONT, child, NULL, NULL));
	CHECK_EQ(wait_stop(child), SIGSEGV);
	CHECK(!ptrace(PTRACE_GETSIGINFO, child, NULL, &info));
	CHECK_EQ(info.si_code, SEGV_MAPERR);
	CHECK_EQ((long)info.si_addr, 16);
	CHECK(!ptrace(PTRACE_CONT, child, NULL, SIGSEGV));
	join_killed(child, SIGSEGV);
}
