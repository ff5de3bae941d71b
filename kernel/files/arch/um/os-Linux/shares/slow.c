// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may take long, such as a sync, is done by threads beside the broker, so
 * that nobody else waits for it. They have its memory and its descriptors, and
 * also the C library's errno: their calls are raw.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include "../inproc/raw.h"
#include "broker.h"

#define THREADS		2
#define STACK_SIZE	16384

/*
 * A call that is to be made.
 *
 * @slot: where the request is answered
 */
struct job {
	struct shares_slot *slot;
	struct slow_call call;
};

static struct job jobs[SHARES_SLOTS];	/* as many as there are requests */
static unsigned int wanted, taken;	/* jobs, counted; the first is a futex */

static void work_off(struct job *job)
{
	struct fuse_write_out out = { 0 };
	long *a = job->call.arguments;
	int copies = job->call.number == __NR_copy_file_range;
	long result;

	if (copies)
		result = raw_syscall6(__NR_copy_file_range, a[0], (long)&a[1], a[2], (long)&a[3],
				      a[4], 0);
	else
		result = raw_syscall4(job->call.number, a[0], a[1], a[2], a[3]);
	if (result < 0 || !copies) {
		broker_finish(job->slot, result, 0);
		return;
	}
	out.size = result;
	memcpy(job->slot->data, &out, sizeof(out));
	broker_finish(job->slot, 0, sizeof(out));
}

static int __attribute__((noreturn)) run(void *unused)
{
	struct job job;
	unsigned int mine;

	for (;;) {
		mine = __atomic_load_n(&taken, __ATOMIC_ACQUIRE);
		if (mine == __atomic_load_n(&wanted, __ATOMIC_ACQUIRE)) {
			raw_syscall6(__NR_futex, (long)&wanted, FUTEX_WAIT_PRIVATE, mine, 0, 0, 0);
			continue;
		}
		/* Before others can know of it, as its place is used again then */
		job = jobs[mine % SHARES_SLOTS];
		if (__atomic_compare_exchange_n(&taken, &mine, mine + 1, 0, __ATOMIC_SEQ_CST,
						__ATOMIC_ACQUIRE))
			work_off(&job);
	}
}

/**
 * slow() - has a call made, and the request answered with what comes of it
 *
 * Returns: what tells that the answer comes later, or an error number.
 */
int slow(struct request *request, const struct slow_call *call)
{
	if (call->number == __NR_copy_file_range &&
	    request->out_room < sizeof(struct fuse_write_out))
		return -EINVAL;
	/* The guest could use one slot for several */
	if (wanted - __atomic_load_n(&taken, __ATOMIC_ACQUIRE) >= SHARES_SLOTS)
		return -EBUSY;
	jobs[wanted % SHARES_SLOTS] = (struct job){ request->slot, *call };
	__atomic_fetch_add(&wanted, 1, __ATOMIC_SEQ_CST);
	raw_syscall6(__NR_futex, (long)&wanted, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
	return BROKER_LATER;
}

/**
 * slow_init() - starts the threads
 *
 * Returns: 0, or -1 and errno.
 */
int slow_init(void)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM;
	char *stacks = mmap(NULL, THREADS * STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	if (stacks == MAP_FAILED)
		return -1;
	for (i = 1; i <= THREADS; i++)
		if (clone(run, stacks + i * STACK_SIZE, flags, NULL) < 0)
			return -1;
	return 0;
}
