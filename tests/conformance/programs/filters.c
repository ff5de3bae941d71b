// SPDX-License-Identifier: Apache-2.0
/* Seccomp filters that a program installs on itself. */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/ucontext.h>

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static long install(struct sock_filter *filter, size_t count, unsigned int flags)
{
	struct sock_fprog program = { .len = count, .filter = filter };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Something for one call; all others are allowed. */
static long filter_call(int number, unsigned int action, unsigned int flags)
{
	struct sock_filter filter[] = {
		LOAD(arch), UNLESS(AUDIT_ARCH_X86_64, 3),
		LOAD(nr), UNLESS(number, 1),
		RETURN(action),
		RETURN(SECCOMP_RET_ALLOW),
	};

	return install(filter, sizeof(filter) / sizeof(*filter), flags);
}

CASE(errors)
{
	CHECK(!filter_call(SYS_getppid, SECCOMP_RET_ERRNO | 123, 0));
	CHECK_EQ(syscall(SYS_getppid), -1);
	CHECK_EQ(errno, 123);
	CHECK_EQ(syscall(SYS_getpid), getpid());
	/* A second one on top: the stricter counts. */
	CHECK(!filter_call(SYS_getpid, SECCOMP_RET_ERRNO | 99, 0));
	CHECK_EQ(syscall(SYS_getpid), -1);
	CHECK_EQ(errno, 99);
	CHECK_EQ(syscall(SYS_getppid), -1);
	join_child(fork() ?: (_exit(syscall(SYS_getppid) != -1), 0));
}

CASE(arguments)
{
	struct sock_filter filter[] = {
		LOAD(nr), UNLESS(SYS_dup2, 5),
		LOAD(args[0]), UNLESS(0x12345678, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
		UNLESS(0xabcd, 1),
		RETURN(SECCOMP_RET_ERRNO | 77),
		RETURN(SECCOMP_RET_ALLOW),
	};

	CHECK(!install(filter, sizeof(filter) / sizeof(*filter), 0));
	CHECK_EQ(syscall(SYS_dup2, 0x12345678, 0xabcd00000001), -1);
	CHECK_EQ(errno, 77);
	CHECK_EQ(syscall(SYS_dup2, 0x12345678, 0xabce00000001), -1);
	CHECK_EQ(errno, EBADF);
}

static volatile int caught;
static siginfo_t last;
static volatile greg_t last_rip, last_rax;

static void on_sigsys(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	last = *info;
	last_rip = registers[REG_RIP];
	last_rax = registers[REG_RAX];
	registers[REG_RAX] = 1234;
	caught++;
}

CASE(traps)
{
	long result, i;
	unsigned long after;

	handle(SIGSYS, on_sigsys, 0);
	CHECK(!filter_call(SYS_getppid, SECCOMP_RET_TRAP | 55, 0));
	for (i = 0; i < 100; i++) {
		__asm__ volatile("syscall\n"
				 "1: lea 1b(%%rip), %1\n"
				 : "=a"(result), "=r"(after) : "a"(SYS_getppid)
				 : "rcx", "r11", "memory");
		CHECK_EQ(caught, i + 1);
		CHECK_EQ(result, 1234);
		CHECK_EQ(last.si_code, 1); /* SYS_SECCOMP */
		CHECK_EQ(last.si_errno, 55);
		CHECK_EQ(last.si_syscall, SYS_getppid);
		CHECK_EQ(last.si_arch, AUDIT_ARCH_X86_64);
		CHECK_EQ((unsigned long)last.si_call_addr, after);
		CHECK_EQ(last_rip, after);
		CHECK_EQ(last_rax, SYS_getppid);
	}
}

CASE(instruction_pointer)
{
	extern char watched_site[];
	uint64_t place = (uint64_t)(uintptr_t)watched_site;
	struct sock_filter filter[] = {
		LOAD(nr), UNLESS(SYS_getppid, 5),
		LOAD(instruction_pointer), UNLESS((uint32_t)place, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		UNLESS((uint32_t)(place >> 32), 1),
		RETURN(SECCOMP_RET_ERRNO | 88),
		RETURN(SECCOMP_RET_ALLOW),
	};
	long result;

	CHECK(!install(filter, sizeof(filter) / sizeof(*filter), 0));
	__asm__ volatile("syscall\n"
			 "watched_site:\n"
			 : "=a"(result) : "a"(SYS_getppid) : "rcx", "r11", "memory");
	CHECK_EQ(result, -88);
	CHECK_EQ(syscall(SYS_getppid), getppid());
}

static void no_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
}

CASE(kills)
{
	pid_t child = fork();

	if (!child) {
		no_core();
		CHECK(!filter_call(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0));
		syscall(SYS_getppid);
		_exit(1);
	}
	join_killed(child, SIGSYS);
}

CASE(strict_mode)
{
	pid_t child = fork();
	int status;

	if (!child) {
		CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		(void)!write(1, "", 0);
		syscall(SYS_exit, 5);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 5);
	child = fork();
	if (!child) {
		no_core();
		CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		syscall(SYS_getppid);
		syscall(SYS_exit, 5);
	}
	join_killed(child, SIGKILL);
}

static volatile bool installed;

static void *wait_and_call(void *argument)
{
	(void)argument;
	while (!installed)
		sched_yield();
	return (void *)syscall(SYS_getppid);
}

CASE(all_threads_at_once)
{
	pthread_t threads[4];
	void *result;
	int i;

	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, wait_and_call, NULL));
	CHECK(!filter_call(SYS_getppid, SECCOMP_RET_ERRNO | 5, SECCOMP_FILTER_FLAG_TSYNC));
	installed = true;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		CHECK_EQ((long)result, -1);
	}
}

static void *supervise(void *argument)
{
	int fd = (int)(long)argument, i;

	for (i = 0; i < 50; i++) {
		struct seccomp_notif request = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		CHECK(!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request));
		CHECK_EQ(request.data.nr, SYS_getppid);
		answer.id = request.id;
		answer.val = 5000 + request.data.args[0];
		CHECK(!ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer));
	}
	return NULL;
}

CASE(a_supervisor_answers)
{
	pthread_t thread;
	long fd = filter_call(SYS_getppid, SECCOMP_RET_USER_NOTIF,
			      SECCOMP_FILTER_FLAG_NEW_LISTENER);
	int i;

	CHECK(fd >= 0);
	CHECK(!pthread_create(&thread, NULL, supervise, (void *)fd));
	for (i = 0; i < 50; i++)
		CHECK_EQ(syscall(SYS_getppid, i), 5000 + i);
	pthread_join(thread, NULL);
}

static char selector;

static void on_dispatch(int number, siginfo_t *info, void *context)
{
	selector = 0; /* else the way back would be dispatched as well */
	on_sigsys(number, info, context);
}

CASE(dispatch_to_the_program)
{
	long result;

	/* PR_SET_SYSCALL_USER_DISPATCH, on, without an exempt range. */
	handle(SIGSYS, on_dispatch, 0);
	if (prctl(59, 1, 0, 0, &selector))
		SKIP("this kernel has no system call user dispatch");
	CHECK_EQ(syscall(SYS_getppid), getppid());
	__asm__ volatile("movb $1, %1\n"
			 "mov $110, %%eax\n"
			 "syscall\n"
			 : "=&a"(result), "+m"(selector) : : "rcx", "r11", "memory");
	CHECK_EQ(caught, 1);
	CHECK_EQ(result, 1234);
	CHECK_EQ(last.si_code, 2); /* SYS_USER_DISPATCH */
}
