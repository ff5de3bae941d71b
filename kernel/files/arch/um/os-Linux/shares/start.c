// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting the broker of shares, waking it, and waiting for its answers: the
 * part that runs in the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <time.h>
#include <linux/futex.h>
#include <as-layout.h>
#include <init.h>
#include <inproc.h>
#include <os.h>
#include <shares.h>
#include "../inproc/raw.h"
#include "broker.h"

#define STACK_SIZE	(512 << 10)
#define SLEEP_NS	1000000L	/* then the kernel does something else */
#define TAKE_CYCLES	100000UL	/* a broker that has a processor takes a request in less */
#define WAKE_CYCLES	300000UL	/* until it runs on another processor */
#define LONG_STREAK	64
#define SHORT_HOLIDAY	32
#define LONG_HOLIDAY	4096

int shares_count;
static int broker_pid;
static unsigned int pinned;
static int pipe_fds[2];

static int __init shares_setup(char *line, int *add)
{
	*add = 0;
	shares_count = atoi(line);
	return 0;
}
__uml_setup("shares=", shares_setup,
"shares=<count>\n"
"    Directories of the host, /shares/0 and so on, that the guest may mount as\n"
"    file system hostshare: a process that has them is started.\n\n"
);

/**
 * shares_fork() - starts the broker
 * @area:		where requests lie, and as an offset in
 * @memory_fd:		the memory file
 * @kernel_memory:	the kernel's memory that is shared already: the broker
 *			has it elsewhere, not executable
 */
void __init shares_fork(struct shares_area *area, unsigned long area_offset, int memory_fd,
			unsigned long kernel_memory, unsigned long kernel_memory_end)
{
	static struct broker_start start;
	char *stack;

	start = (struct broker_start){
		.memory_fd = memory_fd,
		.memory_size = kernel_memory_end - uml_physmem,
		.area_offset = area_offset,
		.unwanted = kernel_memory,
		.unwanted_end = kernel_memory_end,
		.shares = shares_count,
	};
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
		panic("shares: failed to make room for the broker: %d\n", errno);
	start.pipe_fd = pipe_fds[1];
	broker_pid = clone(broker_main, stack + STACK_SIZE, SIGCHLD, &start);
	if (broker_pid < 0)
		panic("shares: failed to fork the broker: %d\n", errno);
	inproc_place_init();
	munmap(stack, STACK_SIZE);
	close(pipe_fds[1]);
}

/**
 * shares_interrupt_fd() - becomes readable when the broker has an answer for
 *	somebody who goes on; and at its end
 */
int shares_interrupt_fd(void)
{
	return pipe_fds[0];
}

static long futex(unsigned int *word, int operation, unsigned int value,
		  const struct timespec *timeout)
{
	return raw_syscall6(__NR_futex, (long)word, operation, value, (long)timeout, 0, 0);
}

/**
 * shares_count_up() - there is another request in @area
 *
 * A broker that sleeps does not notice.
 */
void shares_count_up(struct shares_area *area)
{
	__atomic_fetch_add(&area->asked, 1, __ATOMIC_SEQ_CST);
}

/*
 * Where the broker runs. To have it woken on another processor takes longer
 * than most of what it will do there, so it is woken on that of the kernel,
 * which then sleeps: two switches of the host. When many requests follow each
 * other, it is tried on another one, where it looks for requests, and the
 * kernel for answers, without sleeping: no switch at all. That needs a
 * processor that nobody else wants. If the broker does not take a request
 * soon, somebody else has it, and that is not tried for a while: each time
 * twice as long, unless it has been of use for longer in between.
 */
static int holiday;		/* requests until that is tried again */
static int next_holiday = SHORT_HOLIDAY;
static int useful;		/* requests that were answered that way since the last */
static int streak;		/* requests that came right after the one before */
static unsigned long last;	/* when an answer came */

static void choose_place(struct shares_area *area)
{
	area->brisk = 0;
	streak = broker_cycles() - last < BROKER_SPIN_CYCLES ? streak + 1 : 0;
	if (holiday)
		holiday--;
	else if (streak >= LONG_STREAK)
		area->brisk = inproc_place_apart(broker_pid, &pinned);
	if (!area->brisk)
		inproc_place(broker_pid, &pinned);
}

/**
 * shares_wake() - has the broker look, if it sleeps
 *
 * Returns: 1 if it slept.
 */
int shares_wake(struct shares_area *area)
{
	if (!__atomic_load_n(&area->asleep, __ATOMIC_SEQ_CST))
		return 0;
	choose_place(area);
	futex(&area->asked, FUTEX_WAKE, 1, NULL);
	return 1;
}

static int state_of(struct shares_slot *slot)
{
	return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
}

static void give_way(struct shares_area *area)
{
	if (useful > next_holiday)
		next_holiday = SHORT_HOLIDAY;
	else if (next_holiday < LONG_HOLIDAY)
		next_holiday *= 2;
	holiday = next_holiday;
	useful = 0;
	streak = 0;
	area->brisk = 0;
}

static int spin(struct shares_area *area, struct shares_slot *slot, int woken)
{
	unsigned long begin = broker_cycles(), passed = 0;
	unsigned long most = woken ? WAKE_CYCLES : TAKE_CYCLES;
	int state;

	while ((state = state_of(slot)) != SHARES_ANSWERED && passed < most) {
		if (state == SHARES_TAKEN)
			most = BROKER_SPIN_CYCLES + TAKE_CYCLES;
		__builtin_ia32_pause();
		passed = broker_cycles() - begin;
	}
	if (state == SHARES_ASKED)
		give_way(area);
	else
		useful++;
	return state == SHARES_ANSWERED;
}

static int sleep_on(struct shares_slot *slot)
{
	const struct timespec most = { .tv_nsec = SLEEP_NS };
	int state;

	__atomic_store_n(&slot->tell, SHARES_SLEEPS, __ATOMIC_SEQ_CST);
	state = __atomic_load_n(&slot->state, __ATOMIC_SEQ_CST);
	while (state != SHARES_ANSWERED) {
		if (futex((unsigned int *)&slot->state, FUTEX_WAIT, state, &most) == -ETIMEDOUT)
			break;
		state = state_of(slot);
	}
	if (state_of(slot) == SHARES_ANSWERED)
		return 1;
	__atomic_store_n(&slot->tell, SHARES_GOES_ON, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) == SHARES_ANSWERED;
}

/**
 * shares_await() - waits for an answer, but not for long
 * @woken:	the broker was asleep
 *
 * Returns: 1: it is there. 0: an interrupt will tell of it.
 */
int shares_await(struct shares_area *area, struct shares_slot *slot, int woken)
{
	int there = (area->brisk && spin(area, slot, woken)) || sleep_on(slot);

	last = broker_cycles();
	return there;
}
