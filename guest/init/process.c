// SPDX-License-Identifier: Apache-2.0
/* The processes that sessions started: their life after the fork. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "container.h"
#include "flow.h"
#include "health.h"
#include "input.h"
#include "log.h"
#include "machine.h"
#include "output.h"
#include "restart.h"
#include "session.h"
#include "spawn.h"
#include "spec.h"

#define HANGUP_MS	2000
#define NOT_EXECUTED	(126 << 8)	/* a wait status */

static struct process *processes;
static int count;

static void fail(struct process *process, enum drupe_stage stage, int number, const char *text)
{
	struct session *session = process->session;

	process->failed = true;
	process->session = NULL;
	if (!session)
		return;
	session->process = NULL;
	session_fail(session, stage, number, text);
}

static void tell_started(struct process *process)
{
	struct drupe_started answer = { .pid = (uint32_t)process->pid };

	if (process->session)
		session_send(process->session, DRUPE_STARTED, &answer, sizeof(answer));
}

static void held(struct process *process)
{
	process->held = true;
	container.held = true;
	container_status("created\n");
	tell_started(process);
}

static void started(struct process *process)
{
	process->started = true;
	if (process->main) {
		container.main_ever = true;
		restart_started();
	}
	if (process->held)
		container_running();
	tell_started(process);
	output_begin(process);
	if (process->flows)
		flows_begin(process->flows);
	if (process->reaped)
		output_drain(process);
}

/* The child's report: an error, or the silence of a pipe that execve() closed. */
static void report_ready(struct source *source, uint32_t events)
{
	struct process *process = container_of(source, struct process, report);
	struct child_report report;
	ssize_t size = read(source->fd, &report, sizeof(report));

	(void)events;
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size == (ssize_t)sizeof(report) && !report.stage) {
		held(process);
		return;
	}
	source_close(source);
	if (size == (ssize_t)sizeof(report)) {
		report.text[sizeof(report.text) - 1] = 0;
		fail(process, report.stage, report.number, report.text);
	} else {
		started(process);
	}
}

static const char *refusal(uint32_t flags)
{
	if (container.ending)
		return "the container is ending";
	if (container.restarting)
		return "the container is restarting";
	if ((flags & DRUPE_START_MAIN) && (container.main || container.main_ever))
		return "there is a main process already";
	return NULL;
}

/* A child that was made, but cannot be used. */
static void abandon(struct process *process)
{
	kill(process->pid, SIGKILL);
	input_close(process);
	output_close(process);
	source_close(&process->report);
	if (process->go >= 0)
		close(process->go);
}

/* NULL, and an errno with the reason in @text. */
static struct process *process_new(const struct spec *spec, uint32_t flags, int *error,
				   const char **text)
{
	struct process *process = count < PROCESSES_MAX ? calloc(1, sizeof(*process)) : NULL;

	*error = EAGAIN;
	*text = "failed to start a process";
	if (!process)
		return NULL;
	process->main = flags & DRUPE_START_MAIN;
	process->detached = flags & DRUPE_START_DETACHED;
	process->logged = process->main && (flags & DRUPE_START_LOG);
	process->takes_stdin = flags & DRUPE_START_STDIN;
	process->terminal = spec->terminal;
	source_init(&process->report, -1, report_ready);
	input_init(process);
	output_init(process);
	process->go = -1;
	*error = spawn(process, spec, flags, text);
	if (!*error && (flags & DRUPE_START_FILES)) {
		process->flows = flows_new(process, error, text);
		if (!process->flows)
			abandon(process);
		process->input_dead = true;
	}
	if (*error) {
		free(process);
		return NULL;
	}
	process->next = processes;
	processes = process;
	count++;
	if (process->main)
		container.main = process;
	source_watch(&process->report, EPOLLIN);
	return process;
}

void process_start(struct session *session, uint32_t flags)
{
	const char *text = refusal(flags);
	int error = container.ending ? ESHUTDOWN : EBUSY;
	struct process *process = NULL;

	if (!text && session_count() > SESSIONS_MAX - SESSIONS_SPARE) {
		text = "too many sessions";
		error = EAGAIN;
	}
	if (!text)
		process = process_new(session->spec, flags, &error, &text);
	if (!process) {
		session_fail(session, DRUPE_STAGE_PROCESS, error, text);
		return;
	}
	if (process->main)
		restart_keep(session->spec, flags);
	else
		spec_free(session->spec);
	session->spec = NULL;
	process->session = session;
	session->process = process;
}

int process_start_alone(const struct spec *spec, uint32_t flags, const char **text)
{
	int error = 0;

	process_new(spec, flags, &error, text);
	return error;
}

struct process *process_start_check(const struct spec *spec, const char **text)
{
	struct process *process;
	int error;

	process = process_new(spec, DRUPE_START_DETACHED, &error, text);
	if (process)
		process->check = true;
	return process;
}

void process_release(struct session *session, struct process *process)
{
	static const char byte;

	if (!process || process->go < 0 || process->reaped) {
		session_fail(session, DRUPE_STAGE_REQUEST, ESRCH, "no main process is held");
		return;
	}
	session->state = SESSION_PROCESS;
	session->process = process;
	process->session = session;
	(void)!write(process->go, &byte, 1);
	close(process->go);
	process->go = -1;
}

