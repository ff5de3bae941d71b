// SPDX-License-Identifier: Apache-2.0
/* Processes: fork, vfork, clone3, exec in all its ways, waiting, many of each. */
#define _GNU_SOURCE
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <pthread.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

CASE(two_hundred_thousand_forks)
{
	long rounds = count_of("FORKS", 200000);
	long i;

	for (i = 0; i < rounds; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		join_child(child);
	}
}

CASE(ten_thousand_execs)
{
	long rounds = count_of("EXECS", 10000);
	char *argv[] = { "busybox", "true", NULL };
	bool small = !access("/bin/busybox", X_OK);
	long i;

	for (i = 0; i < rounds; i++) {
		pid_t child = vfork();

		if (!child) {
			if (small)
				execv("/bin/busybox", argv);
			else
				execl("/bin/true", "true", NULL);
			_exit(1);
		}
		join_child(child);
	}
}

CASE(an_exec_chain)
{
	/* One process that replaces itself 300 times. */
	const char *left = getenv("CHAIN");
	char text[32];

	if (left && !atol(left))
		return;
	snprintf(text, sizeof(text), "%ld", left ? atol(left) - 1 : 300);
	setenv("CHAIN", text, 1);
	execl("/proc/self/exe", "processes", __func__, NULL);
	fail("execl: %d", errno);
}

CASE(fork_copies_memory)
{
	size_t length = 16 << 20, i;
	long *area = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	long *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int round;

	for (round = 0; round < 5; round++) {
		pid_t child;

		for (i = 0; i < length / 8; i += 512)
			area[i] = (long)i + round;
		child = fork();
		if (!child) {
			for (i = 0; i < length / 8; i += 512) {
				CHECK_EQ(area[i], i + round);
				area[i] = -1;
			}
			*shared = round + 1;
			_exit(0);
		}
		for (i = 0; i < length / 8; i += 512) {
			CHECK_EQ(area[i], i + round);
			area[i] = -2;
		}
		join_child(child);
		CHECK_EQ(*shared, round + 1);
	}
}

CASE(deep_forks)
{
	int depth;

	for (depth = 0; depth < 60; depth++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child) {
			join_child(child);
			if (depth)
				_exit(0);
			return;
		}
	}
	_exit(0);
}

CASE(many_children_at_once)
{
	static pid_t children[300];
	int fds[2], i;
	char byte;

	CHECK(!pipe(fds));
	for (i = 0; i < 300; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (!children[i]) {
			close(fds[1]);
			_exit(read(fds[0], &byte, 1) != 0);
		}
	}
	close(fds[1]);
	for (i = 0; i < 300; i++)
		join_child(children[i]);
}

CASE(vfork_shares_memory_and_waits)
{
	volatile int value = 0;
	int i;

	for (i = 0; i < 500; i++) {
		pid_t child = vfork();

		if (!child) {
			value = i + 1;
			_exit(0);
		}
		CHECK_EQ(value, i + 1);
		join_child(child);
	}
}

CASE(vfork_and_exec)
{
	int i, status;

	for (i = 0; i < 100; i++) {
		pid_t child = vfork();

		if (!child) {
			execl("/bin/sh", "sh", "-c", "exit 9", NULL);
			_exit(1);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(WEXITSTATUS(status), 9);
	}
}

CASE(posix_spawned)
{
	char *argv[] = { "sh", "-c", "read line; test \"$line\" = hello", NULL };
	int i;

	for (i = 0; i < 50; i++) {
		posix_spawn_file_actions_t actions;
		int fds[2];
		pid_t child;

		CHECK(!pipe2(fds, O_CLOEXEC));
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, fds[0], 0);
		CHECK(!posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ));
		CHECK_EQ(write(fds[1], "hello\n", 6), 6);
		join_child(child);
		posix_spawn_file_actions_destroy(&actions);
		close(fds[0]);
		close(fds[1]);
	}
}

static long clone_three(struct clone_args *arguments)
{
	return syscall(SYS_clone3, arguments, sizeof(*arguments));
}

