// SPDX-License-Identifier: Apache-2.0
/* Processes and threads: made, ended, and woken by one another. */
#include "figures.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATIC_PROGRAM "/bench/nothing"
#define BARE_PROGRAM "/bench/bare"
#define DYNAMIC_PROGRAM "/bin/true"
#define PYTHON "/usr/bin/python3"
#define SHELL "/bin/sh"
#define LOOPS 200
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

static char *const no_environment[] = { "PATH=/usr/bin:/bin", NULL };

static void await(pid_t child)
{
	int status;

	if (child < 0)
		fail("fork");
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	if (status) {
		errno = ECHILD;
		fail("a child failed");
	}
}

static uint64_t run_fork(uint64_t count)
{
	uint64_t begin_ns = now_ns();

	while (count--) {
		pid_t child = fork();

		if (!child)
			_exit(EXIT_SUCCESS);
		await(child);
	}
	return now_ns() - begin_ns;
}

static uint64_t fork_exec(uint64_t count, char *const argv[])
{
	uint64_t begin_ns = now_ns();

	while (count--) {
		pid_t child = fork();

		if (!child) {
			execve(argv[0], argv, no_environment);
			_exit(EXIT_FAILURE);
		}
		await(child);
	}
	return now_ns() - begin_ns;
}

static uint64_t run_fork_exec(uint64_t count)
{
	char *const argv[] = { STATIC_PROGRAM, NULL };

	return fork_exec(count, argv);
}

static uint64_t run_fork_exec_bare(uint64_t count)
{
	char *const argv[] = { BARE_PROGRAM, NULL };

	return fork_exec(count, argv);
}

/* A function of its own: a variable of its caller could not be trusted after a vfork(). */
static pid_t vfork_exec(char *const argv[])
{
	pid_t child = vfork();

	if (!child) {
		execve(argv[0], argv, no_environment);
		_exit(EXIT_FAILURE);
	}
	return child;
}

static uint64_t run_vfork_exec(uint64_t count)
{
	char *const argv[] = { STATIC_PROGRAM, NULL };
	uint64_t begin_ns = now_ns();

	while (count--)
		await(vfork_exec(argv));
	return now_ns() - begin_ns;
}

static uint64_t spawn(uint64_t count, char *const argv[])
{
	uint64_t begin_ns = now_ns();

	while (count--) {
		pid_t child;

		errno = posix_spawn(&child, argv[0], NULL, NULL, argv, no_environment);
		if (errno)
			fail("posix_spawn");
		await(child);
	}
	return now_ns() - begin_ns;
}

static uint64_t run_spawn_static(uint64_t count)
{
	char *const argv[] = { STATIC_PROGRAM, NULL };

	return spawn(count, argv);
}

static uint64_t run_spawn_dynamic(uint64_t count)
{
	char *const argv[] = { DYNAMIC_PROGRAM, NULL };

	return spawn(count, argv);
}

static uint64_t run_python(uint64_t count)
{
	char *const argv[] = { PYTHON, "-c", "pass", NULL };

	return spawn(count, argv);
}

static uint64_t run_shell_loop(uint64_t count)
{
	char *const argv[] = { SHELL, "-ec",
			       "i=0; while [ $i -lt " TEXT(LOOPS) " ]; do "
			       DYNAMIC_PROGRAM "; i=$((i + 1)); done",
			       NULL };

	return spawn(count, argv);
}

static void *do_nothing(void *argument)
{
	return argument;
}

static uint64_t run_thread(uint64_t count)
{
	uint64_t begin_ns = now_ns();

	while (count--) {
		pthread_t thread;

		errno = pthread_create(&thread, NULL, do_nothing, NULL);
		if (errno)
			fail("pthread_create");
		pthread_join(thread, NULL);
	}
	return now_ns() - begin_ns;
}

