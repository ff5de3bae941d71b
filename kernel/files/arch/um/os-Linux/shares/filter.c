// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host system calls of the broker of shares. Whoever started the kernel
 * has filtered what it needs to boot; this filter is added to that one.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include "broker.h"

static const int calls[] = {
	__NR_futex, __NR_write, __NR_close, __NR_exit_group, __NR_restart_syscall,
	__NR_openat, __NR_fchdir, __NR_statx, __NR_newfstatat, __NR_fstat, __NR_statfs,
	__NR_lgetxattr, __NR_lsetxattr, __NR_llistxattr, __NR_lremovexattr,
	__NR_fgetxattr, __NR_fsetxattr,
	__NR_mkdirat, __NR_unlinkat, __NR_renameat2, __NR_linkat, __NR_symlinkat,
	__NR_readlinkat, __NR_fchmod, __NR_utimensat, __NR_ftruncate,
	__NR_preadv, __NR_pwritev, __NR_fsync, __NR_fdatasync, __NR_fallocate, __NR_lseek,
	__NR_copy_file_range, __NR_getdents64, __NR_flock,
};

static const int lock_commands[] = { F_OFD_SETLK, F_OFD_GETLK };	/* of fcntl() */

#define LENGTH	(ARRAY_SIZE(calls) + ARRAY_SIZE(lock_commands) + 7)
#define KILL	(LENGTH - 2)
#define ALLOW	(LENGTH - 1)

static struct sock_filter load(unsigned int offset)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}

/* At @at: is what was loaded @value? Goes on at instruction @yes, or @no. */
static struct sock_filter is(unsigned int at, unsigned int value, unsigned int yes,
			     unsigned int no)
{
	return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes - at - 1,
					    no - at - 1);
}

/**
 * broker_filter() - from here on, only calls on files, by any thread
 *
 * Returns: 0, or -1 and errno.
 */
int broker_filter(void)
{
	struct sock_filter code[LENGTH];
	struct sock_fprog program = { .filter = code, .len = LENGTH };
	unsigned int i, at = 0;

	code[at++] = load(offsetof(struct seccomp_data, arch));
	code[at] = is(at, AUDIT_ARCH_X86_64, at + 1, KILL);
	code[++at] = load(offsetof(struct seccomp_data, nr));
	for (i = 0, at++; i < ARRAY_SIZE(calls); i++, at++)
		code[at] = is(at, calls[i], ALLOW, at + 1);
	code[at] = is(at, __NR_fcntl, at + 1, KILL);
	code[++at] = load(offsetof(struct seccomp_data, args[1]));
	for (i = 0, at++; i < ARRAY_SIZE(lock_commands); i++, at++)
		code[at] = is(at, lock_commands[i], ALLOW, at + 1);
	code[KILL] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[ALLOW] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}
