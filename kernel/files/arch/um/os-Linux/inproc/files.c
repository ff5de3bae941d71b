// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of the host, for hostfs. Their calls are not on the kernel's list: a
 * filter turns each into a signal, and the handler asks the broker, a process
 * that has none of its memory where the guest could reach it, to make it.
 *
 * Nothing here may be called by two at once: there is one request, and who
 * waits for its answer keeps the processor.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <asm/unistd.h>
#include <linux/futex.h>
#include <as-layout.h>
#include <mem_user.h>
#include <inproc.h>
#include "files.h"
#include "raw.h"

struct files_request files_request;

#define N	FILES_INT
#define F	FILES_FD_ARG
#define P	FILES_PATH
#define R	FILES_SOURCE
#define W	FILES_SINK

static const struct files_call calls[] = {
	{ __NR_openat, 0, 4, 1, { F, P, N, N } },
	{ __NR_close, 0, 1, 0, { F } },
	{ __NR_dup2, 0, 2, 1, { F, F } },
	{ __NR_statx, sizeof(struct statx), 5, 0, { F, P, N, N, FILES_OUT } },
	{ __NR_newfstatat, sizeof(struct stat), 4, 0, { F, P, FILES_OUT, N } },
	{ __NR_statfs, sizeof(struct statfs), 2, 0, { P, FILES_OUT } },
	{ __NR_access, 0, 2, 0, { P, N } },
	{ __NR_readlink, 0, 3, 0, { P, W, N } },
	{ __NR_getdents64, 0, 3, 0, { F, W, N } },
	{ __NR_lseek, 0, 3, 0, { F, N, N } },
	{ __NR_pread64, 0, 4, 0, { F, W, N, N } },
	{ __NR_pwrite64, 0, 4, 0, { F, R, N, N } },
	{ __NR_fsync, 0, 1, 0, { F } },
	{ __NR_fdatasync, 0, 1, 0, { F } },
	{ __NR_ftruncate, 0, 2, 0, { F, N } },
	{ __NR_truncate, 0, 2, 0, { P, N } },
	{ __NR_mkdir, 0, 2, 0, { P, N } },
	{ __NR_rmdir, 0, 1, 0, { P } },
	{ __NR_unlink, 0, 1, 0, { P } },
	{ __NR_link, 0, 2, 0, { P, P } },
	{ __NR_symlink, 0, 2, 0, { P, P } },
	{ __NR_rename, 0, 2, 0, { P, P } },
	{ __NR_renameat2, 0, 5, 0, { F, P, F, P, N } },
	{ __NR_mknodat, 0, 4, 0, { F, P, N, N } },
	{ __NR_chmod, 0, 2, 0, { P, N } },
	{ __NR_fchmod, 0, 2, 0, { F, N } },
	{ __NR_chown, 0, 3, 0, { P, N, N } },
	{ __NR_fchown, 0, 3, 0, { F, N, N } },
	{ __NR_utimes, 2 * sizeof(struct timeval), 2, 0, { P, FILES_IN } },
	{ __NR_utimensat, 2 * sizeof(struct timespec), 4, 0, { F, P, FILES_IN, N } },
};

const struct files_call *files_calls(int *count)
{
	*count = ARRAY_SIZE(calls);
	return calls;
}

const struct files_call *files_find(int nr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

static long offset_of(const void *at)
{
	return (unsigned long)at - uml_physmem;
}

/* Is in one piece in the memory file? The C library's larger buffers are not. */
static int is_linear(const void *at)
{
	return (unsigned long)offset_of(at) < physmem_size;
}

/* An argument as the request has it; or a negative error number in @err */
static long put_argument(const struct files_call *call, int i, const long *args, int *paths,
			 int *err)
{
	const char *path = (const char *)args[i];
	size_t len;

	switch (call->kinds[i]) {
	case FILES_FD_ARG:
		if ((int)args[i] < 0)	/* AT_FDCWD, or nothing where the path is absolute */
			return (int)args[i];
		if (!(args[i] & FILES_FD))
			*err = -EBADF;
		return args[i] & ~FILES_FD;
	case FILES_PATH:
		if (!path)
			return -1;
		len = strnlen(path, PATH_MAX);
		if (len == PATH_MAX) {
			*err = -ENAMETOOLONG;
			return -1;
		}
		memcpy(files_request.paths[*paths], path, len + 1);
		return (*paths)++;
	case FILES_IN:
		if (!path)
			return -1;
		memcpy(files_request.data, path, call->size);
		return 0;
	case FILES_SOURCE:
		return offset_of(path);
	case FILES_SINK:
		return offset_of(is_linear(path) ? path : files_request.sink);
	case FILES_OUT:
	case FILES_INT:
		break;
	}
	return args[i];
}

static void ask(void)
{
	static unsigned int pinned;
	int *state = &files_request.state;

	/* A question and its answer, on one processor of the host */
	inproc_place(inproc_vcpu.running->pid, &inproc_vcpu.running->pinned);
	inproc_place(inproc_broker_pid, &pinned);
	__atomic_store_n(state, FILES_ASKED, __ATOMIC_RELEASE);
	raw_syscall3(__NR_futex, (long)state, FUTEX_WAKE, 1);
	while (__atomic_load_n(state, __ATOMIC_ACQUIRE) == FILES_ASKED)
		raw_syscall4(__NR_futex, (long)state, FUTEX_WAIT, FILES_ASKED, 0);
}

/**
 * inproc_files_asked() - is the broker at work?
 */
int inproc_files_asked(void)
{
	return __atomic_load_n(&files_request.state, __ATOMIC_RELAXED) == FILES_ASKED;
}

/**
 * inproc_file_call() - a system call that the filter kept the kernel from
 * @nr:		its number
 * @args:	all six
 * @result:	what it returns to its caller
 *
 * Returns: 1, or 0 if it is none that the broker makes.
 */
int inproc_file_call(int nr, const long *args, long *result)
{
	const struct files_call *call = files_find(nr);
	int i, paths = 0, err = 0;

	if (!call || !inproc_has_files)
		return 0;
	files_request.nr = nr;
	for (i = 0; i < call->count; i++)
		files_request.args[i] = put_argument(call, i, args, &paths, &err);
	for (i = 0; i < call->count; i++)
		if (call->kinds[i] == FILES_SINK && !is_linear((void *)args[i]) &&
		    files_request.args[i + 1] > FILES_SINK_SIZE)
			files_request.args[i + 1] = FILES_SINK_SIZE;
	if (err) {
		*result = err;
		return 1;
	}
	ask();
	*result = files_request.result;
	if (*result < 0)
		return 1;
	for (i = 0; i < call->count; i++) {
		if (call->kinds[i] == FILES_OUT)
			memcpy((void *)args[i], files_request.data, call->size);
		else if (call->kinds[i] == FILES_SINK && !is_linear((void *)args[i]))
			memcpy((void *)args[i], files_request.sink, *result);
	}
	if (call->opens)
		*result |= FILES_FD;
	return 1;
}