CASE(clone3_and_pidfds)
{
	int i;

	for (i = 0; i < 100; i++) {
		int pidfd = -1, status;
		struct clone_args arguments = {
			.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
			.pidfd = (uint64_t)(uintptr_t)&pidfd,
			.exit_signal = SIGCHLD,
		};
		struct pollfd entry;
		siginfo_t info;
		long child = clone_three(&arguments);

		CHECK(child >= 0);
		if (!child)
			for (;;)
				pause();
		CHECK(pidfd >= 0);
		entry = (struct pollfd){ .fd = pidfd, .events = POLLIN };
		CHECK_EQ(poll(&entry, 1, 0), 0);
		CHECK(!syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0));
		CHECK_EQ(poll(&entry, 1, 10000), 1);
		CHECK(!waitid((idtype_t)3 /* P_PIDFD */, pidfd, &info, WEXITED));
		CHECK_EQ(info.si_pid, child);
		CHECK_EQ(info.si_status, SIGTERM);
		CHECK(waitpid(child, &status, 0) < 0);
		close(pidfd);
	}
}

static char clone_stack[64 * 1024] __attribute__((aligned(16)));
static volatile int clone_value;

static int run_clone(void *argument)
{
	clone_value = (int)(long)argument;
	return 12;
}

CASE(clones_that_share_memory)
{
	int i, status;

	for (i = 0; i < 200; i++) {
		int flags = CLONE_VM | SIGCHLD | (i % 2 ? CLONE_FILES : 0) |
			    (i % 3 ? CLONE_FS : 0);
		pid_t child = clone(run_clone, clone_stack + sizeof(clone_stack), flags,
				    (void *)(long)(i + 1));

		CHECK(child > 0);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(WEXITSTATUS(status), 12);
		CHECK_EQ(clone_value, i + 1);
	}
}

CASE(clone3_with_its_own_stack)
{
	struct clone_args arguments = {
		.flags = CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)(uintptr_t)clone_stack,
		.stack_size = sizeof(clone_stack),
	};
	long child, sp;
	int status;

	__asm__ volatile("syscall\n"
			 "test %%rax, %%rax\n"
			 "jnz 1f\n"
			 "mov %%rsp, clone_stack(%%rip)\n"
			 "mov $60, %%eax\n"
			 "mov $21, %%edi\n"
			 "syscall\n"
			 "1:" : "=a"(child) : "a"(SYS_clone3), "D"(&arguments),
			 "S"(sizeof(arguments)) : "rcx", "r11", "memory", "cc");
	CHECK(child > 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 21);
	memcpy(&sp, clone_stack, sizeof(sp));
	CHECK_EQ(sp, (long)clone_stack + sizeof(clone_stack));
}

/* --- exec --- */

static char *write_file(const void *bytes, size_t length, int mode)
{
	static char name[] = "/tmp/program.XXXXXX";
	int fd;

	strcpy(name, "/tmp/program.XXXXXX");
	fd = mkstemp(name);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, bytes, length), length);
	CHECK(!fchmod(fd, mode));
	close(fd);
	return name;
}

/* The error of executing a file, or 0 and its wait status. */
static int try_exec(const char *name, int *status)
{
	int fds[2], error = 0;
	pid_t child;

	CHECK(!pipe2(fds, O_CLOEXEC));
	child = fork();
	if (!child) {
		execl(name, name, "argument", NULL);
		error = errno;
		_exit(write(fds[1], &error, sizeof(error)) != sizeof(error));
	}
	close(fds[1]);
	if (read(fds[0], &error, sizeof(error)) < 0)
		error = -1;
	close(fds[0]);
	CHECK_EQ(waitpid(child, status, 0), child);
	return error;
}

CASE(programs_that_are_none)
{
	int status, error;
	char *name;
	static const char zeros[4096];

	name = write_file(zeros, sizeof(zeros), 0755);
	CHECK_EQ(try_exec(name, &status), ENOEXEC);
	unlink(name);
	name = write_file("", 0, 0755);
	CHECK_EQ(try_exec(name, &status), ENOEXEC);
	unlink(name);
	name = write_file("#!/bin/sh\n", 10, 0644);
	CHECK_EQ(try_exec(name, &status), EACCES);
	unlink(name);
	name = write_file("#!/no/such/shell\n", 17, 0755);
	CHECK_EQ(try_exec(name, &status), ENOENT);
	unlink(name);
	CHECK_EQ(try_exec("/", &status), EACCES);
	CHECK_EQ(try_exec("/no/such", &status), ENOENT);
	name = write_file("#!/bin/sh\nexit 3\n", 17, 0755);
	error = try_exec(name, &status);
	CHECK_EQ(error, 0);
	CHECK_EQ(WEXITSTATUS(status), 3);
	unlink(name);
}