static uint64_t run_pipe(uint64_t count)
{
	uint64_t begin_ns, took_ns;
	int there[2], back[2];
	pid_t child;
	char byte = 0;

	if (pipe(there) || pipe(back))
		fail("pipe");
	child = fork();
	if (!child) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				_exit(EXIT_FAILURE);
		_exit(EXIT_SUCCESS);
	}
	begin_ns = now_ns();
	while (count--)
		if (write(there[1], "x", 1) != 1 || read(back[0], &byte, 1) != 1 || byte != 'x')
			fail("pipe");
	took_ns = now_ns() - begin_ns;
	close(there[0]);
	close(there[1]);
	await(child);
	close(back[0]);
	close(back[1]);
	return took_ns;
}

static atomic_uint turn; /* counts up: even is the first thread's turn, odd the other's */

static void await_turn(unsigned int other)
{
	while (atomic_load(&turn) == other)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, other, NULL, NULL, 0);
}

static void pass_turn(void)
{
	atomic_fetch_add(&turn, 1);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *echo_turns(void *argument)
{
	uint64_t count = *(uint64_t *)argument;

	for (unsigned int i = 0; i < count; i++) {
		await_turn(2 * i);
		pass_turn();
	}
	return NULL;
}

static uint64_t run_futex(uint64_t count)
{
	uint64_t begin_ns, took_ns;
	pthread_t thread;

	atomic_store(&turn, 0);
	errno = pthread_create(&thread, NULL, echo_turns, &count);
	if (errno)
		fail("pthread_create");
	begin_ns = now_ns();
	for (unsigned int i = 0; i < count; i++) {
		pass_turn();
		await_turn(2 * i + 1);
	}
	took_ns = now_ns() - begin_ns;
	pthread_join(thread, NULL);
	return took_ns;
}

static int there_fd, back_fd;

static void *echo_events(void *argument)
{
	uint64_t count = *(uint64_t *)argument;
	uint64_t value;

	while (count--)
		if (read(there_fd, &value, sizeof(value)) != sizeof(value) ||
		    write(back_fd, &value, sizeof(value)) != sizeof(value))
			abort();
	return NULL;
}

static uint64_t run_eventfd(uint64_t count)
{
	const uint64_t one = 1;
	uint64_t left, value, begin_ns, took_ns;
	pthread_t thread;

	there_fd = eventfd(0, EFD_CLOEXEC);
	back_fd = eventfd(0, EFD_CLOEXEC);
	if (there_fd < 0 || back_fd < 0)
		fail("eventfd");
	errno = pthread_create(&thread, NULL, echo_events, &count);
	if (errno)
		fail("pthread_create");
	begin_ns = now_ns();
	for (left = count; left; left--)
		if (write(there_fd, &one, sizeof(one)) != sizeof(one) ||
		    read(back_fd, &value, sizeof(value)) != sizeof(value) || value != one)
			fail("eventfd");
	took_ns = now_ns() - begin_ns;
	pthread_join(thread, NULL);
	close(there_fd);
	close(back_fd);
	return took_ns;
}

static volatile sig_atomic_t caught;

static void catch(int number)
{
	(void)number;
	caught++;
}

static uint64_t run_signal(uint64_t count)
{
	struct sigaction action = { .sa_handler = catch };
	uint64_t begin_ns, took_ns;
	pid_t self = getpid();

	if (sigaction(SIGUSR1, &action, NULL))
		fail("sigaction");
	begin_ns = now_ns();
	while (count--) {
		caught = 0;
		if (kill(self, SIGUSR1) || caught != 1)
			fail("kill");
	}
	took_ns = now_ns() - begin_ns;
	signal(SIGUSR1, SIG_DFL);
	return took_ns;
}

static struct figure figures[] = {
	{ "fork-wait", run_fork },
	{ "fork-exec-wait", run_fork_exec },
	{ "fork-exec-bare-wait", run_fork_exec_bare },
	{ "vfork-exec-wait", run_vfork_exec },
	{ "spawn-static", run_spawn_static },
	{ "spawn-dynamic", run_spawn_dynamic },
	{ "thread-create-join", run_thread },
	{ "pipe-round-trip", run_pipe },
	{ "futex-round-trip", run_futex },
	{ "eventfd-round-trip", run_eventfd },
	{ "signal-handler", run_signal },
	{ "python3-pass", run_python },
	{ "shell-loop-true", run_shell_loop, LOOPS },
};

int main(void)
{
	return serve(figures, sizeof(figures) / sizeof(figures[0]));
}
