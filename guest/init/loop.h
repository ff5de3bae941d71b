/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: readiness of descriptors, timers, one sweep after each turn. */
#ifndef INIT_LOOP_H
#define INIT_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

struct source {
	int fd;			/* -1: closed */
	uint32_t events;	/* EPOLL*; 0: not watched at all, not even for EPOLLHUP */
	void (*ready)(struct source *source, uint32_t events);
};

struct timer {
	struct timer *next;
	int64_t due_ms;		/* CLOCK_MONOTONIC */
	bool armed;
	void (*expired)(struct timer *timer);
};

void loop_init(void);
/* Runs for ever; @sweep is called after each turn: the place to free things. */
_Noreturn void loop_run(void (*sweep)(void));

void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t));
int source_watch(struct source *source, uint32_t events);	/* 0 or -errno */
void source_close(struct source *source);

int64_t clock_ms(void);
void timer_start(struct timer *timer, int64_t due_ms, void (*expired)(struct timer *));
void timer_stop(struct timer *timer);

#endif
