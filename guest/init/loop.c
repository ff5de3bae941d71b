// SPDX-License-Identifier: Apache-2.0
/* The event loop: epoll and a short list of timers. */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BATCH	32

static int epoll_fd = -1;
static struct timer *timers;

void loop_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t))
{
	source->fd = fd;
	source->events = 0;
	source->ready = ready;
}

int source_watch(struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };
	int op = EPOLL_CTL_MOD;

	if (source->fd < 0 || source->events == events)
		return 0;
	if (!source->events)
		op = EPOLL_CTL_ADD;
	else if (!events)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(epoll_fd, op, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

void source_close(struct source *source)
{
	if (source->fd < 0)
		return;
	/* A fork under way may still hold the description: leave epoll by name. */
	source_watch(source, 0);
	close(source->fd);
	source->fd = -1;
	source->events = 0;
}

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void timer_start(struct timer *timer, int64_t due_ms, void (*expired)(struct timer *))
{
	timer_stop(timer);
	timer->due_ms = due_ms;
	timer->expired = expired;
	timer->armed = true;
	timer->next = timers;
	timers = timer;
}

void timer_stop(struct timer *timer)
{
	struct timer **link;

	if (!timer->armed)
		return;
	for (link = &timers; *link; link = &(*link)->next) {
		if (*link == timer) {
			*link = timer->next;
			break;
		}
	}
	timer->armed = false;
}

static struct timer *timer_first(void)
{
	struct timer *first = timers;
	struct timer *timer;

	for (timer = timers; timer; timer = timer->next)
		if (timer->due_ms < first->due_ms)
			first = timer;
	return first;
}

static int time_left(void)
{
	struct timer *first = timer_first();
	int64_t left;

	if (!first)
		return -1;
	left = first->due_ms - clock_ms();
	if (left < 0)
		return 0;
	return left > 3600000 ? 3600000 : (int)left;
}

static void run_timers(void)
{
	struct timer *timer;

	if (!timers)
		return;
	while ((timer = timer_first()) && timer->due_ms <= clock_ms()) {
		timer_stop(timer);
		timer->expired(timer);
	}
}

_Noreturn void loop_run(void (*sweep)(void))
{
	struct epoll_event events[BATCH];

	for (;;) {
		int count = epoll_wait(epoll_fd, events, BATCH, time_left());

		for (int i = 0; i < count; i++) {
			struct source *source = events[i].data.ptr;

			/* An earlier event of this turn may have closed it. */
			if (source->fd >= 0)
				source->ready(source, events[i].events);
		}
		run_timers();
		sweep();
	}
}