CASE(programs_of_32_bits)
{
	/* mov eax, 1; mov ebx, 42; int 0x80: exit(42), where such programs can run at all. */
	static const unsigned char code[] = { 0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80 };
	struct {
		Elf32_Ehdr header;
		Elf32_Phdr segment;
		unsigned char code[sizeof(code)];
	} file = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_386,
			.e_version = EV_CURRENT,
			.e_entry = 0x8048000 + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr),
			.e_phoff = sizeof(Elf32_Ehdr),
			.e_ehsize = sizeof(Elf32_Ehdr),
			.e_phentsize = sizeof(Elf32_Phdr),
			.e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD,
			.p_vaddr = 0x8048000,
			.p_filesz = sizeof(file),
			.p_memsz = sizeof(file),
			.p_flags = PF_R | PF_X,
			.p_align = 4096,
		},
	};
	char *name;
	int status, error;

	memcpy(file.code, code, sizeof(code));
	name = write_file(&file, sizeof(file), 0755);
	error = try_exec(name, &status);
	CHECK(error == ENOEXEC || (!error && WEXITSTATUS(status) == 42));
	unlink(name);
	file.header.e_machine = EM_ARM;
	name = write_file(&file, sizeof(file), 0755);
	CHECK_EQ(try_exec(name, &status), ENOEXEC);
	unlink(name);
}

CASE(programs_that_are_broken)
{
	/* Headers with junk in them: an error or a killed program. */
	unsigned char bytes[4096];
	unsigned int seed = 1;
	int round, i, status;
	int source = open("/proc/self/exe", O_RDONLY);

	CHECK_EQ(read(source, bytes, sizeof(bytes)), sizeof(bytes));
	for (round = 0; round < 60; round++) {
		unsigned char copy[4096];
		char *name;
		int error;

		memcpy(copy, bytes, sizeof(copy));
		for (i = 0; i < 4; i++) {
			seed = seed * 1103515245 + 12345;
			copy[16 + (seed >> 8) % 1000] = seed >> 20;
		}
		name = write_file(copy, sizeof(copy), 0755);
		error = try_exec(name, &status);
		unlink(name);
		CHECK(error >= 0);
		CHECK(WIFEXITED(status) || WIFSIGNALED(status));
	}
}

CASE(arguments_that_are_too_long)
{
	size_t length = 8 << 20;
	char *text = malloc(length);
	char *argv[] = { "true", text, NULL };

	memset(text, 'x', length);
	text[length - 1] = 0;
	execv("/bin/true", argv);
	CHECK_EQ(errno, E2BIG);
	text[131000] = 0;
	execv("/bin/true", argv);
	fail("execv: %d", errno);
}

CASE(programs_by_descriptor)
{
	char *argv[] = { "busybox-like", "-c", "exit 17", NULL };
	int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC), status, from, to;
	pid_t child = fork();
	char buffer[65536];
	ssize_t length;

	if (!child) {
		fexecve(fd, argv, environ);
		_exit(1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 17);
	/* From memory alone. */
	from = open("/bin/sh", O_RDONLY);
	to = memfd_create("program", MFD_CLOEXEC);
	while ((length = read(from, buffer, sizeof(buffer))) > 0)
		CHECK_EQ(write(to, buffer, length), length);
	child = fork();
	if (!child) {
		fexecve(to, argv, environ);
		_exit(1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 17);
}

CASE(auxiliary_vector)
{
	const unsigned char *random = (void *)getauxval(AT_RANDOM);
	const char *platform = (void *)getauxval(AT_PLATFORM);

	CHECK_EQ(getauxval(AT_PAGESZ), 4096);
	CHECK_EQ(getauxval(AT_CLKTCK), sysconf(_SC_CLK_TCK));
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK(getauxval(AT_PHDR) && getauxval(AT_ENTRY));
	CHECK(random && (random[0] | random[1] | random[2] | random[3]));
	CHECK(platform && !strcmp(platform, "x86_64"));
	CHECK(getauxval(AT_EXECFN));
	/* glibc reads its minimum of a signal stack here. */
	if (getauxval(AT_MINSIGSTKSZ))
		CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024 && getauxval(AT_MINSIGSTKSZ) < 65536);
}

