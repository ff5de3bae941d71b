// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock event device. Timers of the host belong to one host process, so
 * each has one of its own; what counts is one deadline per virtual processor,
 * for which the process that has it arms its timer. A processor that idles
 * needs no timer: it sleeps until the deadline.
 */
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
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
#define FOREVER_NS	(3600LL * UM_NSEC_PER_SEC)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/**
 * inproc_timer_create() - the timer of the host process that runs this
 */
void inproc_timer_create(struct inproc_host *host)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
		.sigev_notify_thread_id = host->pid,
	};

	if (raw_syscall3(__NR_timer_create, CLOCK_MONOTONIC, (long)&event, (long)&host->timer))
		inproc_end("failed to create a timer");
}

/**
 * inproc_timer_arm() - makes this host process' timer fire at the deadline
 */
void inproc_timer_arm(void)
{
	struct inproc_host *host = inproc_vcpu.running;
	long long deadline = inproc_vcpu.deadline;
	struct itimerspec its = {
		.it_value.tv_sec = deadline / UM_NSEC_PER_SEC,
		.it_value.tv_nsec = deadline % UM_NSEC_PER_SEC,
	};

	/* A timer that fires early or for nothing does no harm. */
	if (!deadline || host->armed == deadline)
		return;
	host->armed = deadline;
	if (raw_syscall4(__NR_timer_settime, host->timer, TIMER_ABSTIME, (long)&its, 0))
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
