// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock event device. Each host process has an interval timer of its own;
 * what counts is one deadline per virtual processor, for which the process
 * that has it arms its timer. A processor that idles needs no timer: it sleeps
 * until the deadline.
 */
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <sys/time.h>
#include <as-layout.h>
#include <kern_util.h>
#include <os.h>
#include <inproc.h>
#include "raw.h"
#include "../internal.h"

/*
 * The host ends a sleep late by up to a thousandth of its length. A sleep
 * that is longer than this is cut in two, so that the rest is short.
 */
#define LONG_SLEEP_NS	10000000LL
#define LATENESS	256
#define NSEC_PER_USEC	1000
#define USEC_PER_SEC	1000000

/* The first host process looks after the others that often: see inproc_watch() */
#define WATCH_S		10
#define SILENT_TIMES	6

#define FOREVER_NS	(3600LL * UM_NSEC_PER_SEC)

/**
 * inproc_timer_arm() - makes this host process' timer fire at the deadline
 */
void inproc_timer_arm(void)
{
	struct inproc_host *host = inproc_vcpu.running;
	long long deadline = inproc_vcpu.deadline, left, now;
	struct itimerval timer = {};

	/* A timer that fires early or for nothing does no harm. */
	if (!deadline || host->armed == deadline)
		return;
	host->armed = deadline;
	now = os_nsecs();
	inproc_place_freely(now);
	left = (deadline - now + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
	if (left < 1)
		left = 1;
	if (inproc_is_first(host))
		timer.it_interval.tv_sec = WATCH_S;
	timer.it_value.tv_sec = left / USEC_PER_SEC;
	timer.it_value.tv_usec = left % USEC_PER_SEC;
	if (raw_syscall3(__NR_setitimer, ITIMER_REAL, (long)&timer, 0))
		inproc_end("failed to set a timer");
}

/**
 * inproc_timer_program() - sets the deadline of this processor
 * @deadline:	in ns of the host's monotonic clock; 0: none
 */
void inproc_timer_program(long long deadline)
{
	inproc_vcpu.deadline = deadline;
	inproc_timer_arm();
}

/**
 * inproc_watch() - ends a kernel that does not come back
 *
 * Called every now and then in the first host process while another one has
 * the processor. Who has it neither idles, nor was in user mode, nor gave it to
 * another task since the last time: that may be a long piece of work, but not
 * for that many times.
 */
void inproc_watch(void)
{
	static unsigned long seen;
	static int silent;

	if (inproc_vcpu.idle || inproc_vcpu.progress != seen) {
		seen = inproc_vcpu.progress;
		silent = 0;
		return;
	}
	/* It may lack a processor only because it is pinned */
	inproc_unpin(inproc_vcpu.running);
	if (++silent >= SILENT_TIMES)
		inproc_end("the kernel has made no progress for a minute");
}

/**
 * inproc_idle() - sleeps until an interrupt; called with interrupts disabled
 *
 * Signals that tell of files arrive in the first host process, which passes
 * them on to the one that runs; a processor that sleeps here watches the
 * files itself. So a signal that comes right before the sleep is not missed:
 * what it tells of ends the sleep at once.
 */
void inproc_idle(void)
{
	struct pollfd files = { .fd = os_epoll_fd(), .events = POLLIN };
	struct timespec ts;
	long long left;

	inproc_place_freely(os_nsecs());
	inproc_vcpu.idle = 1;
	barrier();
	while (!inproc_vcpu.pending) {
		left = FOREVER_NS;
		if (inproc_vcpu.deadline)
			left = inproc_vcpu.deadline - os_nsecs();
		if (left <= 0) {
			os_note_signal(SIGALRM);
			break;
		}
		if (left > LONG_SLEEP_NS)
			left -= left / LATENESS;
		ts.tv_sec = left / UM_NSEC_PER_SEC;
		ts.tv_nsec = left % UM_NSEC_PER_SEC;
		if (raw_syscall6(__NR_ppoll, (long)&files, 1, (long)&ts, 0, 0, 0) > 0)
			break;
	}
	inproc_vcpu.idle = 0;
	barrier();
	/* While we were idle, nobody passed on that files are ready */
	os_note_signal(SIGIO);
}