void process_attach(struct session *session, struct process *process)
{
	struct drupe_started answer;

	if (!process || !process->started || process->reaped) {
		session_fail(session, DRUPE_STAGE_REQUEST, ESRCH, "no main process to attach to");
		return;
	}
	if (process->session) {
		session_fail(session, DRUPE_STAGE_REQUEST, EBUSY, "somebody else is attached to it");
		return;
	}
	/* A caller has a whole window, whatever an earlier one has left. */
	if (!input_room(process)) {
		session_fail(session, DRUPE_STAGE_REQUEST, EAGAIN, "it does not read its input");
		return;
	}
	session->state = SESSION_PROCESS;
	session->taken_up = true;
	session->process = process;
	process->session = session;
	answer.pid = (uint32_t)process->pid;
	answer.zero = 0;
	session_send(session, DRUPE_STARTED, &answer, sizeof(answer));
	process_resume(process);
}

int process_signal(struct process *process, int signal)
{
	if (process->reaped || process->failed)
		return ESRCH;
	return kill(process->pid, signal) < 0 ? errno : 0;
}

void process_window(struct process *process, const struct drupe_window *window)
{
	struct winsize size = { .ws_row = window->rows, .ws_col = window->columns };

	if (process->terminal && process->out[0].source.fd >= 0)
		ioctl(process->out[0].source.fd, TIOCSWINSZ, &size);
}

/*
 * The leader may be gone and reaped: its number still names the group while
 * the group has members, and is not given out again within seconds if not.
 */
static void hangup_over(struct timer *timer)
{
	struct process *process = container_of(timer, struct process, hangup);

	kill(-process->pid, SIGKILL);
	if (!process->reaped)
		kill(process->pid, SIGKILL);
}

void process_lost(struct process *process)
{
	struct session *session = process->session;

	process->session = NULL;
	if (session)
		session->process = NULL;
	if (!process->detached && !process->failed && !process->reaped) {
		if (process->main)
			restart_never();
		input_close(process);
		/* Before execve() it holds all signals back but SIGKILL. */
		kill(-process->pid, process->started ? SIGHUP : SIGKILL);
		kill(-process->pid, SIGCONT);
		if (!process->started)
			kill(process->pid, SIGKILL);
		timer_start(&process->hangup, clock_ms() + HANGUP_MS, hangup_over);
	}
	process_resume(process);
}

void process_resume(struct process *process)
{
	output_resume(process);
}

static void reaped(struct process *process, int status)
{
	process->reaped = true;
	process->status = status;
	container_progress();
	input_close(process);
	/* Its report is complete now: an error, or the end of the pipe. */
	if (process->report.fd >= 0)
		report_ready(&process->report, EPOLLIN);
	else if (process->started)
		output_drain(process);
	if (!process->main || (!process->started && !process->held && !restart_count()))
		return;
	/* One that cannot be executed any more ends as a shell tells it. */
	if (!process->started && !process->held)
		process->status = NOT_EXECUTED;
	if (restart_wanted(process->status)) {
		container.restarting = true;
		health_end();
		machine_signal_all(SIGKILL);
	} else {
		container_end();
	}
}

void process_reap(void)
{
	struct process *process;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (process = processes; process; process = process->next)
			if (process->pid == pid && !process->reaped)
				break;
		if (process)
			reaped(process, status);
		if (container.ending || container.restarting)
			machine_signal_all(SIGKILL);
	}
}

static void finish(struct process *process)
{
	struct drupe_exited exited = { 0 };
	struct session *session = process->session;

	if (process->check)
		health_result(process->started ? process->status : -1);
	if (process->logged && process->started)
		log_finish();
	if (process->main && (process->started || process->held || restart_count())) {
		if (container.restarting)
			restart_schedule(process->status);
		else
			container_status_end("exited", process->status);
	}
	if (!session || !process->started)
		return;
	if (WIFSIGNALED(process->status))
		exited.signal = (uint32_t)WTERMSIG(process->status);
	else
		exited.code = (uint32_t)WEXITSTATUS(process->status);
	session->process = NULL;
	session_finish(session, DRUPE_EXITED, &exited, sizeof(exited));
}

static bool over(const struct process *process)
{
	if (!process->reaped || (process->hangup.armed && !container.ending))
		return false;
	if (process->failed || (process->held && !process->started))
		return true;
	return process->started && !output_open(process) &&
	       !(process->flows && flows_open(process->flows));
}

bool process_sweep(void)
{
	struct process **link = &processes;

	while (*link) {
		struct process *process = *link;

		if (!over(process)) {
			link = &process->next;
			continue;
		}
		*link = process->next;
		if (container.main == process)
			container.main = NULL;
		finish(process);
		timer_stop(&process->hangup);
		input_close(process);
		output_close(process);
		source_close(&process->report);
		flows_free(process->flows);
		if (process->go >= 0)
			close(process->go);
		free(process);
		count--;
	}
	return processes;
}
