/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all test programs share: cases by name, checks that say what failed.
 *
 * "program" lists its cases, "program CASE" runs one: exit status 0 passed, 1 failed,
 * 77 cannot be tried here. A case is a process of its own and may do with it what it likes.
 */
#ifndef CONFORMANCE_CHECK_H
#define CONFORMANCE_CHECK_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

static struct test_case *test_cases;

/* Defines a case and puts it on the list. */
#define CASE(id)							\
	static void id(void);						\
	static struct test_case case_##id = { #id, id, NULL };		\
	__attribute__((constructor)) static void add_##id(void)		\
	{								\
		case_##id.next = test_cases;				\
		test_cases = &case_##id;				\
	}								\
	static void id(void)

__attribute__((noreturn, format(printf, 1, 2), unused))
static void fail(const char *format, ...)
{
	char text[512];
	int length;
	va_list list;

	va_start(list, format);
	length = vsnprintf(text, sizeof(text) - 1, format, list);
	va_end(list);
	if (length > (int)sizeof(text) - 2)
		length = sizeof(text) - 2;
	text[length++] = '\n';
	/* One write: safe in signal handlers, and whole between processes. */
	if (write(STDERR_FILENO, text, length) < 0)
		_exit(2);
	_exit(1);
}

#define CHECK(condition)						\
	do {								\
		if (!(condition))					\
			fail("%s:%d: %s: errno %d", __FILE__, __LINE__,	\
			     #condition, errno);			\
	} while (0)

/* Two integers that must be the same; both are shown where they differ. */
#define CHECK_EQ(left, right)						\
	do {								\
		long long left_ = (long long)(left);			\
		long long right_ = (long long)(right);			\
									\
		if (left_ != right_)					\
			fail("%s:%d: %s is %#llx, %s is %#llx: errno %d", \
			     __FILE__, __LINE__, #left, left_, #right,	\
			     right_, errno);				\
	} while (0)

#define SKIP(why)							\
	do {								\
		fprintf(stderr, "skipped: %s\n", why);			\
		exit(SKIPPED);						\
	} while (0)

/* How often: the default, or what CONFORMANCE_<NAME> says. */
__attribute__((unused))
static long count_of(const char *name, long otherwise)
{
	char variable[64];
	const char *value;

	snprintf(variable, sizeof(variable), "CONFORMANCE_%s", name);
	value = getenv(variable);
	return value ? atol(value) : otherwise;
}

__attribute__((unused))
static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

__attribute__((unused))
static void sleep_ms(long ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

__attribute__((unused))
static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO | flags;
	CHECK(!sigaction(number, &action, NULL));
}

/* Waits for a child that must have passed its checks. */
__attribute__((unused))
static void join_child(pid_t child)
{
	int status;
	pid_t found;

	CHECK(child > 0);
	do {
		found = waitpid(child, &status, 0);
	} while (found < 0 && errno == EINTR);
	CHECK_EQ(found, child);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail("child %d: status %#x", child, status);
}

/* Waits for a child that a signal must have killed. */
__attribute__((unused))
static void join_killed(pid_t child, int number)
{
	int status;

	CHECK(child > 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), number);
}

int main(int count, char **arguments)
{
	struct test_case *each;

	for (each = test_cases; each; each = each->next) {
		if (count < 2) {
			puts(each->name);
		} else if (!strcmp(arguments[1], each->name)) {
			alarm(0);
			each->run();
			return 0;
		}
	}
	if (count >= 2)
		fail("no case '%s'", arguments[1]);
	return 0;
}

#endif