CASE(minimum_of_a_signal_stack_is_told)
{
	CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);
}

/* --- Waiting and ends --- */

CASE(exit_statuses)
{
	int i, status;

	for (i = 0; i < 256; i++) {
		pid_t child = fork();

		if (!child)
			_exit(i);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), i);
	}
	for (i = 1; i < 32; i++) {
		pid_t child;
		struct rlimit none = { 0, 0 };

		if (i == SIGCHLD || i == SIGCONT || i == SIGURG || i == SIGWINCH ||
		    i == SIGSTOP || i == SIGTSTP || i == SIGTTIN || i == SIGTTOU)
			continue;
		child = fork();
		if (!child) {
			setrlimit(RLIMIT_CORE, &none);
			signal(i, SIG_DFL); /* background jobs ignore some */
			kill(getpid(), i);
			_exit(1);
		}
		join_killed(child, i);
	}
}

CASE(orphans_have_a_new_parent)
{
	int fds[2];
	pid_t child, found;

	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	CHECK(!pipe(fds));
	child = fork();
	if (!child) {
		pid_t parent = getpid(), grandchild = fork();

		if (grandchild)
			_exit(0);
		while (getppid() == parent)
			sched_yield();
		found = getppid();
		_exit(write(fds[1], &found, sizeof(found)) != sizeof(found));
	}
	join_child(child);
	CHECK_EQ(read(fds[0], &found, sizeof(found)), sizeof(found));
	CHECK_EQ(found, getpid());
	CHECK(wait(NULL) > 0);
}

CASE(parent_death_signal)
{
	int fds[2];
	char byte;
	pid_t child;

	CHECK(!pipe(fds));
	child = fork();
	if (!child) {
		int ready[2];

		CHECK(!pipe(ready));
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)!write(ready[1], "x", 1);
			for (;;)
				pause();
		}
		(void)!read(ready[0], &byte, 1);
		_exit(0);
	}
	join_child(child);
	close(fds[1]);
	CHECK_EQ(read(fds[0], &byte, 1), 0); /* the grandchild held it open */
}

CASE(resource_usage_is_told)
{
	struct rusage usage;
	int64_t begin = now_ns();
	pid_t child = fork();
	volatile long i = 0;

	if (!child) {
		while (now_ns() - begin < 300000000)
			i++;
		_exit(0);
	}
	CHECK_EQ(wait4(child, NULL, 0, &usage), child);
	CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
	      usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec > 30000);
	CHECK(usage.ru_maxrss > 100);
}

CASE(processor_time_limit)
{
	pid_t child = fork();
	struct rlimit limit = { 1, 2 };

	if (!child) {
		setrlimit(RLIMIT_CPU, &limit);
		for (;;)
			__asm__ volatile("");
	}
	join_killed(child, SIGXCPU);
}

CASE(pipes_between_many)
{
	/* A ring of 20 processes passes a token 200 times. */
	int first[2], in, out[2], i, round, token;
	pid_t children[20];

	CHECK(!pipe(first));
	in = first[0];
	for (i = 0; i < 20; i++) {
		CHECK(!pipe(out));
		children[i] = fork();
		if (!children[i]) {
			for (round = 0; round < 200; round++) {
				CHECK_EQ(read(in, &token, sizeof(token)), sizeof(token));
				token++;
				CHECK_EQ(write(out[1], &token, sizeof(token)), sizeof(token));
			}
			_exit(0);
		}
		in = out[0];
	}
	token = 0;
	for (round = 0; round < 200; round++) {
		CHECK_EQ(write(first[1], &token, sizeof(token)), sizeof(token));
		CHECK_EQ(read(in, &token, sizeof(token)), sizeof(token));
		CHECK_EQ(token, 20 * (round + 1));
	}
	for (i = 0; i < 20; i++)
		join_child(children[i]);
}
