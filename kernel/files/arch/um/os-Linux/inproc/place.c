// SPDX-License-Identifier: GPL-2.0-only
/*
 * On which processor of the host the host processes run. Of those that share
 * a virtual processor only one runs at a time, and hands over: to have the
 * next one woken on another processor takes longer than most of what it will
 * do. So who hands over pins the next one to the processor that it is on
 * itself. Who runs is let go again every now and then, so that the host may
 * move it, and with it, at the next hand-over, all others.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <asm/unistd.h>
#include <init.h>
#include <kern_util.h>
#include <os.h>
#include <inproc.h>
#include "raw.h"

#define CPUNODE_SELECTOR	0x7b	/* its limit is the number of the processor, and of its node */
#define CPU_MASK		0xfff
#define MOST_CPUS		1024
#define WORD_BITS		(8 * sizeof(unsigned long))
#define FREE_NS			50000000LL

static unsigned long allowed[MOST_CPUS / WORD_BITS];
static int has_choice;

static unsigned int current_cpu(void)
{
	unsigned int limit;

	asm volatile("lsl %1, %0" : "=r" (limit) : "r" (CPUNODE_SELECTOR));
	return limit & CPU_MASK;
}

/**
 * inproc_place_init() - learns which processors there are
 */
void __init inproc_place_init(void)
{
	unsigned int i, count = 0;
	long size = raw_syscall3(__NR_sched_getaffinity, 0, sizeof(allowed), (long)allowed);

	for (i = 0; size > 0 && i < ARRAY_SIZE(allowed); i++)
		count += __builtin_popcountl(allowed[i]);
	has_choice = count > 1;
}

/**
 * inproc_place() - has a process run, or wake up, on this processor
 * @pid:	the process
 * @pinned:	1 + the processor that it is pinned to; 0: none
 */
void inproc_place(int pid, unsigned int *pinned)
{
	unsigned long mask[ARRAY_SIZE(allowed)];
	unsigned int cpu = current_cpu();

	if (!has_choice || *pinned == cpu + 1 || cpu >= MOST_CPUS)
		return;
	memset(mask, 0, sizeof(mask));
	mask[cpu / WORD_BITS] = 1UL << cpu % WORD_BITS;
	raw_syscall3(__NR_sched_setaffinity, pid, sizeof(mask), (long)mask);
	*pinned = cpu + 1;
}

/**
 * inproc_place_apart() - has a process run on another processor than this
 *
 * Returns: 0 if there is no other.
 */
int inproc_place_apart(int pid, unsigned int *pinned)
{
	unsigned long mask[ARRAY_SIZE(allowed)];
	unsigned int cpu = current_cpu();

	if (!has_choice || cpu >= MOST_CPUS)
		return 0;
	memcpy(mask, allowed, sizeof(mask));
	mask[cpu / WORD_BITS] &= ~(1UL << cpu % WORD_BITS);
	raw_syscall3(__NR_sched_setaffinity, pid, sizeof(mask), (long)mask);
	*pinned = 0;
	return 1;
}

/**
 * inproc_unpin() - lets a process run where the host wants
 */
void inproc_unpin(struct inproc_host *host)
{
	if (!has_choice)
		return;
	raw_syscall3(__NR_sched_setaffinity, host->pid, sizeof(allowed), (long)allowed);
	host->pinned = 0;
}

/**
 * inproc_place_freely() - lets the host move the process that runs
 * @now:	host's monotonic clock, ns
 */
void inproc_place_freely(long long now)
{
	struct inproc_host *host = inproc_vcpu.running;

	if (!host->pinned || now < inproc_vcpu.next_free)
		return;
	inproc_vcpu.next_free = now + FREE_NS;
	inproc_unpin(host);
}
