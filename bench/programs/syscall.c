// SPDX-License-Identifier: Apache-2.0
/* System calls one by one, through libc and by instructions of this program's own. */
#include "figures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A file of the root that all sides run from, and one that this program makes in memory. */
#define ROOT_FILE "/bench/syscall"
#define OWN_FILE "/tmp/bench-file"

static int zero_fd, null_fd, pipe_fds[2];

/* Times ``count`` evaluations of an expression; what is not true is a failure. */
#define TIMED(count, what, expression)                                                             \
	({                                                                                         \
		uint64_t begin_ns = now_ns();                                                      \
		for (uint64_t left = (count); left; left--)                                        \
			if (!(expression))                                                         \
				fail(what);                                                        \
		now_ns() - begin_ns;                                                               \
	})

/*
 * The number comes from memory, so that no instruction that loads a constant stands before the
 * system call, as one does in libc's functions.
 */
static volatile long number_getppid = SYS_getppid;
static volatile long number_read = SYS_read;
static volatile long number_write = SYS_write;

static inline long inline_call(long number, long first, long second, long third)
{
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(first), "S"(second), "d"(third)
		     : "rcx", "r11", "memory");
	return result;
}

static uint64_t run_getppid(uint64_t count)
{
	return TIMED(count, "getppid", getppid() >= 0);
}

static uint64_t run_getppid_syscall(uint64_t count)
{
	return TIMED(count, "getppid", syscall(SYS_getppid) >= 0);
}

static uint64_t run_getppid_inline(uint64_t count)
{
	return TIMED(count, "getppid", inline_call(number_getppid, 0, 0, 0) >= 0);
}

static uint64_t run_read(uint64_t count)
{
	char byte;

	return TIMED(count, "read", read(zero_fd, &byte, 1) == 1);
}

static uint64_t run_read_inline(uint64_t count)
{
	char byte;

	return TIMED(count, "read", inline_call(number_read, zero_fd, (long)&byte, 1) == 1);
}

static uint64_t run_write(uint64_t count)
{
	return TIMED(count, "write", write(null_fd, "x", 1) == 1);
}

static uint64_t run_write_inline(uint64_t count)
{
	return TIMED(count, "write", inline_call(number_write, null_fd, (long)"x", 1) == 1);
}

static int open_close(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && !close(fd);
}

static uint64_t run_open(uint64_t count)
{
	return TIMED(count, "open", open_close(OWN_FILE));
}

static uint64_t run_open_root(uint64_t count)
{
	return TIMED(count, "open", open_close(ROOT_FILE));
}

static uint64_t run_stat(uint64_t count)
{
	struct stat status;

	return TIMED(count, "stat", !stat(OWN_FILE, &status));
}

static uint64_t run_stat_root(uint64_t count)
{
	struct stat status;

	return TIMED(count, "stat", !stat(ROOT_FILE, &status));
}

static uint64_t run_stat_missing(uint64_t count)
{
	struct stat status;

	return TIMED(count, "stat", stat("/bench/missing", &status) && errno == ENOENT);
}

static uint64_t run_pipe(uint64_t count)
{
	char byte;

	return TIMED(count, "pipe",
		     write(pipe_fds[1], "x", 1) == 1 && read(pipe_fds[0], &byte, 1) == 1);
}

static uint64_t run_clock(uint64_t count)
{
	struct timespec now;

	return TIMED(count, "clock_gettime", !clock_gettime(CLOCK_MONOTONIC, &now));
}

static uint64_t run_clock_syscall(uint64_t count)
{
	struct timespec now;

	return TIMED(count, "clock_gettime",
		     !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
}

static uint64_t run_time_of_day(uint64_t count)
{
	struct timeval now;

	return TIMED(count, "gettimeofday", !gettimeofday(&now, NULL));
}

static struct figure figures[] = {
	{ "getppid", run_getppid },
	{ "getppid-syscall", run_getppid_syscall },
	{ "getppid-inline", run_getppid_inline },
	{ "read", run_read },
	{ "read-inline", run_read_inline },
	{ "write", run_write },
	{ "write-inline", run_write_inline },
	{ "open-close", run_open },
	{ "open-close-root", run_open_root },
	{ "stat", run_stat },
	{ "stat-root", run_stat_root },
	{ "stat-missing", run_stat_missing },
	{ "pipe-write-read", run_pipe },
	{ "clock_gettime", run_clock },
	{ "clock_gettime-syscall", run_clock_syscall },
	{ "gettimeofday", run_time_of_day },
};

int main(void)
{
	int status;

	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (zero_fd < 0 || null_fd < 0 || pipe2(pipe_fds, O_CLOEXEC))
		return EXIT_FAILURE;
	unlink(OWN_FILE);
	if (close(open(OWN_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)))
		return EXIT_FAILURE;
	status = serve(figures, sizeof(figures) / sizeof(figures[0]));
	unlink(OWN_FILE);
	return status;
}
