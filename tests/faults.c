// SPDX-License-Identifier: Apache-2.0
/*
 * Preloaded into a program: counts its moments, which are the calls by which it
 * changes files or talks to others, and makes something happen at one of them.
 *
 * FAULT: "kill N": the program is killed, just before its N-th moment.
 *        "child N": so is what it has forked, at a moment of its own.
 *        "full N": from the N-th call that takes space on, the disk is full.
 *        With N = 0, nothing happens.
 * FAULT_COUNT: a file whose first eight bytes count, for whoever wants to know.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

enum what { KILL, CHILD, FULL };

static unsigned long *count, at;
static enum what what;
static pid_t first;

__attribute__((constructor)) static void begin(void)
{
	const char *fault = getenv("FAULT"), *path = getenv("FAULT_COUNT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	char word[8] = "";
	void *place;

	if (fd < 0 || !fault || sscanf(fault, "%7s %lu", word, &at) != 2)
		return;
	place = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (place == MAP_FAILED)
		return;
	what = !strcmp(word, "full") ? FULL : !strcmp(word, "child") ? CHILD : KILL;
	first = getpid();
	/* Programs that it executes are left alone. */
	unsetenv("LD_PRELOAD");
	unsetenv("FAULT");
	unsetenv("FAULT_COUNT");
	count = place;
}

/* Returns nonzero, and errno, where the call must fail. */
static int moment(int takes_space)
{
	unsigned long now;

	if (!count || (what == FULL ? !takes_space : (what == KILL) != (getpid() == first)))
		return 0;
	now = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	if (!at || now < at)
		return 0;
	if (what != FULL) {
		kill(getpid(), SIGKILL);
		/* Process 1 of a namespace cannot kill itself. */
		syscall(SYS_exit_group, 128 + SIGKILL);
	}
	errno = ENOSPC;
	return 1;
}

/* Of a disk, not of the kernel */
static int is_file(int fd)
{
	struct statfs system;
	struct stat st;

	return fd > 2 && !fstat(fd, &st) && S_ISREG(st.st_mode) && !fstatfs(fd, &system) &&
	       system.f_type != PROC_SUPER_MAGIC && system.f_type != CGROUP_SUPER_MAGIC &&
	       system.f_type != CGROUP2_SUPER_MAGIC;
}

/* Output is no moment: pipes of whoever started the program. */
static int is_output(int fd)
{
	return fd == 1 || fd == 2;
}

static int is_new(int fd, const char *path, int flags)
{
	struct stat st;

	return flags & O_CREAT && fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW);
}

static int changes(int flags)
{
	return flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR);
}

#define OPEN(name, before, pass, directory)						\
int name(before const char *path, int flags, ...)					\
{											\
	va_list list;									\
	mode_t mode;									\
											\
	va_start(list, flags);								\
	mode = va_arg(list, mode_t);							\
	va_end(list);									\
	if (changes(flags) && moment(is_new(directory, path, flags)))			\
		return -1;								\
	return ((int (*)(before const char *, int, ...))dlsym(RTLD_NEXT, #name))	\
		(pass path, flags, mode);						\
}

#define COMMA ,
#define CALL(type, name, takes_space, parameters, arguments)				\
type name parameters									\
{											\
	if (moment(takes_space))							\
		return -1;								\
	return ((type (*) parameters)dlsym(RTLD_NEXT, #name)) arguments;		\
}

/* What is written, or sent */
#define DATA(type, name, parameters, arguments)						\
type name parameters									\
{											\
	if (!is_output(fd) && moment(is_file(fd)))					\
		return -1;								\
	return ((type (*) parameters)dlsym(RTLD_NEXT, #name)) arguments;		\
}

OPEN(open, , , AT_FDCWD)
OPEN(open64, , , AT_FDCWD)
OPEN(openat, int fd COMMA, fd COMMA, fd)
OPEN(openat64, int fd COMMA, fd COMMA, fd)
DATA(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
DATA(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t where),
     (fd, data, size, where))
DATA(ssize_t, pwrite64, (int fd, const void *data, size_t size, off_t where),
     (fd, data, size, where))
DATA(ssize_t, writev, (int fd, const struct iovec *data, int parts), (fd, data, parts))
DATA(ssize_t, pwritev, (int fd, const struct iovec *data, int parts, off_t where),
     (fd, data, parts, where))
DATA(ssize_t, pwritev64, (int fd, const struct iovec *data, int parts, off_t where),
     (fd, data, parts, where))
DATA(ssize_t, sendfile, (int fd, int from, off_t *where, size_t size), (fd, from, where, size))
DATA(ssize_t, sendfile64, (int fd, int from, off_t *where, size_t size), (fd, from, where, size))
DATA(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
DATA(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
CALL(ssize_t, copy_file_range, 1,
     (int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned int flags),
     (from, from_at, to, to_at, size, flags))
CALL(int, ftruncate, 0, (int fd, off_t size), (fd, size))
CALL(int, ftruncate64, 0, (int fd, off_t size), (fd, size))
CALL(int, fallocate, 1, (int fd, int mode, off_t from, off_t size), (fd, mode, from, size))
CALL(int, fdatasync, 0, (int fd), (fd))
CALL(int, mkdir, 1, (const char *path, mode_t mode), (path, mode))
CALL(int, mkdirat, 1, (int fd, const char *path, mode_t mode), (fd, path, mode))
CALL(int, rmdir, 0, (const char *path), (path))
CALL(int, symlink, 1, (const char *target, const char *path), (target, path))
CALL(int, symlinkat, 1, (const char *target, int fd, const char *path), (target, fd, path))
CALL(int, link, 1, (const char *old, const char *path), (old, path))
CALL(int, unlink, 0, (const char *path), (path))
CALL(int, unlinkat, 0, (int fd, const char *path, int flags), (fd, path, flags))
CALL(int, rename, 0, (const char *old, const char *path), (old, path))
CALL(int, renameat, 0, (int from, const char *old, int fd, const char *path),
     (from, old, fd, path))
CALL(int, flock, 0, (int fd, int operation), (fd, operation))
CALL(int, bind, 1, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
CALL(int, connect, 0, (int fd, const struct sockaddr *address, socklen_t size),
     (fd, address, size))
CALL(int, mount, 0,
     (const char *source, const char *target, const char *type, unsigned long flags,
      const void *data), (source, target, type, flags, data))
CALL(int, execve, 0, (const char *path, char *const argv[], char *const env[]),
     (path, argv, env))

pid_t fork(void)
{
	pid_t pid = moment(0) ? -1 : ((pid_t (*)(void))dlsym(RTLD_NEXT, "fork"))();

	if (pid > 0)
		moment(0);
	return pid;
}
