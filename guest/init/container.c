// SPDX-License-Identifier: Apache-2.0
/* The container as a whole: its control socket, its main process, its end. */
#define _GNU_SOURCE
#include "container.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "health.h"
#include "log.h"
#include "loop.h"
#include "machine.h"
#include "process.h"
#include "restart.h"
#include "session.h"

/* An ending container waits this long for a host that takes no bytes. */
#define STALL_MS	30000
#define STALL_STOP_MS	5000
#define TICK_MS		500

struct container container;

static struct source control;
static int status_fd = -1;
static struct timer grace;
static struct timer tick;
static int64_t progress_ms;
static bool stopping;

static void accept_sessions(struct source *source, uint32_t events)
{
	(void)events;
	while (session_count() < SESSIONS_MAX) {
		int fd = machine_accept(source->fd);

		if (fd < 0)
			return;
		session_accept(fd);
	}
	source_watch(source, 0);
}

void container_init(void)
{
	status_fd = machine_open(DRUPE_HOST_STATUS);
	log_open(machine_open(DRUPE_HOST_LOG));
	source_init(&control, machine_open(DRUPE_HOST_CONTROL), accept_sessions);
	if (control.fd < 0 || source_watch(&control, EPOLLIN) < 0)
		machine_power_off();
}

void container_status(const char *line)
{
	if (status_fd >= 0)
		(void)!write(status_fd, line, strlen(line));
}

void container_running(void)
{
	char line[1024];

	snprintf(line, sizeof(line), "running %u%s\n", restart_count(), health_text());
	container_status(line);
}

void container_status_end(const char *word, int status)
{
	struct timespec now;
	char line[128];

	clock_gettime(CLOCK_REALTIME, &now);
	if (container.held)
		machine_exit_status(WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							: WEXITSTATUS(status));
	snprintf(line, sizeof(line), "%s %d %d %lld.%09ld %u\n", word,
		 WIFEXITED(status) ? WEXITSTATUS(status) : 0,
		 WIFSIGNALED(status) ? WTERMSIG(status) : 0, (long long)now.tv_sec, now.tv_nsec,
		 restart_count());
	container_status(line);
}

void container_progress(void)
{
	if (container.ending)
		progress_ms = clock_ms();
}

void container_first_gone(void)
{
	container.first_gone = true;
}

static void end_main(struct timer *timer)
{
	(void)timer;
	if (container.main)
		process_signal(container.main, SIGKILL);
}

void container_stop(int signal, uint32_t grace_ms)
{
	int64_t due = clock_ms() + grace_ms;

	stopping = true;
	restart_never();
	if (!container.main) {
		container_end();
		return;
	}
	process_signal(container.main, signal);
	if (!grace.armed || due < grace.due_ms)
		timer_start(&grace, due, end_main);
}

static void look_for_stall(struct timer *timer)
{
	int64_t limit = stopping ? STALL_STOP_MS : STALL_MS;

	if (clock_ms() - progress_ms >= limit) {
		if (container.main && container.main->reaped)
			container_status_end("exited", container.main->status);
		session_finish_stops();
		machine_power_off();
	}
	timer_start(timer, clock_ms() + TICK_MS, look_for_stall);
}

void container_end(void)
{
	int last;

	if (container.ending)
		return;
	container.ending = true;
	health_end();
	if (restart_waiting(&last))
		container_status_end("exited", last);
	timer_stop(&grace);
	progress_ms = clock_ms();
	machine_signal_all(SIGKILL);
	timer_start(&tick, clock_ms() + TICK_MS, look_for_stall);
}

void container_sweep(void)
{
	bool processes;
	bool pending;

	session_resume();
	processes = process_sweep();
	session_sweep();
	if (control.fd >= 0 && session_count() < SESSIONS_MAX)
		source_watch(&control, EPOLLIN);
	/* Nobody is left who could start the main process, or it shall not be. */
	if (!container.main && (stopping || (container.first_gone && !container.main_ever)))
		container_end();
	if (!container.ending || processes)
		return;
	session_finish_stops();
	pending = session_sweep();
	if (!pending)
		machine_power_off();
}
